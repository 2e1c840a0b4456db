package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
)

// mostChoices bounds the names that an error offers.
const mostChoices = 20

// known refuses a name that is not among those there are, and offers the nearest.
func known(flag, kind string, names, there []string) error {
	slices.Sort(there)
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		switch {
		case slices.Contains(there, names[i]):
		case names[i] == "":
			return fmt.Errorf("%s %q: one of the names is empty: take it out", flag, strings.Join(names, ","))
		case len(there) == 0:
			return fmt.Errorf("%s %s: the input has no %s at all: add one, or leave %s out", flag, names[i], kind, flag)
		default:
			return fmt.Errorf("%s %s: the input has no such %s; %s", flag, names[i], kind, offered(names[i], there))
		}
	}
	return nil
}

// offered says what there is, the first of many, and which is nearest.
func offered(name string, there []string) string {
	return "it has " + columns.First(mostChoices, there) + suggestion(name, there)
}

// suggestion offers the nearest name, unless nothing of it is alike.
func suggestion(name string, there []string) string {
	nearest, letters := columns.Nearest(name, there)
	if letters >= max(len(nearest), len(name)) {
		return ""
	}
	return "; did you mean " + nearest + "?"
}
