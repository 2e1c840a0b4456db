package policy_test

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/files"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// noon is when the daemons of these tests are asked.
var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// TestDiffGolden takes running.yaml as what runs, and change.yaml as what is laid over it.
// Settings are "prune" and "datapath-down CIDR TEXT".
func TestDiffGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/diff/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := []byte(prospectOf(t, a))
			checkWidth(t, "diff.txt", got)
			i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "diff.txt" })
			if *update {
				if i < 0 {
					i, a.Files = len(a.Files), append(a.Files, txtar.File{Name: "diff.txt"})
				}
				a.Files[i].Data = got
				if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if i < 0 {
				t.Fatal("no diff.txt: go test ./policy -update makes it")
			}
			if diff := cmp.Diff(string(a.Files[i].Data), string(got)); diff != "" {
				t.Errorf("(-want +got; go test ./policy -update rewrites it):\n%s", diff)
			}
		})
	}
}

func prospectOf(t *testing.T, a *txtar.Archive) string {
	t.Helper()
	batches := map[string][]objects.Batch{}
	for _, f := range a.Files {
		batches[f.Name] = []objects.Batch{{Name: f.Name, Objects: objects.Parse(f.Name, f.Data)}}
	}
	var withheld []policy.Withheld
	prune := false
	for line := range strings.Lines(string(a.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "prune":
			prune = true
		case "datapath-down":
			cidr, text, _ := strings.Cut(rest, " ")
			withheld = append(withheld, policy.Withheld{Prefix: cidr, Reason: routes.DatapathDown, Detail: text})
		}
	}
	before, good := files.Assemble(batches["running.yaml"], nil, routes.DefaultSettings)
	laid, _ := objects.Overlay(batches["running.yaml"], batches["change.yaml"], prune, noon)
	after, _ := files.Assemble(laid, good, routes.DefaultSettings)
	for _, p := range slices.Concat(before.Problems, after.Problems) {
		t.Errorf("problem in the input: %v", p)
	}
	p := policy.Prospect{}
	var plans []policy.Plan
	for _, n := range before.Snapshot.Nodes {
		seen := policy.Foresee(policy.Running{Node: n.Name, Memory: announcing(before.Snapshot, n.Name), Withheld: withheld}, before.Snapshot, after.Snapshot, noon)
		p.Nodes, plans = append(p.Nodes, seen.Difference), append(plans, seen.Now)
	}
	p.RemarkResets(plans)
	var b bytes.Buffer
	if err := p.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// announcing gives the memory of a daemon that has run for a while.
func announcing(s policy.Snapshot, node string) policy.Memory {
	var m policy.Memory
	s = m.Recall(s, noon.Add(-time.Hour))
	return m.Remember(s, policy.Make(s, node))
}

// TestNothingChangesAndYetSomethingIsForeseen: by the same objects a daemon goes on as it
// does.
func TestNothingChangesAndYetSomethingIsForeseen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshotGen().Draw(t, "snapshot")
		s.Live = nil
		for _, n := range s.Nodes {
			seen := policy.Foresee(policy.Running{Node: n.Name, Memory: announcing(s, n.Name)}, s, s, noon)
			if !seen.Empty() {
				t.Fatalf("%+v", seen.Difference)
			}
		}
	})
}

// TestAForeseenPlanIsNotTheOneThatIsMade: what Compare adds to the one plan gives the
// other.
func TestAForeseenPlanIsNotTheOneThatIsMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := snapshotGen().Draw(t, "before"), snapshotGen().Draw(t, "after")
		before, after := policy.Make(a, "n1"), policy.Make(b, "n1")
		d := policy.Compare(before, after)
		got, want := sentTo(before), sentTo(after)
		for _, p := range d.Prefixes {
			key := sent{p.Prefix, p.Peer}
			_, had := got[key]
			if had != (p.Fate != policy.Added) {
				t.Fatalf("%+v is said to be %s", p, p.Fate)
			}
			if p.Fate == policy.Removed {
				delete(got, key)
			} else {
				got[key] = want[key]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("what is sent (-after +before with the differences):\n%s", diff)
		}
	})
}

type sent struct {
	prefix netip.Prefix
	peer   string
}

// sentTo gives what each peer is sent, in words.
func sentTo(p policy.Plan) map[sent]string {
	out := map[sent]string{}
	for _, a := range p.Adverts {
		for _, e := range p.Exports(a) {
			x := e.Attributes
			hop := a.NextHop
			if x.NextHop.IsValid() {
				hop = x.NextHop
			}
			out[sent{a.Prefix, e.Peer}] = strings.Join([]string{a.Subnet, string(a.Role), hop.String(), cmpText(x.Communities), cmpText(x.LargeCommunities), cmpText(x.MED), cmpText(x.LocalPref), cmpText(x.ASPathPrepend)}, " ")
		}
	}
	return out
}

func cmpText(v any) string { return cmp.Diff(nil, v) }
