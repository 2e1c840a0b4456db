package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/fairway-bgp/fairway/files"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// A golden case is a txtar file in testdata: its comment holds settings, one a
// line; its files are YAML objects, read together with testdata/base.yaml, and
// what Fairway makes of them.
//
//	node n1          plan for this node alone (default: every Node)
//	adopt            --adopt-kube-ovn-annotations
//	alone            do not read base.yaml
//	why NAME         explain this Subnet too
//	datapath-down CIDR TEXT    live fact
//	host-not-ready CIDR TEXT   live fact
//	announced NODE SUBNET CIDR ROLE   what the node announces already
//	cidr-was SUBNET CIDRBLOCK         what it was when it parsed last
//	wide             --allow-wide-prefixes
type goldenCase struct {
	settings  routes.Settings
	node, why string
	alone     bool
	live      *routes.Live
	// histories is by node; those of the other nodes are not known.
	histories   map[string]routes.History
	cidrs       map[string]string
	archive     *txtar.Archive
	archivePath string
}

func readCase(t *testing.T, path string) goldenCase {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := goldenCase{settings: routes.DefaultSettings, archive: a, archivePath: path}
	for line := range strings.Lines(string(a.Comment)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "node":
			c.node = rest
		case "why":
			c.why = rest
		case "adopt":
			c.settings.AdoptKubeOVN = true
		case "wide":
			c.settings.AllowWidePrefixes = true
		case "cidr-was":
			subnet, block, _ := strings.Cut(rest, " ")
			c.cidrs = map[string]string{subnet: block}
		case "alone":
			c.alone = true
		case "datapath-down", "host-not-ready":
			c.liveFact(t, word, rest)
		case "announced":
			c.announced(t, strings.Fields(rest))
		case "", "#":
		default:
			t.Fatalf("%s: unknown setting %q", path, word)
		}
	}
	return c
}

func (c *goldenCase) announced(t *testing.T, words []string) {
	t.Helper()
	if len(words) != 4 {
		t.Fatalf("%s: announced %q: want NODE SUBNET CIDR ROLE", c.archivePath, words)
	}
	if c.histories == nil {
		c.histories = map[string]routes.History{}
	}
	c.histories[words[0]] = routes.History{Known: true, Subnets: routes.ByNameOf(map[string]routes.SubnetHistory{words[1]: {
		Prefixes: routes.PrefixHistories{}.With(netip.MustParsePrefix(words[2]), routes.PrefixHistory{Role: routes.Role(words[3])}),
	}})}
}

func (c *goldenCase) liveFact(t *testing.T, kind, rest string) {
	if c.live == nil {
		c.live = &routes.Live{DatapathDown: map[netip.Prefix]string{}, HostNotReady: map[netip.Prefix]string{}}
	}
	cidr, text, _ := strings.Cut(rest, " ")
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		t.Fatal(err)
	}
	if kind == "datapath-down" {
		c.live.DatapathDown[p] = text
	} else {
		c.live.HostNotReady[p] = text
	}
}

