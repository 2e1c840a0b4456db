package replace_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/fairway-bgp/fairway/replace"
)

// alone fails unless the folder has nothing but these files.
func alone(t *testing.T, folder string, names ...string) {
	t.Helper()
	there, err := os.ReadDir(folder)
	if err != nil || len(there) != len(names) {
		t.Fatalf("%v, %v; want %v", there, err, names)
	}
	for i, f := range there {
		if f.Name() != names[i] {
			t.Errorf("there is %s, want %s", f.Name(), names[i])
		}
	}
}

func TestFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "state.json")
	for _, contents := range []string{"first, and longer", "second"} {
		if err := replace.File(path, []byte(contents), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != contents {
			t.Errorf("%q, %v, want %q", got, err, contents)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	alone(t, folder, "state.json")
}

func TestWhatCannotBeReplacedStays(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "state.json")
	if err := os.MkdirAll(filepath.Join(path, "full"), fs.ModePerm); err != nil {
		t.Fatal(err)
	}
	if err := replace.File(path, []byte("x"), 0o600); err == nil {
		t.Error("a folder that is not empty was replaced")
	}
	alone(t, folder, "state.json")
	if err := replace.File(filepath.Join(folder, "missing", "x"), nil, 0o600); err == nil {
		t.Error("its folder is not there, and no error")
	}
}

// TestAFaultHasTheSameWordsEachTime: whoever logs an error once must see that it is
// the same.
func TestAFaultHasTheSameWordsEachTime(t *testing.T) {
	const path, want = "/proc/state.json", "replace /proc/state.json: no such file or directory"
	for range 2 {
		if err := replace.File(path, nil, 0o600); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestSweepRemovesWhatAKilledWriterLeft(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{".state.json-17", ".other.json-4", "state.json", "state.json-5"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("a password"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := replace.Sweep(filepath.Join(folder, "state.json")); err != nil {
		t.Fatal(err)
	}
	alone(t, folder, ".other.json-4", "state.json", "state.json-5")
	if err := replace.Sweep(filepath.Join(folder, "missing", "state.json")); err != nil {
		t.Error(err)
	}
}
