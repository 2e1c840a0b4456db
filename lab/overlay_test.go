package lab

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const threeNodes = `
kind: Node
metadata: {name: n1, labels: {zone: a}}
---
kind: Node
metadata: {name: n2, labels: {zone: b}}
---
kind: Node
metadata: {name: n3, labels: {zone: b}}
status: {conditions: [{type: Ready, status: "False"}]}
`

const twoPods = `
kind: Pod
metadata: {name: a, annotations: {ovn.kubernetes.io/logical_switch: s, ovn.kubernetes.io/ip_address: "10.1.0.2, fd01::2"}}
spec: {nodeName: n1}
---
kind: Pod
metadata: {name: b, annotations: {ovn.kubernetes.io/logical_switch: s, ovn.kubernetes.io/ip_address: 10.1.0.3}}
spec: {nodeName: n3}
`

// The return path is what makes distributed and centralized different.
func TestReturnPaths(t *testing.T) {
	for name, tc := range map[string]struct{ spec, want string }{
		"distributed: each Pod by its node":    {"{cidrBlock: 10.1.0.0/16}", "10.1.0.2/32 n1, fd01::2/128 n1, 10.1.0.3/32 n3"},
		"centralized: the first ready gateway": {"{cidrBlock: 10.1.0.0/16, gatewayType: centralized, gatewayNode: 'n3, n2,n1'}", "10.1.0.0/16 n2"},
		"gateways with addresses":              {"{cidrBlock: 10.1.0.0/16, gatewayType: centralized, gatewayNode: 'gone:1.2.3.4,n2:fd00::1'}", "10.1.0.0/16 n2"},
		"ECMP: all ready gateways":             {"{cidrBlock: 10.1.0.0/16, gatewayType: centralized, enableEcmp: true, gatewayNode: 'n2,n3,n1'}", "10.1.0.0/16 n1+n2"},
		"gateways by label":                    {"{cidrBlock: 10.1.0.0/16, gatewayType: centralized, gatewayNodeSelectors: [{matchLabels: {zone: b}}]}", "10.1.0.0/16 n2"},
		"no gateway is ready":                  {"{cidrBlock: 10.1.0.0/16, gatewayType: centralized, gatewayNode: n3}", ""},
		"both families":                        {"{cidrBlock: 'fd01::/64,10.1.0.0/16', gatewayType: centralized, gatewayNode: n1}", "fd01::/64 n1, 10.1.0.0/16 n1"},
		"underlay is none of the overlay":      {"{cidrBlock: 10.1.0.0/16, vlan: v}", ""},
		"another VPC neither":                  {"{cidrBlock: 10.1.0.0/16, vpc: mine}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := clusterFrom(t, threeNodes+"---"+twoPods+"---\nkind: Subnet\nmetadata: {name: s}\nspec: "+tc.spec+"\n")
			if got := returnText(overlayOf(c).returns); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// The controller's own choice counts, also where it looks stale.
func TestActiveGatewayFromStatus(t *testing.T) {
	subnet := "kind: Subnet\nmetadata: {name: s}\nspec: {cidrBlock: 10.1.0.0/16, gatewayType: centralized, gatewayNode: 'n1,n2'}\nstatus: {activateGateway: n3}\n"
	if got := returnText(overlayOf(clusterFrom(t, threeNodes+"---\n"+subnet)).returns); got != "10.1.0.0/16 n3" {
		t.Errorf("got %s", got)
	}
}

func clusterFrom(t *testing.T, text string) cluster {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, problems, err := readCluster(dir)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return c
}

func returnText(returns []returnPath) string {
	var texts []string
	for _, r := range returns {
		var names []string
		for _, n := range nodesOfTable(r.table) {
			names = append(names, n.name)
		}
		texts = append(texts, r.from.String()+" "+strings.Join(names, "+"))
	}
	return strings.Join(texts, ", ")
}

// One bad object costs itself alone, and a file that makes no sense keeps what
// it said.
func TestBadObjectsCostThemselvesAlone(t *testing.T) {
	c := cluster{}
	err := c.addDocuments("f.yaml", []byte(`
kind: Subnet
metadata: {name: bad-cidr}
spec: {cidrBlock: 10.1.0.0/33}
---
kind: Subnet
metadata: {name: bad-type}
spec: {cidrBlock: 10.2.0.0/16, natOutgoing: "perhaps"}
---
kind: List
items:
- {kind: Pod, metadata: {name: nowhere}}
- {kind: Subnet, metadata: {name: good}, spec: {cidrBlock: 10.3.0.0/16}}
---
kind: [
---
kind: Subnet
metadata: {name: last}
spec: {cidrBlock: 10.4.0.0/16}
`))
	for _, want := range []string{"Subnet bad-cidr: spec.cidrBlock", "natOutgoing", "Pod nowhere: without the annotations"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if got := overlayOf(c).cidrs; !slices.Equal(got, prefixes("10.3.0.0/16", "10.4.0.0/16")) {
		t.Errorf("CIDRs %v", got)
	}
	last := cluster{subnets: []subnet{
		{file: "f.yaml", name: "bad-cidr", cidrs: prefixes("10.1.0.0/16")},
		{file: "f.yaml", name: "good", cidrs: prefixes("10.33.0.0/16")},
		{file: "deleted.yaml", name: "deleted", cidrs: prefixes("10.5.0.0/16")},
	}}
	kept := c.with(last, func(file string) bool { return file == "f.yaml" })
	if got := overlayOf(kept).cidrs; !slices.Equal(got, prefixes("10.1.0.0/16", "10.3.0.0/16", "10.4.0.0/16")) {
		t.Errorf("CIDRs %v", got)
	}
}

// Every set of nodes has a table of its own.
func TestReturnTables(t *testing.T) {
	seen := map[int]bool{}
	for table := returnTableBase + 1; table < returnTableBase+1<<nodeCount; table++ {
		var names []string
		for _, n := range nodesOfTable(table) {
			names = append(names, n.name)
		}
		if got := returnTable(names); got != table || seen[got] {
			t.Errorf("%v: table %d, want %d", names, got, table)
		}
		seen[table] = true
	}
	if got := returnTable([]string{"elsewhere"}); got != 0 {
		t.Errorf("an unknown node has table %d", got)
	}
}

// What the taps read is a header by the book or nothing.
func TestEndpoints(t *testing.T) {
	v4 := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 198, 51, 100, 2, 10, 166, 0, 10, 0x9c, 0x40, 0, 80}
	src, dst, ok := endpoints(v4)
	if !ok || src != netip.MustParseAddrPort("198.51.100.2:40000") || dst != netip.MustParseAddrPort("10.166.0.10:80") {
		t.Errorf("%v %v %v", src, dst, ok)
	}
	for length := range v4 {
		if _, _, ok := endpoints(v4[:length]); ok {
			t.Errorf("%d bytes are no TCP packet", length)
		}
	}
	udp := slices.Clone(v4)
	udp[9] = 17
	if _, _, ok := endpoints(udp); ok {
		t.Error("UDP is no TCP")
	}
}

func TestFitKeepsWordsAndColumns(t *testing.T) {
	long := strings.Repeat("word ", 20) + "end"
	lines := fit([]string{"A      B", long, strings.Repeat("x", 100)}, 40)
	for _, line := range lines {
		if len(line) > 40 {
			t.Errorf("too long: %q", line)
		}
	}
	if got := strings.Join(strings.Fields(strings.Join(lines, " ")), ""); got != "AB"+strings.ReplaceAll(long, " ", "")+strings.Repeat("x", 100) {
		t.Errorf("text lost: %q", lines)
	}
}

func TestHalfAFileIsNoEmptyFile(t *testing.T) {
	for text, half := range map[string]bool{
		"apiVersion: kubeovn.io/v1\n":         true,
		"# a comment\n":                       false,
		"# a comment\n---\n# and another\n":   false,
		"kind: ConfigMap\napiVersion: v1\n":   false,
		"# c\napiVersion: v1\nkind: Subnet\n": true,
	} {
		var c cluster
		if err := c.addDocuments("f.yaml", []byte(text)); (err != nil) != half {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestATypoInKindIsNoDeletion: what the file said before goes on.
func TestATypoInKindIsNoDeletion(t *testing.T) {
	for kind, good := range map[string]bool{"Subnet": true, "BGPPeer": true, "Secret": true, "Subent": false, "subnet": false, "Nodes": false, "Pdo": false} {
		dir := t.TempDir()
		text := "kind: " + kind + "\nmetadata: {name: s}\nspec: {cidrBlock: 10.1.0.0/24}\n"
		if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, problems, err := readCluster(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := problems["a.yaml"] == nil; got != good {
			t.Errorf("%s: %v", kind, problems)
		}
	}
}
