package files

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	node := func(name string) string { return "apiVersion: v1\nkind: Node\nmetadata: {name: " + name + "}\n" }
	write("in/..2026/n1.yaml", node("n1"))
	write("in/b.yml", node("n2"))
	write("in/c.json", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"n3"}}`)
	write("in/.hidden.yaml", node("hidden"))
	write("in/.b.yml.swp", node("swp"))
	write("in/b.yml~", node("tilde"))
	write("in/README", "no object")
	write("in/sub/d.yaml", node("sub"))
	write("in/d.yaml/e.yaml", node("folder-like-a-file"))
	outside := write("extra", "\xef\xbb\xbf%YAML 1.1\r\n---\r\n"+strings.ReplaceAll(node("n4"), "\n", "\r\n")+
		"...\n--- {apiVersion: v1, kind: Node, metadata: {name: n5}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"+
		"---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: b}\n")
	for link, target := range map[string]string{"in/..data": "..2026", "in/a.yaml": "..data/n1.yaml"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Read([]string{outside, filepath.Join(dir, "in"), filepath.Join(dir, "in", "b.yml")}, routes.DefaultSettings)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range c.Snapshot.Nodes {
		names = append(names, n.Name)
	}
	if want := []string{"n1", "n2", "n3", "n4", "n5"}; !slices.Equal(names, want) || len(c.Problems) > 0 {
		t.Errorf("nodes %v, want %v; problems %v", names, want, c.Problems)
	}
	if want := []string{"BGPPeer (metallb.io/v1beta2): 1", "Deployment (apps/v1): 2"}; !slices.Equal(c.Ignored, want) {
		t.Errorf("ignored %q, want %q", c.Ignored, want)
	}
	_, err = Read([]string{filepath.Join(dir, "gone")}, routes.DefaultSettings)
	if err == nil || !strings.Contains(err.Error(), "read objects: stat "+dir+"/gone: no such file") {
		t.Errorf("error %v", err)
	}
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// problemText gives each problem as severity and text.
func problemText(c objects.Contents) string {
	var b strings.Builder
	for _, p := range c.Problems {
		b.WriteString(string(p.Severity) + " " + p.Error() + "\n")
	}
	return b.String()
}

// read gives the Contents of one file with the given text.
func read(t *testing.T, text string) objects.Contents {
	t.Helper()
	return known{}.next([]look{{root: "dir", files: []content{{name: "in.yaml", data: []byte(text)}}}}, routes.DefaultSettings, noon).contents
}

func utf16Text(order binary.ByteOrder, text string) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out, _ = binary.Append(out, order, u)
	}
	return string(out)
}

// What is wrong with a file as a whole.
func TestFileProblems(t *testing.T) {
	const subnet = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s}\n"
	for name, tc := range map[string]struct{ text, want string }{
		"UTF-16, little endian":          {utf16Text(binary.LittleEndian, "\ufeff"+subnet+"spec: {}\n---\n"+subnet), "wrong in.yaml: is not UTF-8, but looks like UTF-16: save it as UTF-8"},
		"UTF-16, big endian":             {utf16Text(binary.BigEndian, "\ufeff"+subnet+"spec: {}"), "wrong in.yaml: is not UTF-8, but looks like UTF-16: save it as UTF-8"},
		"UTF-16 without its mark":        {utf16Text(binary.LittleEndian, subnet+"spec: {}"), "wrong in.yaml: is not UTF-8, but looks like UTF-16: save it as UTF-8"},
		"empty":                          {" \n", "wrong in.yaml: is empty"},
		"a document that cannot be read": {subnet + "spec: {}\n---\na: [b", "wrong in.yaml document 2: line 6: did not find expected ',' or ']'"},
		"whole":                          {subnet + "spec: {}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.TrimSpace(problemText(read(t, tc.text))); got != tc.want {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}
