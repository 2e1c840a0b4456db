package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// broken is a way to spoil a file; it gives the text unchanged where it does not apply.
type broken struct {
	name  string
	spoil func(r *run, text string) string
}

func everyFile() []broken {
	replaced := func(from, to string) func(*run, string) string {
		return func(_ *run, text string) string { return strings.Replace(text, from, to, 1) }
	}
	return []broken{
		{"a line that is no YAML", replaced("metadata:\n", "metadata:\n : [\n")},
		{"a tab", replaced("  name:", "\tname:")},
		{"a typo in kind", func(_ *run, text string) string {
			return strings.NewReplacer("kind: Subnet", "kind: Subnett", "kind: Node", "kind: Noed").Replace(text)
		}},
		{"a typo in apiVersion", replaced("apiVersion: ", "apiVersion: v")},
		{"half written", (*run).half},
		{"empty", func(*run, string) string { return "" }},
	}
}

func subnetFile() []broken {
	return append(everyFile(),
		broken{"a typo in the annotation", func(_ *run, text string) string {
			return strings.NewReplacer(`"true"`, `"ture"`).Replace(text)
		}},
		broken{"a typo in cidrBlock", func(_ *run, text string) string {
			return strings.NewReplacer(".0.0/16", ".0.O/16", "::/64", "::/64x").Replace(text)
		}},
	)
}

// half is the text cut off inside a line.
func (r *run) half(text string) string {
	for {
		if at := 1 + r.rng.IntN(len(text)-1); text[at-1] != '\n' {
			return text[:at]
		}
	}
}

// fileBroken spoils the file of a Subnet, sees that the daemons read it and keep what
// was, and writes something valid again: what was there, or something new.
func (r *run) fileBroken() {
	name, how := draw(r, r.names(r.announced)), draw(r, subnetFile())
	r.say("Subnet %s: its file is spoilt: %s", name, how.name)
	r.spoil(fileOf(name), how)
	nat := !r.mostly()
	r.edit(name, func(s *subnet) { s.nat = nat })
}

func (r *run) nodesFileBroken() {
	how := draw(r, everyFile())
	r.say("Nodes: their file is spoilt: %s", how.name)
	r.spoil("nodes.yaml", how)
	r.change(nil, func() { r.write("nodes.yaml", r.nodesText()) })
	r.allRead()
}

// spoil writes a broken file as an editor does that writes in place.
func (r *run) spoil(file string, how broken) {
	r.Helper()
	path := filepath.Join(r.ClusterDir(), file)
	text := how.spoil(r, string(must.ReadFile(r, path)))
	r.change(nil, func() { must.WriteFile(r, path, []byte(text)) })
	r.allRead()
}

// folderMoved takes the folder away for a moment.
func (r *run) folderMoved() {
	r.say("the folder is moved away and back")
	away := r.ClusterDir() + ".away"
	r.change(nil, func() {
		r.rename(r.ClusterDir(), away)
		time.Sleep(moment)
		r.rename(away, r.ClusterDir())
	})
	r.allRead()
}

func (r *run) rename(from, to string) {
	r.Helper()
	if err := os.Rename(from, to); err != nil {
		r.Fatal(err)
	}
}
