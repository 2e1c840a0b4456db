// Package needs says what a test needs of its machine. Where that is missing a
// laptop skips the test, and CI fails it: a skip there would hide something.
package needs

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Root asks for root, and for programs by name or path.
func Root(t testing.TB, programs ...string) {
	t.Helper()
	missing := absent(programs)
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	ask(t, missing)
}

// Programs asks for programs by name or path.
func Programs(t testing.TB, programs ...string) {
	t.Helper()
	ask(t, absent(programs))
}

// Without ends the test for want of something else; err says what.
func Without(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func absent(programs []string) []string {
	var out []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			out = append(out, p)
		}
	}
	return out
}

func ask(t testing.TB, missing []string) {
	t.Helper()
	if len(missing) > 0 {
		Without(t, missingError(missing))
	}
}

type missingError []string

// Error implements error.
func (m missingError) Error() string { return "missing: " + strings.Join(m, ", ") }