// snapshot writes the YAML files to a folder and reads them like any user's.
func (c goldenCase) snapshot(t *testing.T) policy.Snapshot {
	t.Helper()
	dir := t.TempDir()
	paths := []string{dir}
	if !c.alone {
		paths = append(paths, filepath.Join("testdata", "base.yaml"))
	}
	for _, f := range c.archive.Files {
		if strings.HasSuffix(f.Name, ".yaml") {
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	contents, err := files.Read(paths, c.settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range contents.Problems {
		t.Errorf("problem in the input: %v", p)
	}
	s := contents.Snapshot
	s.Live = c.live
	if c.node != "" {
		s = s.AssumeNode(c.node)
	}
	return s
}

// recall gives the Snapshot as a daemon has it that knows the last good CIDRs.
func (c goldenCase) recall(t *testing.T, s policy.Snapshot) policy.Snapshot {
	t.Helper()
	if c.cidrs == nil {
		return s
	}
	text, err := json.Marshal(map[string]any{"cidrs": c.cidrs})
	if err != nil {
		t.Fatal(err)
	}
	var m policy.Memory
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m.Recall(s, s.At)
}

// outputs gives what Fairway prints for the case, by file name.
func (c goldenCase) outputs(t *testing.T) map[string][]byte {
	t.Helper()
	s := c.recall(t, c.snapshot(t))
	names := []string{c.node}
	if c.node == "" {
		names = nil
		for _, n := range s.Nodes {
			names = append(names, n.Name)
		}
	}
	var text, why bytes.Buffer
	var plans []policy.Plan
	var explanations []policy.Explanation
	for i, n := range names {
		s.History = c.histories[n]
		p := policy.Make(s, n)
		plans = append(plans, p)
		if i > 0 {
			text.WriteByte('\n')
		}
		if err := p.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		explanations = append(explanations, policy.Why(s, n, c.why)...)
	}
	js, err := json.MarshalIndent(plans, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{"plan.txt": text.Bytes(), "plan.json": append(js, '\n')}
	if c.why != "" {
		if err := policy.WriteWhy(&why, explanations, true); err != nil {
			t.Fatal(err)
		}
		out["why.txt"] = why.Bytes()
	}
	return out
}

func goldenPaths(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	return paths
}

func TestGolden(t *testing.T) {
	for _, path := range goldenPaths(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			c := readCase(t, path)
			got := c.outputs(t)
			if *update {
				c.rewrite(t, got)
				return
			}
			for _, name := range []string{"plan.txt", "why.txt", "plan.json"} {
				if diff := cmp.Diff(string(c.file(name)), string(got[name])); diff != "" {
					t.Errorf("%s (-want +got; go test ./policy -update rewrites it):\n%s", name, diff)
				}
			}
			for _, name := range []string{"plan.txt", "why.txt"} {
				checkWidth(t, name, got[name])
			}
		})
	}
}

func (c goldenCase) file(name string) []byte {
	i := slices.IndexFunc(c.archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return c.archive.Files[i].Data
}

func (c goldenCase) rewrite(t *testing.T, got map[string][]byte) {
	c.archive.Files = slices.DeleteFunc(c.archive.Files, func(f txtar.File) bool { return !strings.HasSuffix(f.Name, ".yaml") })
	for _, name := range []string{"plan.txt", "why.txt", "plan.json"} {
		if data, ok := got[name]; ok {
			c.archive.Files = append(c.archive.Files, txtar.File{Name: name, Data: data})
		}
	}
	if err := os.WriteFile(c.archivePath, txtar.Format(c.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkWidth fails on lines that an 80 column terminal would break, unless a
// single word is longer.
func checkWidth(t *testing.T, name string, text []byte) {
	t.Helper()
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if len(line) > 80 && len(strings.Fields(line)) > 1 {
			t.Errorf("%s: %d columns: %s", name, len(line), line)
		}
	}
}

func TestEveryReasonAndRoleHasAGoldenCase(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range goldenPaths(t) {
		var plans []policy.Plan
		if err := json.Unmarshal(readCase(t, path).file("plan.json"), &plans); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, p := range plans {
			for _, a := range p.Adverts {
				seen["role "+string(a.Role)] = true
			}
			for _, w := range p.Withheld {
				seen["reason "+string(w.Reason)] = true
			}
			for _, w := range p.Warnings {
				seen["warning "+string(w.Reason)] = true
			}
		}
	}
	for _, r := range policy.ReasonNames() {
		if !seen["reason "+string(r)] {
			t.Errorf("no golden case withholds with %s", r)
		}
	}
	for _, r := range []routes.Role{routes.RoleDistributed, routes.RoleActive, routes.RoleECMP, routes.RoleStandby, routes.RolePod} {
		if !seen[fmt.Sprintf("role %s", r)] {
			t.Errorf("no golden case announces as %s", r)
		}
	}
	for _, w := range policy.WarningReasons() {
		if !seen["warning "+string(w.Reason)] {
			t.Errorf("no golden case warns with %s", w.Reason)
		}
	}
}
