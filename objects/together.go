package objects

import (
	"bytes"
	"encoding/json"
	"slices"

	"go.yaml.in/yaml/v2"
)

// mostTogether is how many documents one YAML parser reads. To make one takes as long as
// to read a short document.
const mostTogether = 64

// parseAll gives the objects of documents that follow each other.
func parseAll(name string, docs []document) []Object {
	var objects []Object
	for len(docs) > 0 {
		texts := together(docs)
		for i, text := range texts {
			objects = append(objects, decodeDocument(docs[i].where(name), text, nil)...)
		}
		if docs = docs[len(texts):]; len(docs) > 0 {
			objects = append(objects, parse(name, docs[0])...)
			docs = docs[1:]
		}
	}
	return objects
}

// together gives the first documents as JSON, as document.toJSON would, with one parser.
// It ends before one of which there is more to say.
func together(docs []document) [][]byte {
	if i := slices.IndexFunc(docs, func(d document) bool { return !d.isPlain() }); i >= 0 {
		docs = docs[:i]
	}
	var stream [][]byte
	for _, d := range docs {
		stream = append(stream, []byte("---"), d.text)
	}
	parser := yaml.NewDecoder(bytes.NewReader(bytes.Join(stream, []byte("\n"))))
	parser.SetStrict(true)
	texts := make([][]byte, 0, len(docs))
	for _, d := range docs {
		var value any
		if parser.Decode(&value) != nil {
			break
		}
		text, ok := appendJSON(make([]byte, 0, 2*len(d.text)), value)
		if !ok {
			break
		}
		texts = append(texts, text)
	}
	return texts
}

// isPlain reports whether a document is one document to the YAML parser too, which takes
// other characters than a line feed for the end of a line, and is not JSON.
func (d document) isPlain() bool {
	for _, b := range d.text {
		if b >= 0x7f || b < ' ' && b != '\n' && b != '\t' {
			return false
		}
	}
	text := bytes.TrimSpace(d.text)
	return len(text) > 0 && text[0] != '{'
}

// appendJSON adds a value of the YAML parser, maps by key. It reports false for what JSON
// has not, and where sigs.k8s.io/yaml makes strings of keys.
func appendJSON(out []byte, value any) ([]byte, bool) {
	switch v := value.(type) {
	case map[any]any:
		return appendMap(out, v)
	case []any:
		return appendAll(out, '[', ']', v, appendJSON)
	case string:
		return appendString(out, v)
	}
	text, err := json.Marshal(value)
	return append(out, text...), err == nil
}

func appendMap(out []byte, m map[any]any) ([]byte, bool) {
	keys := make([]string, 0, len(m))
	for k := range m {
		name, ok := k.(string)
		if !ok {
			return nil, false
		}
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return appendAll(out, '{', '}', keys, func(out []byte, key string) ([]byte, bool) {
		out, ok := appendString(out, key)
		if !ok {
			return nil, false
		}
		return appendJSON(append(out, ':'), m[key])
	})
}

// appendAll adds values between brackets.
func appendAll[T any](out []byte, open, shut byte, values []T, add func([]byte, T) ([]byte, bool)) ([]byte, bool) {
	out = append(out, open)
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		var ok bool
		if out, ok = add(out, v); !ok {
			return nil, false
		}
	}
	return append(out, shut), true
}

// appendString adds a string, in which few characters are to be escaped (RFC 8259,
// section 7).
func appendString(out []byte, s string) ([]byte, bool) {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b >= 0x7f || b == '"' || b == '\\' {
			text, err := json.Marshal(s)
			return append(out, text...), err == nil
		}
	}
	return append(append(append(out, '"'), s...), '"'), true
}
