// Package must does for a test what the story needs and is not about: it runs
// programs, builds Fairway, reads and writes files, and waits. What goes wrong ends
// the test.
package must

import (
	"cmp"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a condition is waited for: Events tell of what has lasted for
// half a minute, and the machine may be busy.
const Patience = 90 * time.Second

// Run runs a program to its end and gives what it prints.
func Run(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// Space makes a network namespace that goes with the test.
func Space(t testing.TB, name string) {
	t.Helper()
	Run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	Run(t, "ip", "-n", name, "link", "set", "lo", "up")
}

// Await waits for a condition.
func Await(t testing.TB, what string, yes func() bool) {
	t.Helper()
	if !Eventually(yes) {
		t.Fatalf("not so in %s: %s", Patience, what)
	}
}

// Pauses gives a function that waits a little, and each time a little longer, up to a
// quarter of a second: who asks a router by a program all the time keeps it from its work.
func Pauses() (pause func()) {
	d := 10 * time.Millisecond
	return func() {
		time.Sleep(d)
		d = min(d*5/4, 250*time.Millisecond)
	}
}

// Eventually waits for a condition and says whether it came to be.
func Eventually(yes func() bool) bool {
	pause := Pauses()
	for end := time.Now().Add(Patience); ; pause() {
		if yes() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// ReadFile gives what is in a file.
func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// WriteFile makes a file or replaces what is in it.
func WriteFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// BuildFairway builds the program.
func BuildFairway(t testing.TB, binary string) {
	t.Helper()
	root := filepath.Dir(strings.TrimSpace(Run(t, "go", "env", "GOMOD")))
	Reads(t, root)
	Run(t, "go", "build", "-o", binary, filepath.Join(root, "cmd", "fairway"))
}

// Program is Fairway's, built once for all tests of a package, whose TestMain is Main.
type Program struct {
	once   sync.Once
	folder string
}

// Build builds the program, at the first call, and gives its path.
func (p *Program) Build(t testing.TB) string {
	t.Helper()
	p.once.Do(func() {
		folder, err := os.MkdirTemp("", "fairway-built-")
		if err != nil {
			t.Fatal(err)
		}
		p.folder = folder
		BuildFairway(t, filepath.Join(folder, "fairway"))
	})
	return filepath.Join(p.folder, "fairway")
}

// Main runs a package's tests, and removes what was built.
func (p *Program) Main(m *testing.M) {
	code := m.Run()
	if p.folder != "" {
		os.RemoveAll(p.folder)
	}
	os.Exit(code)
}

// Reads tells go test which folders the programs read that the test starts.
// Their result would be taken from go test's cache after a change of files that
// only they have opened; opening a folder counts for all in it.
func Reads(t testing.TB, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && path != folder && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin") {
				return filepath.SkipDir
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Setting is a number from the environment.
func Setting(t *testing.T, name string, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(usual)))
	if err != nil {
		t.Fatalf("%s: a number is needed: %v", name, err)
	}
	return n
}
