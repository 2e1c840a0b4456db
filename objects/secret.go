package objects

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
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
	s := corev1.Secret{StringData: d.StringData, Data: map[string][]byte{}}
	s.Name, s.Namespace = d.Metadata.Name, d.Metadata.Namespace
	for _, k := range slices.Sorted(maps.Keys(d.Data)) {
		// Base64 in YAML is often folded over several lines.
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(d.Data[k]), ""))
		if err != nil {
			r.wrong(joinPath("data", k), nil, "is not base64: put plain text under stringData")
			continue
		}
		s.Data[k] = b
	}
	return secretOf(&s), true
}

// Secret is a Secret's content by key.
type Secret map[string]string

// secretOf merges stringData over data, as the API server does.
func secretOf(s *corev1.Secret) Secret {
	out := Secret{}
	for k, v := range s.Data {
		out[k] = string(v)
	}
	maps.Copy(out, s.StringData)
	return out
}
