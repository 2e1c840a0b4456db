package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/objects"
)

func someState() []string {
	return []string{
		`{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"blue"},"spec":{"cidrBlock":"10.1.0.0/16"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"tor","namespace":"fairway-system"},"data":{"password":"c2VjcmV0"}}`,
	}
}

func packedState(texts []string) []packed {
	var out []packed
	for _, text := range texts {
		out = append(out, pack(text))
	}
	return out
}

func TestLastStateComesBack(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	now := time.Now()
	if err := saveState(folder, "n1", state{at: now, objects: packedState(someState())}); err != nil {
		t.Fatal(err)
	}
	// Again, over what is there.
	if err := saveState(folder, "n1", state{at: now, objects: packedState(someState())}); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, stateFile): 0o600} {
		if s, err := os.Stat(path); err != nil || s.Mode().Perm() != mode {
			t.Errorf("%s: %v %v, want %v", path, s.Mode(), err, mode)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	last, err := loadState(folder, "n1", now.Add(-time.Hour), now)
	known := last.restored(nil).objects
	if err != nil || len(known) != 2 || !last.saved.Equal(now.UTC()) {
		t.Fatalf("%v of %s: %v", known, last.saved, err)
	}
	if s, ok := known[objects.Key{Kind: objects.KindSubnet, Name: "blue"}].Value.(*objects.Subnet); !ok || s.Subnet.CIDRBlock != "10.1.0.0/16" {
		t.Errorf("Subnet: %+v", s)
	}
	if s, ok := known[objects.Key{Kind: objects.KindSecret, Namespace: "fairway-system", Name: "tor"}].Value.(objects.Secret); !ok || s["password"] != "secret" {
		t.Errorf("Secret: %t", ok)
	}
}

func TestLastStateOfAnOlderFairwayHasNothingGood(t *testing.T) {
	folder := t.TempDir()
	objects := "[" + strings.Join(someState(), ",") + "]"
	now := time.Now()
	text := fmt.Sprintf(`{"format":1,"node":"n1","saved":%q,"sha256":%q,"objects":%s}`, now.UTC().Format(time.RFC3339Nano), checksum([]byte(objects)), objects)
	if err := os.WriteFile(filepath.Join(folder, stateFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	last, err := loadState(folder, "n1", now.Add(-time.Hour), now)
	if r := last.restored(nil); err != nil || len(r.objects) != 2 || len(r.good) != 2 {
		t.Errorf("%d objects, %d values: %v", len(r.objects), len(r.good), err)
	}
}

func TestLastStateThatIsNoGood(t *testing.T) {
	now := time.Now()
	write := func(t *testing.T, change func([]byte) []byte) string {
		folder := t.TempDir()
		kept := state{at: now.Add(-time.Hour), objects: packedState(someState()), good: savedGood{Objects: []goodObject{{Text: json.RawMessage(someState()[0]), Password: "word"}}}}
		if err := saveState(folder, "n1", kept); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, stateFile)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return folder
	}
	replace := func(from, to string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) }
	}
	same := func(b []byte) []byte { return b }
	for _, c := range []struct {
		name, node string
		change     func([]byte) []byte
		oldest     time.Time
		want       string
	}{
		{"one digit changed", "n1", replace("10.1.0.0", "10.2.0.0"), now.Add(-2 * time.Hour), "checksum"},
		{"one letter of what was good changed", "n1", replace("word", "ward"), now.Add(-2 * time.Hour), "checksum"},
		{"cut short", "n1", func(b []byte) []byte { return b[:len(b)/2] }, now.Add(-2 * time.Hour), "is damaged"},
		{"empty", "n1", func([]byte) []byte { return nil }, now.Add(-2 * time.Hour), "is damaged"},
		{"another format", "n1", replace(`"format":1`, `"format":2`), now.Add(-2 * time.Hour), "format 2"},
		{"another node", "n2", same, now.Add(-2 * time.Hour), "Node n1"},
		{"too old", "n1", same, now.Add(-time.Minute), "too old"},
		{"from the future", "n1", replace(now.Add(-time.Hour).UTC().Format("2006-01-02"), "2999-01-02"), now.Add(-2 * time.Hour), "future"},
	} {
		t.Run(c.name, func(t *testing.T) {
			last, err := loadState(write(t, c.change), c.node, c.oldest, now)
			if err == nil || !strings.Contains(err.Error(), c.want) || last.texts != nil {
				t.Errorf("%v, %d objects; want an error with %q", err, len(last.texts), c.want)
			}
		})
	}
	if _, err := loadState(t.TempDir(), "n1", now, now); err == nil || !strings.Contains(err.Error(), errNoState.Error()) {
		t.Errorf("no file: %v", err)
	}
}
