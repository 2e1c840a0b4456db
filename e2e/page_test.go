package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// TestPageInABrowser opens a node's page in a real browser.
func TestPageInABrowser(t *testing.T) {
	needs.Root(t, "ip", "chromium")
	c := upLab(t, "embedded")
	c.says(t, "n1", "Established")
	address, err := os.ReadFile(filepath.Join(c.state, "n1.page"))
	if err != nil {
		t.Fatal(err)
	}
	dom, err := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--user-data-dir="+t.TempDir(), "--dump-dom", "http://"+string(address)+"/").Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	for _, want := range []string{"Fairway on n1", `<span class="state ok">ready</span>`, "Established", routed, routed6, "10.167.0.0/16", "NATOutgoing", "spec.natOutgoing is true"} {
		if !strings.Contains(string(dom), want) {
			t.Errorf("the page lacks %q:\n%s", want, dom)
		}
	}
}
