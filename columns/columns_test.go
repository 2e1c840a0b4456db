package columns_test

import (
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
