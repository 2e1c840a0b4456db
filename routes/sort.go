package routes

import "slices"

// SortedSet gives a sorted copy of s without repetitions; never nil.
func SortedSet[T comparable](s []T, compare func(a, b T) int) []T {
	out := append(make([]T, 0, len(s)), s...)
	slices.SortFunc(out, compare)
	return slices.Compact(out)
}

// SameList reports whether two lists are one, in the same place of memory: of lists that
// are shared, and that nobody changes, it says that nothing is new.
func SameList[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }
