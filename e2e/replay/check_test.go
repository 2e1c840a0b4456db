package replay

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

func readWant(t *testing.T, text string) (Want, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.want")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadWant(path)
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	want, err := readWant(t, `
n1 10.1.0.0/16 1+0.5 5+1 # a comment
maybe n1 10.1.0.0/16 8 9
n2 10.1.0.0/16 start end
carried 10.1.0.0/16 start end
`)
	if err != nil {
		t.Fatal(err)
	}
	prefix := netip.MustParsePrefix("10.1.0.0/16")
	on := func(node string, at time.Duration) Change {
		return Change{At: at, Node: node, Prefix: prefix, Role: routes.RoleActive}
	}
	off := func(node string, at time.Duration) Change { return Change{At: at, Node: node, Prefix: prefix} }
	const s = time.Second
	always := on("n2", start)
	for _, c := range []struct {
		name    string
		changes []Change
		late    time.Duration
		wrong   string
	}{
		{"as wanted", []Change{always, on("n1", s), off("n1", 5*s)}, 0, ""},
		{"with all the slack there is", []Change{always, on("n1", 3*s/2), off("n1", 6*s)}, 0, ""},
		{"where it does not matter", []Change{always, on("n1", s), off("n1", 5*s), on("n1", 8*s), off("n1", 9*s)}, 0, ""},
		{"too early", []Change{always, on("n1", s/2), off("n1", 5*s)}, 0, "n1 announces 10.1.0.0/16 from 0.500 to 1.000, where it must not"},
		{"too late", []Change{always, on("n1", 2*s), off("n1", 5*s)}, 0, "n1 does not announce 10.1.0.0/16 from 1.500 to 2.000, where it must"},
		{"as late as is allowed", []Change{always, on("n1", 2*s), off("n1", 5*s)}, s, ""},
		{"too long", []Change{always, on("n1", s)}, 0, "n1 announces 10.1.0.0/16 from 6.000 to 8.000 and from 9.000 to end, where it must not"},
		{"a gap", []Change{always, off("n2", 3*s), on("n2", 4*s), on("n1", s), off("n1", 5*s)}, 0, "n2 does not announce 10.1.0.0/16 from 3.000 to 4.000, where it must"},
		{"nobody", []Change{always, off("n2", 7*s), on("n2", 8*s), on("n1", s), off("n1", 5*s)}, 0,
			"n2 does not announce 10.1.0.0/16 from 7.000 to 8.000, where it must\nnobody announces 10.1.0.0/16 from 7.000 to 8.000"},
		{"another prefix", []Change{always, on("n1", s), off("n1", 5*s), {At: s, Node: "n1", Prefix: netip.MustParsePrefix("10.9.0.0/16"), Role: routes.RoleActive}}, 0,
			"n1 announces 10.9.0.0/16 from 1.000 to end, where it must not"},
	} {
		got := strings.Join(Check(want, c.changes, c.late), "\n")
		if c.wrong == "" && got != "" || c.wrong != "" && !strings.Contains(got, c.wrong) {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.wrong)
		}
	}
}

func TestWantsSayWhatDoesNotParse(t *testing.T) {
	for text, say := range map[string]string{
		"n1 10.1.0.0/16 1":          "3 words",
		"n1 10.1.0.0 1 2":           "10.1.0.0",
		"n1 10.1.0.0/16 1 later":    `time "later"`,
		"n1 10.1.0.0/16 1+ 2":       `time "1+"`,
		"carried 10.1.0.0/16 start": "3 words",
	} {
		if _, err := readWant(t, text); err == nil || !strings.Contains(err.Error(), say) || !strings.Contains(err.Error(), ".want:1: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
