package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	strictjson "sigs.k8s.io/json"
)

// mostUnknown is how many fields that it does not know the decoder tells at most
// (sigs.k8s.io/json, saveStrictError).
const mostUnknown = 100

// hasOtherCase reports whether a field that the decoder does not know may differ from one
// that it does in the case of its letters alone.
func hasOtherCase(into reflect.Type, err error) bool {
	var unknown strictjson.FieldError
	if !errors.As(err, &unknown) {
		return true
	}
	path := unknown.FieldPath()
	for {
		step, rest, more := strings.Cut(path, ".")
		if !more {
			return fieldLike(into, step) != nil
		}
		name, _, _ := strings.Cut(step, "[")
		if path, into = rest, fieldLike(into, name); into == nil {
			return true
		}
	}
}

// fieldLike gives the type of a field of a struct, or of what a pointer or slice leads to,
// whatever the case of its letters; nil where there is none.
func fieldLike(t reflect.Type, name string) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "" && f.Anonymous {
			if found := fieldLike(f.Type, name); found != nil {
				return found
			}
		} else if strings.EqualFold(tag, name) {
			return f.Type
		}
	}
	return nil
}

// warnOfCase warns of each field of an object in a file that differs from one that is
// read in the case of its letters alone: "natOutGoing" would be passed over, and the
// Subnet be read as one without NAT. An API server has no such fields: it takes none
// that a schema does not have.
func warnOfCase(text []byte, into reflect.Type, r *report) {
	var whole any
	if !r.inFile || json.Unmarshal(text, &whole) != nil {
		return
	}
	otherCase("", whole, into, func(path, field string) {
		r.refused(path, nil, "is not read: the field is called %s; upper and lower case count", field)
	})
}

// otherCase calls found for each such field below path, in order.
func otherCase(path string, value any, into reflect.Type, found func(path, field string)) {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			otherCase(fmt.Sprintf("%s[%d]", path, i), item, into, found)
		}
	case map[string]any:
		fields := jsonFields(into)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if t, known := fields[key]; known {
				otherCase(joinPath(path, key), v[key], t, found)
			} else if field := sameLetters(key, fields); field != "" {
				found(joinPath(path, key), field)
			}
		}
	}
}

// sameLetters gives the field that is the key but for the case of its letters.
func sameLetters(key string, fields map[string]reflect.Type) string {
	for field := range fields {
		if strings.EqualFold(field, key) {
			return field
		}
	}
	return ""
}
