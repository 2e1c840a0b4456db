package routes

import "slices"

// SortedSet gives a sorted copy of s without repetitions; never nil.
func SortedSet[T comparable](s []T, compare func(a, b T) int) []T {
	out := append(make([]T, 0, len(s)), s...)
	slices.SortFunc(out, compare)
	return slices.Compact(out)
}
