package columns_test

import (
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/columns"
)

func TestWrap(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, tt := range []struct{ name, text, want string }{
		{"short", "a b", "> a b\n"},
		{"empty", "", "> \n"},
		{"white space is folded", " a \n b ", "> a b\n"},
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
