package daemon_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/files"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// folder is a FileSource for n1 of a folder that the test writes.
type folder struct {
	daemon.FileSource
	dir   string
	rings *bell.Bell
	log   *logrus.Entry
	said  *logtest.Hook
}

func follow(t *testing.T, texts map[string]string) *folder {
	t.Helper()
	f := &folder{dir: t.TempDir(), rings: bell.New()}
	for name, text := range texts {
		f.write(t, name, text)
	}
	log, hook := logtest.NewNullLogger()
	f.log, f.said = logrus.NewEntry(log), hook
	f.FileSource = daemon.FileSource{Source: files.New([]string{f.dir}, routes.DefaultSettings, f.rings.RingSince, f.log), Paths: []string{f.dir}, Node: "n1"}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return f
}

func (f *folder) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f *folder) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		t.Fatal(err)
	}
}

// until waits for what the source gives.
func (f *folder) until(t *testing.T, what string, ok func(policy.Snapshot, status.Source) bool) policy.Snapshot {
	t.Helper()
	late := time.After(bound)
	for {
		s, about, read := f.Latest()
		if read && ok(s, about) {
			return s
		}
		select {
		case <-f.rings.Rung():
		case <-late:
			t.Fatalf("never: %s; there are nodes %+v, about %+v", what, s.Nodes, about)
		}
	}
}

func tells(about status.Source, words string) bool {
	return slices.ContainsFunc(about.Problems, func(p status.Problem) bool { return strings.Contains(p.Error(), words) })
}

const (
	someSubnet = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s}\nspec: {cidrBlock: 10.0.0.0/16}\n"
	firstNode  = "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus: {addresses: [{type: InternalIP, address: 172.30.0.11}]}\n---\n"
	otherNode  = "apiVersion: v1\nkind: Node\nmetadata: {name: n2}\n"
)

func TestAFolderWithoutNodesIsForThisOne(t *testing.T) {
	f := follow(t, map[string]string{"s.yaml": someSubnet})
	s := f.until(t, "a node is assumed", func(s policy.Snapshot, about status.Source) bool {
		return len(s.Nodes) == 1 && len(about.Problems) == 0
	})
	if !s.Nodes[0].Ready || s.Nodes[0].Name != "n1" {
		t.Errorf("nodes %+v", s.Nodes)
	}
}

func TestALostNodeStaysWhatItWas(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, f *folder){
		"with its file":         func(t *testing.T, f *folder) { f.remove(t, "nodes.yaml") },
		"alone, from its file":  func(t *testing.T, f *folder) { f.write(t, "nodes.yaml", otherNode) },
		"first with, then back": func(t *testing.T, f *folder) { f.remove(t, "nodes.yaml"); f.write(t, "other.yaml", otherNode) },
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, map[string]string{"s.yaml": someSubnet, "nodes.yaml": firstNode + otherNode})
			f.until(t, "both nodes", func(s policy.Snapshot, about status.Source) bool {
				return len(s.Nodes) == 2 && len(about.Problems) == 0
			})
			lose(t, f)
			s := f.until(t, "told", func(_ policy.Snapshot, about status.Source) bool { return tells(about, "in the input any more") })
			if len(s.Nodes) != 2 || !s.Nodes[0].Ready || len(s.Nodes[0].InternalIPs) != 1 {
				t.Errorf("nodes %+v", s.Nodes)
			}
			f.write(t, "nodes.yaml", firstNode)
			f.until(t, "mended", func(s policy.Snapshot, about status.Source) bool { return s.HasNode("n1") && len(about.Problems) == 0 })
		})
	}
}

func TestAProblemOfFilesIsLoggedOnce(t *testing.T) {
	f := follow(t, map[string]string{"s.yaml": someSubnet})
	board, wake := &status.Board{}, bell.New()
	d := daemon.New(daemon.Options{Version: "test", Node: "n1", Log: f.log, Source: f, Speaker: &recorder{}, Board: board, Bell: wake})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	logged := func(start, words string) int {
		n := 0
		for _, e := range f.said.AllEntries() {
			if strings.HasPrefix(e.Message, start) && strings.Contains(e.Message, words) {
				n++
			}
		}
		return n
	}
	await := func(start, words string) {
		t.Helper()
		for end := time.Now().Add(bound); logged(start, words) == 0; time.Sleep(2 * time.Millisecond) {
			wake.Ring()
			if time.Now().After(end) {
				t.Fatalf("never logged: %s", words)
			}
		}
	}
	const words = "spec.vpc: 5: is not a string"
	f.write(t, "s.yaml", strings.Replace(someSubnet, "spec: {", "spec: {vpc: 5, ", 1))
	await("", words)
	f.write(t, "s.yaml", someSubnet)
	await("no longer: ", words)
	if n := logged(f.dir, words); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if n := logged("no longer: ", words); n != 1 {
		t.Errorf("logged %d times that it is over", n)
	}
}
