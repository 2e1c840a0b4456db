package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// TestPageOfADaemon asks a real daemon for what its page shows. What a browser makes of
// it is in e2e/page.
func TestPageOfADaemon(t *testing.T) {
	needs.Root(t, "ip")
	c := upLab(t, "embedded")
	c.says(t, "n1", "Established")
	address, err := os.ReadFile(filepath.Join(c.state, "n1.page"))
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) string {
		answer, err := http.Get("http://" + string(address) + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, answer.Status, err)
		}
		return string(body)
	}
	if html := get("/"); !strings.Contains(html, `src="/page.js"`) {
		t.Errorf("no page: %s", html)
	}
	var shown string
	until(t, "the picture is of the session that is up", func() (string, bool) {
		shown = get("/picture.json")
		return shown, strings.Contains(shown, `"state":"Established"`)
	})
	for _, want := range []string{`"name":"n1"`, `"level":"ok"`, " prefixes announced", routed, routed6, "10.167.0.0/16", "NATOutgoing", "spec.natOutgoing is true", "set natOutgoing to false"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the picture lacks %q:\n%s", want, shown)
		}
	}
}
