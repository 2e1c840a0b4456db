package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	strictjson "sigs.k8s.io/json"

	"github.com/fairway-bgp/fairway/columns"
)

// decodeLenient fills to, ignores fields that it does not have, and reports each
// value that does not fit; it gives false if there is one. Of the fields it warns
// that are meant and written in another case.
func decodeLenient(text []byte, to any, r *report) bool {
	if !r.inFile {
		err := strictjson.UnmarshalCaseSensitivePreserveInts(text, to)
		if err != nil {
			reportMisfits(text, reflect.TypeOf(to).Elem(), err, r)
		}
		return err == nil
	}
	unknown, err := strictjson.UnmarshalStrict(text, to)
	if err != nil {
		reportMisfits(text, reflect.TypeOf(to).Elem(), err, r)
	}
	into := reflect.TypeOf(to).Elem()
	if err != nil || len(unknown) >= mostUnknown || slices.ContainsFunc(unknown, func(err error) bool { return hasOtherCase(into, err) }) {
		warnOfCase(text, into, r)
	}
	return err == nil
}

// decodeStrict is decodeLenient, and also reports fields that the type does not
// have. Fields that are there twice are the document's (repeatedKeys).
func decodeStrict(text []byte, to any, r *report) bool {
	strict, err := strictjson.UnmarshalStrict(text, to)
	if err != nil {
		reportMisfits(text, reflect.TypeOf(to).Elem(), err, r)
	}
	for _, err := range strict {
		var field strictjson.FieldError
		if !errors.As(err, &field) {
			r.wrong("", nil, "%v", err)
			continue
		}
		if strings.HasPrefix(err.Error(), "duplicate") {
			continue
		}
		hint := "see `kubectl explain` for those there are"
		if name := nearestField(reflect.TypeOf(to).Elem(), field.FieldPath()); name != "" {
			hint = fmt.Sprintf("did you mean %s?", name)
		}
		r.wrong(field.FieldPath(), nil, "there is no such field; %s", hint)
	}
	return err == nil
}

// misfit is a value that does not fit where it is.
type misfit struct {
	path  string
	value any
	err   error
}

// reportMisfits names every value that keeps text from being decoded. The
// decoder's own error names a path only for some of its errors.
func reportMisfits(text []byte, into reflect.Type, err error, r *report) {
	const most = 10
	found := misfits(text, func(part []byte) error {
		return strictjson.UnmarshalCaseSensitivePreserveInts(part, reflect.New(into).Interface())
	}, most)
	if len(found) == 0 {
		r.wrong("", nil, "%v", err)
	}
	for _, m := range found {
		value, _ := json.Marshal(m.value)
		r.wrong(m.path, string(value), "%s", expectation(m.path, m.err))
	}
}

// misfits looks for the smallest parts that, alone in the object, still do not
// decode.
func misfits(text []byte, decode func([]byte) error, most int) []misfit {
	var whole any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&whole) != nil {
		return nil
	}
	var found []misfit
	var walk func(path string, v any, inside func(any) any)
	try := func(v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return decode(b)
	}
	// inside gives the object with nothing in it but the part.
	walk = func(path string, v any, inside func(any) any) {
		err := try(inside(v))
		if err == nil || len(found) >= most {
			return
		}
		before := len(found)
		switch v := v.(type) {
		case map[string]any:
			if try(inside(map[string]any{})) != nil {
				break
			}
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(joinPath(path, k), v[k], func(x any) any { return inside(map[string]any{k: x}) })
			}
		case []any:
			if try(inside([]any{})) != nil {
				break
			}
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), x, func(x any) any { return inside([]any{x}) })
			}
		}
		if len(found) == before {
			found = append(found, misfit{path, v, err})
		}
	}
	walk("", whole, func(x any) any { return x })
	return found
}

// joinPath writes keys that are not plain words, such as those of annotations,
// in brackets.
func joinPath(path, k string) string {
	switch {
	case strings.ContainsAny(k, "./ ") || k == "":
		return fmt.Sprintf("%s[%s]", path, k)
	case path == "":
		return k
	}
	return path + "." + k
}

// expectation says what belongs into a field.
func expectation(path string, err error) string {
	switch {
	case strings.HasSuffix(path, "Timestamp"):
		return "is not a time such as 2026-01-02T15:04:05Z"
	case strings.HasSuffix(path, "Time"), strings.HasSuffix(path, "Interval"):
		return "is not a duration with its unit, such as \"90s\""
	}
	var wrongType *json.UnmarshalTypeError
	if !errors.As(err, &wrongType) {
		return err.Error()
	}
	switch wrongType.Type.Kind() {
	case reflect.Bool:
		return "is neither true nor false (without quotes)"
	case reflect.String:
		return "is not a string: put it in quotes"
	case reflect.Int32, reflect.Int64:
		return "is not a whole number (without quotes)"
	case reflect.Slice:
		return "is not a list"
	}
	return "is not a map of fields"
}

// nearestField gives the field that was probably meant by an unknown path: one
// beside it that differs in case or in up to two letters; empty if there is none.
func nearestField(t reflect.Type, path string) string {
	steps := strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		step, _, _ = strings.Cut(step, "[")
		f, ok := jsonFields(t)[step]
		if !ok {
			return ""
		}
		t = f
	}
	wanted := steps[len(steps)-1]
	name, letters := columns.Nearest(wanted, slices.Sorted(maps.Keys(jsonFields(t))))
	if letters > 2 || letters >= len(wanted)/2 {
		return ""
	}
	return name
}

// jsonFields gives the fields of a struct, or of what a pointer or slice leads
// to, by their JSON names.
func jsonFields(t reflect.Type) map[string]reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	fields := map[string]reflect.Type{}
	if t.Kind() != reflect.Struct {
		return fields
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && f.Anonymous {
			maps.Copy(fields, jsonFields(f.Type))
		} else if name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}
