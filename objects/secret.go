package objects

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
)

// decodeSecret reads a Secret. No value of it goes into a Problem.
func decodeSecret(text []byte, r *report) (any, bool) {
	var d struct {
		Metadata   metaDocument      `json:"metadata"`
		Data       map[string]string `json:"data"`
		StringData map[string]string `json:"stringData"`
	}
	decodeLenient(text, &d, r)
	for i := range r.problems {
		r.problems[i].Value = ""
	}
	out := Secret{}
	for _, k := range slices.Sorted(maps.Keys(d.Data)) {
		// Base64 in YAML is often folded over several lines.
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(d.Data[k]), ""))
		if err != nil {
			r.wrong(joinPath("data", k), nil, "is not base64: put plain text under stringData")
			continue
		}
		out[k] = string(b)
	}
	// As the API server does, stringData goes over data.
	maps.Copy(out, d.StringData)
	return out, true
}

// Secret is a Secret's content by key.
type Secret map[string]string
