package routers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/status"
)

// metallbRecipe is the page whose address the story takes as it stands there, beside the
// files with FRR's configuration and the BGPPeer.
const metallbRecipe = recipesFolder + "/metallb/README.md"

// metallbService is what MetalLB announces, and routedSubnet what Fairway does.
const (
	metallbService = "203.0.113.10/32"
	routedSubnet   = "10.166.0.0/16"
)

// metallbFRR is the FRR of the node, configured as frr-k8s does for MetalLB (its
// internal/frr/templates): with a session to an external router and one to an internal one,
// and a filter for each of what goes out.
const metallbFRR = `
log stdout
ip prefix-list 172.31.1.1-pl-ipv4 seq 1 permit 203.0.113.10/32
ip prefix-list 172.31.2.1-pl-ipv4 seq 1 permit 203.0.113.10/32
ip prefix-list nothing seq 1 deny any
route-map 172.31.1.1-out permit 1
 match ip address prefix-list 172.31.1.1-pl-ipv4
route-map 172.31.2.1-out permit 1
 match ip address prefix-list 172.31.2.1-pl-ipv4
route-map 172.31.1.1-in permit 1
 match ip address prefix-list nothing
route-map 172.31.2.1-in permit 1
 match ip address prefix-list nothing
router bgp 64512
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 bgp graceful-restart preserve-fw-state
 neighbor 172.31.1.1 remote-as 65100
 neighbor 172.31.1.1 timers connect 1
 neighbor 172.31.2.1 remote-as 64512
 neighbor 172.31.2.1 timers connect 1
 address-family ipv4 unicast
  network 203.0.113.10/32
  neighbor 172.31.1.1 activate
  neighbor 172.31.1.1 route-map 172.31.1.1-in in
  neighbor 172.31.1.1 route-map 172.31.1.1-out out
  neighbor 172.31.2.1 activate
  neighbor 172.31.2.1 route-map 172.31.2.1-in in
  neighbor 172.31.2.1 route-map 172.31.2.1-out out
 exit-address-family
`

// internalRouter is what the recipe says besides of a router of MetalLB's own AS.
const internalRouter = `
route-map 172.31.2.1-out permit 60000
 match ip address prefix-list FAIRWAY
exit
router bgp 64512
 address-family ipv4 unicast
  neighbor 172.31.2.1 next-hop-self
 exit-address-family
exit
`

