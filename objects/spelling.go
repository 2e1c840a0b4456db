package objects

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

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
