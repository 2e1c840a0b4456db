package main

import (
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

func TestWhyPrintsWhatNodesSayAgainstTheObjectsOnce(t *testing.T) {
	explained := func(node string, says *account.Word) account.Explained {
		return account.Explained{Explanation: policy.Explanation{Node: node, Subnet: "blue", Prefix: "10.1.0.0/16"}, Says: says}
	}
	down := account.Word{Reason: routes.DatapathDown, Text: "10.1.0.0/16 is withheld, DatapathDown: no route by ovn0"}
	stopped := account.Word{Text: "fairway has stopped on this node"}
	for _, c := range []struct {
		name      string
		explained []account.Explained
		want      string
	}{
		{"nothing", []account.Explained{explained("n1", nil)}, ""},
		{"one node", []account.Explained{explained("n1", &down), explained("n2", nil)},
			"! node n1 itself says: 10.1.0.0/16 is withheld, DatapathDown: no route by ovn0\n"},
		{"several nodes", []account.Explained{explained("n1", &stopped), explained("n2", &down), explained("n3", &stopped)},
			"! nodes n1, n3 themselves say: fairway has stopped on this node\n" +
				"! node n2 itself says: 10.1.0.0/16 is withheld, DatapathDown: no route by ovn0\n"},
	} {
		var b strings.Builder
		if err := writeExplained(&b, c.explained, true); err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(b.String(), "\n\n! "); got != strings.TrimPrefix(c.want, "! ") {
			t.Errorf("%s: %q does not end with %q", c.name, b.String(), c.want)
		}
	}
}

// TestWithheldEverywhereGoesByTheNodesOwnWord decides how `fairway why` exits.
func TestWithheldEverywhereGoesByTheNodesOwnWord(t *testing.T) {
	explained := func(prefix string, reason routes.Reason, says *account.Word) account.Explained {
		return account.Explained{Explanation: policy.Explanation{Prefix: prefix, Reason: reason}, Says: says}
	}
	const v4, v6 = "10.1.0.0/16", "fd00:1::/64"
	for _, c := range []struct {
		name      string
		explained []account.Explained
		want      bool
	}{
		{"announced by one of two", []account.Explained{explained(v4, routes.NotGateway, nil), explained(v4, "", nil)}, false},
		{"by the objects announced, and by the node not", []account.Explained{explained(v4, "", &account.Word{})}, true},
		{"by the objects withheld, and by the node not", []account.Explained{explained(v4, routes.InvalidAnnotation, &account.Word{Announced: true})}, false},
		{"one family is withheld", []account.Explained{explained(v4, "", nil), explained(v6, routes.NATOutgoing, nil)}, true},
	} {
		if got := withheldEverywhere(c.explained); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}