// TestRouterDoesNotGetFairwaysRoutesBesideMetalLB is docs/recipes/metallb: MetalLB's FRR
// on the node has the sessions with the routers, and Fairway one with it.
func TestRouterDoesNotGetFairwaysRoutesBesideMetalLB(t *testing.T) {
	t.Parallel()
	m := newMetalLB(t)
	service := func(asPath string) route { return route{asPath: asPath, nextHop: m.nodeAt[asPath], med: "0"} }
	m.routers["r"].want(t, map[string]route{metallbService: service("64512")})
	m.collide(t)

	m.recipe(t)
	m.objects(t, `fairway.dev/advertise: "true", fairway.dev/med: "50", fairway.dev/communities: "65000:100,65000:1:2", fairway.dev/as-path-prepend: "1"`)
	m.fairway(t)
	subnet := route{asPath: "64512 65001 65001", nextHop: "172.31.1.2", med: "50", communities: "65000:100", large: "65000:1:2"}
	both := func(r route) map[string]route {
		return map[string]route{metallbService: service("64512"), routedSubnet: r}
	}
	m.routers["r"].want(t, both(subnet))
	t.Run("an internal router gets it with the node as the next hop", func(t *testing.T) {
		paths := m.routers["b"].routes(t)
		if got := paths[routedSubnet]; got.asPath != "65001 65001" || got.nextHop != "172.31.2.2" || got.med != "50" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("the kernels have it: the router's by the node, the node's by Kube-OVN's route alone", func(t *testing.T) {
		must.Await(t, "the router's kernel has the route", func() bool {
			return strings.Contains(m.ip("r", "route", "show", routedSubnet), "via 172.31.1.2 ")
		})
		if got := m.ip("n", "route", "show", routedSubnet); strings.TrimSpace(got) != routedSubnet+" via 100.64.0.1 dev ovn0" {
			t.Errorf("the node's kernel has %q", got)
		}
	})
	t.Run("attributes follow, withdrawals too, and MetalLB's sessions never end", func(t *testing.T) {
		m.objects(t, `fairway.dev/advertise: "true", fairway.dev/communities: "65000:200"`)
		m.routers["r"].want(t, both(route{asPath: "64512 65001", nextHop: "172.31.1.2", communities: "65000:200"}))
		m.objects(t, `fairway.dev/advertise: "false"`)
		m.routers["r"].want(t, map[string]route{metallbService: service("64512")})
		m.objects(t, `fairway.dev/advertise: "true"`)
		m.routers["r"].want(t, both(route{asPath: "64512 65001", nextHop: "172.31.1.2"}))
	})
	t.Run("the way into the overlay goes, and no route of FRR's stands in", func(t *testing.T) {
		must.Run(t, "ip", "-n", m.prefix+"n", "route", "del", routedSubnet)
		m.routers["r"].want(t, map[string]route{metallbService: service("64512")})
		if got := m.ip("n", "route", "show", routedSubnet); got != "" {
			t.Errorf("the node's kernel has %q", got)
		}
		must.Run(t, "ip", "-n", m.prefix+"n", "route", "add", routedSubnet, "via", "100.64.0.1", "dev", "ovn0")
		m.routers["r"].want(t, both(route{asPath: "64512 65001", nextHop: "172.31.1.2"}))
	})
	t.Run("what Fairway says of it", func(t *testing.T) {
		must.Await(t, "nothing is degraded", func() bool {
			s := m.status(t)
			return s != nil && s.Ready && len(s.Degraded()) == 0 && s.Sessions[0].Received == 0
		})
	})
	m.stop()
	m.routers["r"].want(t, map[string]route{metallbService: service("64512")})
	t.Run("without a daemon, by the objects of plan -o frr-k8s", func(t *testing.T) {
		m.exported(t)
		m.routers["r"].want(t, both(route{asPath: "64512", nextHop: "172.31.1.2", med: "0", communities: "65000:100", large: "65000:1:2"}))
	})
	if got := m.node.neighbour(t, "172.31.1.1"); got.ConnectionsDropped != 0 {
		t.Errorf("MetalLB's session with the router ended %d times", got.ConnectionsDropped)
	}
}

// besideMetalLB is a node with FRR and Fairway, and two routers.
type besideMetalLB struct {
	prefix, file string
	node         *frr
	routers      map[string]*frr
	stop         func()
	// nodeAt is the node's address at the router that sees this AS path.
	nodeAt map[string]string
}

func newMetalLB(t *testing.T) *besideMetalLB {
	t.Helper()
	needs.Root(t, "ip", frrBgpd, frrZebra, "vtysh")
	must.Reads(t, filepath.Dir(metallbRecipe))
	m := &besideMetalLB{
		prefix: fmt.Sprintf("fwt%d", os.Getpid()), file: filepath.Join(t.TempDir(), "objects.yaml"), routers: map[string]*frr{},
		nodeAt: map[string]string{"64512": "172.31.1.2"},
	}
	link(t, m.prefix, "172.31.1.1/24", "172.31.1.2/24")
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", m.prefix+"b").Run() })
	n := m.prefix + "n"
	for _, line := range []string{
		"netns add " + m.prefix + "b",
		"-n " + m.prefix + "b link set lo up",
		"-n " + m.prefix + "b link add node type veth peer name uplink2 netns " + n,
		"-n " + m.prefix + "b addr add 172.31.2.1/24 dev node",
		"-n " + m.prefix + "b link set node up",
		"-n " + n + " addr add 172.31.2.2/24 dev uplink2",
		"-n " + n + " link set uplink2 up",
		"-n " + n + " route add default via 172.31.1.1",
		// Kube-OVN's part: the overlay link, the join gateway, the route.
		"-n " + n + " link add ovn0 type veth peer name ovn",
		"-n " + n + " addr add 100.64.0.2/16 dev ovn0",
		"-n " + n + " link set ovn netns " + m.prefix + "b",
		"-n " + m.prefix + "b addr add 100.64.0.1/16 dev ovn",
		"-n " + m.prefix + "b link set ovn up",
		"-n " + n + " link set ovn0 up",
		"-n " + n + " route add " + routedSubnet + " via 100.64.0.1 dev ovn0",
	} {
		must.Run(t, append([]string{"ip"}, strings.Fields(line)...)...)
	}
	must.Run(t, "ip", "netns", "exec", n, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	const router = "log stdout\nrouter bgp %s\n bgp router-id %s\n no bgp ebgp-requires-policy\n neighbor %s remote-as 64512\n neighbor %[3]s timers connect 1\n neighbor %[3]s passive\n"
	m.routers["r"] = runFRR(t, m.prefix+"r", fmt.Sprintf(router, "65100", "10.255.0.1", "172.31.1.2"), "")
	m.routers["b"] = runFRR(t, m.prefix+"b", fmt.Sprintf(router, "64512", "10.255.0.2", "172.31.2.2"), "")
	m.node = runFRR(t, n, metallbFRR, "", "-p", "0")
	return m
}

func (m *besideMetalLB) ip(namespace string, args ...string) string {
	out, _ := exec.Command("ip", append([]string{"-n", m.prefix + namespace}, args...)...).Output() // "" where there is none
	return string(out)
}

// addressCommand is what the page has the reader type on the node.
func addressCommand(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(string(must.ReadFile(t, metallbRecipe)), "```sh ")
	_, rest, _ = strings.Cut(rest, "\n")
	command, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("%s has no block of sh", metallbRecipe)
	}
	return command
}

// recipe does what the page says, on the node.
func (m *besideMetalLB) recipe(t *testing.T) {
	t.Helper()
	must.Run(t, "ip", "netns", "exec", m.prefix+"n", "sh", "-ec", addressCommand(t))
	var object struct {
		Spec struct {
			Raw struct{ RawConfig string }
		}
	}
	if err := yaml.Unmarshal([]byte(recipeFiles(t, "metallb", "frr-configuration.yaml")), &object); err != nil || object.Spec.Raw.RawConfig == "" {
		t.Fatalf("no rawConfig in the object: %v", err)
	}
	m.load(t, object.Spec.Raw.RawConfig+internalRouter)
}

// objects writes the Node, the page's BGPPeer, and the Subnet with its annotations.
func (m *besideMetalLB) objects(t *testing.T, annotations string) {
	t.Helper()
	must.WriteFile(t, m.file, []byte(recipeFiles(t, "metallb", "peers.yaml")+`
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.31.1.2}]}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: routed, annotations: {`+annotations+`}}, spec: {cidrBlock: 10.166.0.0/16}}
`))
}

// fairway starts the daemon as the page says.
func (m *besideMetalLB) fairway(t *testing.T) {
	t.Helper()
	m.stop = daemon(t, m.prefix+"n", program.Build(t), "run", "-f", m.file, "--node", "n1", "--bgp-port=1790",
		"--host=audit", "--grpc-socket=", "--grpc-address=", "--run-dir="+t.TempDir())
}

// status is what the daemon says, nil where it does not.
func (m *besideMetalLB) status(t *testing.T) *status.Status {
	out, _ := exec.Command("ip", "netns", "exec", m.prefix+"n", program.Build(t), "status", "-o", "json").Output() // the exit status is that of a degraded one
	var s status.Status
	if json.Unmarshal(out, &s) != nil || len(s.Sessions) == 0 {
		return nil
	}
	return &s
}

// collide lets Fairway dial the router that MetalLB has a session with: it is refused, and
// what Fairway says of it leads to the page.
func (m *besideMetalLB) collide(t *testing.T) {
	t.Helper()
	must.WriteFile(t, m.file, []byte(`
{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: 172.31.1.1, peerASN: 65100, localASN: 64512}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.31.1.2}]}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: routed, annotations: {fairway.dev/advertise: "true"}}, spec: {cidrBlock: 10.166.0.0/16}}
`))
	m.fairway(t)
	defer m.stop()
	const page = "docs/recipes/metallb/README.md"
	must.Await(t, "the session says whose the router is, and the host's finding too", func() bool {
		s := m.status(t)
		return s != nil && strings.Contains(s.Sessions[0].LastError, page) && slices.ContainsFunc(s.Findings, func(f host.Finding) bool {
			return f.Check == "double-speaker" && f.State == host.Wrong && strings.Contains(f.Got, "bgpd has a session") && strings.Contains(f.Fix, page)
		})
	})
}

// exported gives FRR what frr-k8s makes of the objects that plan prints: a network for each
// prefix, and for each neighbor lists of what goes out, and with what
// (internal/frr/templates of frr-k8s). They agree with MetalLB's own in AS and neighbor.
func (m *besideMetalLB) exported(t *testing.T) {
	t.Helper()
	must.WriteFile(t, m.file, []byte(`
{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: 172.31.1.1, peerASN: 65100, localASN: 64512}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.31.1.2}]}}
---
{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: routed, annotations: {fairway.dev/advertise: "true", fairway.dev/communities: "65000:100,65000:1:2"}}, spec: {cidrBlock: 10.166.0.0/16}}
`))
	var object struct {
		Spec struct {
			BGP struct {
				Routers []struct {
					ASN       uint32
					Prefixes  []string
					Neighbors []struct {
						Address     string
						ToAdvertise struct {
							Allowed       struct{ Prefixes []string }
							WithCommunity []struct {
								Community string
								Prefixes  []string
							}
						}
					}
				}
			}
		}
	}
	out := must.Run(t, program.Build(t), "plan", "-f", m.file, "-o", "frr-k8s")
	if err := yaml.Unmarshal([]byte(out), &object); err != nil || len(object.Spec.BGP.Routers) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	r := object.Spec.BGP.Routers[0]
	var config strings.Builder
	list := func(name string, prefixes []string) {
		for _, p := range prefixes {
			fmt.Fprintf(&config, "ip prefix-list %s permit %s\n", name, p)
		}
	}
	for _, n := range r.Neighbors {
		for i, c := range n.ToAdvertise.WithCommunity {
			name := fmt.Sprintf("%s-tag-%d", n.Address, i)
			kind, value := "community", c.Community
			if large, is := strings.CutPrefix(value, "large:"); is {
				kind, value = "large-community", large
			}
			list(name, c.Prefixes)
			fmt.Fprintf(&config, "route-map %s-out permit %d\n match ip address prefix-list %s\n set %s %s additive\n on-match next\nexit\n", n.Address, 100+i, name, kind, value)
		}
		list(n.Address+"-allowed", n.ToAdvertise.Allowed.Prefixes)
		fmt.Fprintf(&config, "route-map %[1]s-out permit 200\n match ip address prefix-list %[1]s-allowed\nexit\n", n.Address)
	}
	fmt.Fprintf(&config, "router bgp %d\n address-family ipv4 unicast\n", r.ASN)
	for _, p := range r.Prefixes {
		fmt.Fprintf(&config, "  network %s\n", p)
	}
	m.load(t, config.String()+" exit-address-family\nexit\n")
}

// load gives the node's FRR more configuration.
func (m *besideMetalLB) load(t *testing.T, config string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "more.conf")
	must.WriteFile(t, file, []byte(config))
	out := must.Run(t, "vtysh", "--vty_socket", m.node.dir, "-f", file)
	if strings.Contains(out, "%") || strings.Contains(out, "rror") {
		t.Fatalf("FRR takes the configuration with: %s", out)
	}
}

// neighbour is what FRR counts of a session.
func (f *frr) neighbour(t *testing.T, address string) (n struct{ ConnectionsEstablished, ConnectionsDropped int }) {
	t.Helper()
	all := map[string]struct{ ConnectionsEstablished, ConnectionsDropped int }{}
	f.show(t, "show bgp neighbors "+address+" json", &all)
	return all[address]
}
