package routes

import (
	"encoding/json"
	"slices"
	"strings"
)

// ByName holds values by name, sorted. Two lists share the entries that they have in
// common: the same pointer is the same value, and nobody changes an entry that is in a
// list. So one among ten thousand changes by a copy of pointers. In JSON it is an object.
type ByName[T any] []*Named[T]

// Named is a value with its name.
type Named[T any] struct {
	Name  string
	Value T
}

// ByNameOf gives the values of a map.
func ByNameOf[T any](values map[string]T) ByName[T] {
	out := slices.Grow(ByName[T](nil), len(values))
	for name, v := range values {
		out = append(out, &Named[T]{name, v})
	}
	slices.SortFunc(out, CompareNames)
	return out
}

// CompareNames orders entries by name.
func CompareNames[T any](a, b *Named[T]) int { return strings.Compare(a.Name, b.Name) }

// Entry gives the entry of a name, nil where there is none.
func (l ByName[T]) Entry(name string) *Named[T] {
	i, there := slices.BinarySearchFunc(l, name, func(e *Named[T], name string) int { return strings.Compare(e.Name, name) })
	if !there {
		return nil
	}
	return l[i]
}

// Of gives the value of a name; there is false where it has none.
func (l ByName[T]) Of(name string) (value T, there bool) {
	if e := l.Entry(name); e != nil {
		return e.Value, true
	}
	return value, false
}

// EqualFunc reports whether two lists have equal values by the same names.
func (l ByName[T]) EqualFunc(m ByName[T], equal func(a, b T) bool) bool {
	return slices.EqualFunc(l, m, func(a, b *Named[T]) bool {
		return a == b || a.Name == b.Name && equal(a.Value, b.Value)
	})
}

// MarshalJSON writes an object with the names as keys.
func (l ByName[T]) MarshalJSON() ([]byte, error) {
	values := make(map[string]T, len(l))
	for _, e := range l {
		values[e.Name] = e.Value
	}
	return json.Marshal(values)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *ByName[T]) UnmarshalJSON(b []byte) error {
	var values map[string]T
	if err := json.Unmarshal(b, &values); err != nil {
		return err
	}
	*l = ByNameOf(values)
	return nil
}
