package columns

import (
	"fmt"
	"strings"
)

// First lists names, at most so many of them, and says how many more there are:
// "a, b and 12 more".
func First(most int, names []string) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Nearest gives that of the names which wanted differs from least, the first of
// equals, and by how many letters (Levenshtein's distance, in bytes); upper and
// lower case are alike. Without names it gives "" and the length of wanted.
func Nearest(wanted string, names []string) (name string, letters int) {
	letters = len(wanted)
	for i, n := range names {
		if d := distance(strings.ToLower(n), strings.ToLower(wanted)); i == 0 || d < letters {
			name, letters = n, d
		}
	}
	return name, letters
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(diagonal+cost, row[j]+1, row[j+1]+1)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
