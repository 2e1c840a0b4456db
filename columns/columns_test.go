package columns_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/columns"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		`a "b" \ …`:                 `a "b" \ …`,
		"\x1b[31mred\n\"b\" \\":     `\x1b[31mred\n"b" \`,
		"\u202egnp.exe\u009b1m\x7f": `\u202egnp.exe\u009b1m\x7f`,
		"latin \xe9":                `latin \xe9`,
	} {
		if got := columns.Plain(text); got != want {
			t.Errorf("Plain(%q) = %s, want %s", text, got, want)
		}
	}
}

// TestWhatIsCopiedIsNoCommand gives names to a shell.
func TestWhatIsCopiedIsNoCommand(t *testing.T) {
	for _, name := range []string{"routed", "a.b-c", "", "x;touch P", "$(id)", "it's", `a "b" \`, "-n", "a\nb", "*"} {
		out, err := exec.Command("sh", "-c", "printf '%s|' "+columns.Quote(name)).Output()
		if err != nil || string(out) != name+"|" {
			t.Errorf("%q becomes %q, %v", name, out, err)
		}
	}
	if got := columns.Quote("routed"); got != "routed" {
		t.Errorf("a name without need is quoted: %s", got)
	}
}

func TestWrap(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, tt := range []struct{ name, text, want string }{
		{"short", "a b", "> a b\n"},
		{"empty", "", "> \n"},
		{"white space is folded", " a \n b ", "> a b\n"},
		{"what steers a terminal", "a\x1b[31m b", "> a\\x1b[31m b\n"},
		{"exactly as wide", strings.Repeat("a ", 38) + "aa", "> " + strings.Repeat("a ", 38) + "aa\n"},
		{"one too many", strings.Repeat("a ", 38) + "aaa", "> " + strings.TrimSpace(strings.Repeat("a ", 38)) + "\n    aaa\n"},
		{"a word that is too long stays whole", "a " + long + " b", "> a\n    " + long + "\n    b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			columns.Wrap(&b, "> ", "    ", tt.text)
			if b.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"as it is", 8, "as it is"},
		{"too long", 7, "too …"},
		{"ääää", 8, "ääää"},
		{"ääää", 7, "ää…"},
		{"ääää", 6, "ä…"}, // half a rune is none
	} {
		if got := columns.Cut(c.text, c.most); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestFirst(t *testing.T) {
	for _, tt := range []struct {
		most  int
		names []string
		want  string
	}{
		{2, nil, ""},
		{2, []string{"a", "b"}, "a, b"},
		{2, []string{"a", "b", "c"}, "a, b and 1 more"},
	} {
		if got := columns.First(tt.most, tt.names); got != tt.want {
			t.Errorf("First(%d, %v) = %q, want %q", tt.most, tt.names, got, tt.want)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, tt := range []struct {
		wanted  string
		names   []string
		want    string
		letters int
	}{
		{"n9", []string{"n1", "n2"}, "n1", 1},
		{"GW-2", []string{"gw-1", "gw-2"}, "gw-2", 0},
		{"worker", []string{"n1", "worker-1"}, "worker-1", 2},
		{"n1", nil, "", 2},
		{"", []string{"n1"}, "n1", 2},
	} {
		if got, letters := columns.Nearest(tt.wanted, tt.names); got != tt.want || letters != tt.letters {
			t.Errorf("Nearest(%q, %v) = %q, %d, want %q, %d", tt.wanted, tt.names, got, letters, tt.want, tt.letters)
		}
	}
}

func TestTable(t *testing.T) {
	name := "ip-10-0-123-45.eu-central-1.compute.internal"
	nodes := func() *columns.Table {
		return columns.NewTable(columns.Column{Heading: "Node", Least: 8}, columns.Column{Heading: "Sessions"},
			columns.Column{Heading: "Announced", Right: true}, columns.Column{Heading: "State"})
	}
	for _, tt := range []struct {
		name string
		fill func() *columns.Table
		want string
	}{
		{"least widths and numbers to the right", func() *columns.Table {
			t := nodes()
			t.Row("n1", "2/2 up", "12", "ready")
			return t
		}, "" +
			"Node      Sessions  Announced  State\n" +
			"n1        2/2 up           12  ready\n"},
		{"a column is as wide as its longest cell", func() *columns.Table {
			t := nodes()
			t.Row("n1", "2/2 up", "12", "ready")
			t.Row(name, "0/2 up", "0", "ready")
			return t
		}, "" +
			"Node                                          Sessions  Announced  State\n" +
			"n1                                            2/2 up           12  ready\n" +
			"ip-10-0-123-45.eu-central-1.compute.internal  0/2 up            0  ready\n"},
		{"a name that would push the row over the line ends its own", func() *columns.Table {
			t := nodes()
			t.Row("worker-17", "2/2 up", "12", "ready")
			t.Row(name, "0/2 up", "0", "not ready: no session is up")
			return t
		}, "" +
			"Node       Sessions  Announced  State\n" +
			"worker-17  2/2 up           12  ready\n" +
			"ip-10-0-123-45.eu-central-1.compute.internal\n" +
			"           0/2 up            0  not ready: no session is up\n"},
		{"without columns that may give way, the cell at the end begins a line", func() *columns.Table {
			t := columns.Headed("Name", "To")
			t.Row(name, strings.Repeat("tor,", 10))
			return t
		}, "" +
			"Name                                          To\n" +
			name + "\n" +
			"      " + strings.Repeat("tor,", 10) + "\n"},
		{"prose, and what steers a terminal", func() *columns.Table {
			t := columns.Headed("Name", "To")
			t.Row("a\x1b[1m", "b")
			t.Prose("  ! ", "    ", strings.Repeat("word ", 20))
			t.Row("c")
			return t
		}, "" +
			"Name      To\n" +
			`a\x1b[1m  b` + "\n" +
			"  ! " + strings.TrimSpace(strings.Repeat("word ", 15)) + "\n" +
			"    word word word word word\n" +
			"c\n"},
		{"no headings, no heading", func() *columns.Table {
			t := columns.NewTable(columns.Column{Least: 4}, columns.Column{})
			t.Row("é", "b")
			return t
		}, "é     b\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			tt.fill().Write(&b)
			if b.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}
