package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	strictjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// document is one document of a YAML stream, as text.
type document struct {
	text []byte
	// number counts from 1, documents with nothing but comments left out.
	number int
	// line is the number of lines before the text, in the file.
	line int
}

// split cuts a YAML stream at its document markers. "---" and "..." at the
// start of a line cannot be anything else (YAML 1.1 section 4.2), so that one
// document that does not parse leaves the others alone.
func split(stream []byte) []document {
	stream = bytes.TrimPrefix(stream, []byte("\xef\xbb\xbf"))
	var docs []document
	begin, at := 0, 0 // of the document and of the line, in the stream
	start, line := 0, 0
	flush := func() {
		if text := stream[begin:at:at]; hasContent(text) {
			docs = append(docs, document{text: text, number: len(docs) + 1, line: start})
		}
		start = line
	}
	for l := range bytes.Lines(stream) {
		if rest, ok := marker(l); ok {
			flush()
			begin = at + len(l) - len(rest)
		}
		at += len(l)
		line++
	}
	flush()
	return docs
}

// marker reports whether a line begins or ends a document, and gives what is
// left of it: "--- {kind: Node}" is allowed.
func marker(line []byte) (rest []byte, ok bool) {
	for _, m := range []string{"---", "..."} {
		if rest, ok := bytes.CutPrefix(line, []byte(m)); ok && (len(rest) == 0 || strings.ContainsRune(" \t\r\n", rune(rest[0]))) {
			return rest, true
		}
	}
	return nil, false
}

// hasContent reports whether there is more than blanks, comments and directives.
func hasContent(text []byte) bool {
	for l := range bytes.Lines(text) {
		l = bytes.TrimSpace(l)
		if len(l) > 0 && l[0] != '#' && l[0] != '%' {
			return true
		}
	}
	return false
}

// repeatedKeys says what a document has twice that parses all the same. Readers
// take the last one; which was meant is not known.
type repeatedKeys struct {
	which string
	// header is true if what makes an object that one is among them: then these are
	// two objects that nothing separates.
	header bool
}

// String says it to a user.
func (k repeatedKeys) String() string {
	s := "a key is there twice: " + k.which
	if k.header {
		s += "; is a line with --- missing between two objects?"
	}
	return s
}

// toJSON gives the document as JSON. With repeated keys the JSON is good.
func (d document) toJSON() (text []byte, repeated *repeatedKeys, err error) {
	text = bytes.TrimSpace(d.text)
	if len(text) > 0 && text[0] == '{' && json.Valid(text) {
		return text, repeatedInJSON(text), nil
	}
	strict, err := yaml.YAMLToJSONStrict(d.text)
	if err == nil {
		return strict, nil, nil
	}
	if lenient, again := yaml.YAMLToJSON(d.text); again == nil {
		header := regexp.MustCompile(`key "(apiVersion|kind|metadata)" already set`).MatchString(err.Error())
		return lenient, &repeatedKeys{d.explain(err), header}, nil
	}
	return nil, nil, errors.New(d.explain(err))
}

// repeatedInJSON gives nil where no key is there twice.
func repeatedInJSON(text []byte) *repeatedKeys {
	var any map[string]any
	strict, err := strictjson.UnmarshalStrict(text, &any)
	if err != nil || len(strict) == 0 {
		return nil
	}
	var out repeatedKeys
	var which []string
	for _, err := range strict {
		var field strictjson.FieldError
		if errors.As(err, &field) {
			which = append(which, field.FieldPath())
			out.header = out.header || slices.Contains([]string{"apiVersion", "kind", "metadata"}, field.FieldPath())
		}
	}
	out.which = strings.Join(which, ", ")
	return &out
}

// explain gives the parser's words with the line in the file, and without the
// text that it quotes, which may be part of a Secret.
func (d document) explain(err error) string {
	s := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:"} {
		s = strings.TrimPrefix(s, prefix)
	}
	s = strings.Join(strings.Fields(s), " ")
	switch {
	case strings.Contains(s, "invalid map key"):
		return "a map where a key belongs: quote values that start with {{"
	case strings.Contains(s, "unknown anchor"):
		return "a value that starts with * refers to an anchor that is not there: quote it"
	case strings.Contains(s, "anchor"):
		return "an anchor's value contains itself"
	}
	s = regexp.MustCompile(`\bline \d+`).ReplaceAllStringFunc(s, func(line string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(line, "line "))
		return fmt.Sprintf("line %d", n+d.line)
	})
	// `…` is a value, "…" a key.
	return regexp.MustCompile("`[^`]*`").ReplaceAllString(s, "a value")
}
