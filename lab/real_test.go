package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The whole program, as a user runs it, with each router.
func TestDemoOfTheRealProgram(t *testing.T) {
	binary := buildFairway(t)
	for _, router := range []Router{Embedded, FRR, BIRD} {
		t.Run(string(router), func(t *testing.T) {
			opts := testOptions(t)
			needRouter(t, router)
			cmd := exec.Command(binary, "lab", "demo", "--prefix", opts.Prefix, "--router", string(router), "--gobgp", buildGobgp(t))
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil || stderr.Len() > 0 {
				t.Fatalf("%v\n%s\n%s", err, stderr.String(), stdout.String())
			}
			if n := strings.Count(stdout.String(), "   ok: "); n != 6 {
				t.Errorf("%d proofs, want 6:\n%s", n, stdout.String())
			}
			expectNothingLeft(t, opts)
		})
	}
}

func buildFairway(t *testing.T) string {
	t.Helper()
	needRoot(t)
	path := filepath.Join(t.TempDir(), "fairway")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/fairway-bgp/fairway/cmd/fairway").CombinedOutput(); err != nil {
		t.Fatalf("build fairway: %v: %s", err, out)
	}
	return path
}

// needRouter skips where the router is not installed, and fails where skipping
// would hide something.
func needRouter(t *testing.T, router Router) {
	t.Helper()
	if err := router.check(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}
