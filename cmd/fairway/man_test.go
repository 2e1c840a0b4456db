package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// TestManualPages: each command has one, the same at each build, and groff reads it without
// a warning.
func TestManualPages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	needs.Programs(t, "groff")
	folder, again := t.TempDir(), t.TempDir()
	for _, to := range []string{folder, again} {
		if err := writeManPages(to); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := filepath.Glob(filepath.Join(folder, "*.1"))
	if err != nil || len(pages) < len(newRootCommand("fairway").Commands())-1 {
		t.Fatalf("%v: pages %s", err, pages)
	}
	for _, page := range pages {
		text, other := read(t, page), read(t, filepath.Join(again, filepath.Base(page)))
		if text != other {
			t.Errorf("%s differs from build to build", filepath.Base(page))
		}
		out, err := exec.Command("groff", "-man", "-ww", "-z", page).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", filepath.Base(page), err, out)
		}
	}
	shown, err := exec.Command("groff", "-man", "-Tascii", "-P-cbou", "-rLL=78n", filepath.Join(folder, "fairway-plan.1")).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fairway-plan - Show what each node would announce", "--without-peer=", "fairway plan -f cluster/ -o frr --peer tor-a --allow '10.0.0.0/8 le 24'", "Exit status: 0 if all is well"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
