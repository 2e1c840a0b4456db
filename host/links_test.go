package host_test

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// sh runs commands on a node.
func sh(commands string) func(*hosttest.Space) {
	return func(s *hosttest.Space) { s.Sh(commands) }
}

// TestProgramsAtLinksAreNeverOK: what tc and XDP programs do to packets is not known
// here, though no rule drops any.
func TestProgramsAtLinksAreNeverOK(t *testing.T) {
	cases := []struct {
		name    string
		install func(*hosttest.Space)
		// four and six are parts of what is said of each family, "" for ok.
		four, six string
	}{
		{"nothing", sh("true"), "", ""},
		{"a discipline without filters at ingress", sh("tc qdisc add dev up0 clsact; tc qdisc add dev ovn0 ingress"), "", ""},
		{"disciplines that limit a rate", sh("tc qdisc add dev up0 root handle 1: htb default 10; tc class add dev up0 parent 1: classid 1:10 htb rate 1gbit; tc qdisc add dev ovn0 root tbf rate 1gbit burst 1mb latency 50ms"), "", ""},
		{"a filter that chooses a class", sh("tc qdisc add dev up0 root handle 1: htb default 10; tc class add dev up0 parent 1: classid 1:10 htb rate 1gbit; tc filter add dev up0 parent 1: protocol ip u32 match ip dst 10.166.0.0/16 flowid 1:10"), "", ""},
		{"a filter at ingress", sh("tc qdisc add dev up0 clsact; tc filter add dev up0 ingress protocol ip u32 match ip dst 10.166.0.0/16 flowid 1:1"), "up0 has a tc filter u32 at ingress", ""},
		{"a filter at ingress, IPv6", sh("tc qdisc add dev up0 clsact; tc filter add dev up0 ingress protocol ipv6 u32 match ip6 dst fd00:166::/64 flowid 1:1"), "", "up0 has a tc filter u32 at ingress"},
		{"a filter for everything at egress", sh("tc qdisc add dev ovn0 clsact; tc filter add dev ovn0 egress protocol all u32 match u32 0 0 flowid 1:1"), "ovn0 has a tc filter u32 at egress", "ovn0 has a tc filter u32 at egress"},
		{"a filter for what is no IP", sh("tc qdisc add dev up0 clsact; tc filter add dev up0 ingress protocol 0x88cc u32 match u32 0 0 flowid 1:1"), "", ""},
		{"a filter of the older discipline at ingress", sh("tc qdisc add dev up0 ingress; tc filter add dev up0 parent ffff: protocol all u32 match u32 0 0 flowid 1:1"), "up0 has a tc filter u32 at ingress", "up0 has a tc filter u32 at ingress"},
		{"a link that no packet of the CIDR passes", sh("ip link add other0 type veth peer name other1; ip link set other0 up; tc qdisc add dev other0 clsact; tc filter add dev other0 ingress protocol all u32 match u32 0 0 flowid 1:1"), "", ""},
		{"a port of the bridge that is the uplink", sh(`ip link add br0 type bridge; ip link set br0 up; ip addr flush dev up0; ip link set up0 master br0
ip addr add 172.30.0.11/24 dev br0; ip -6 addr add fd00:30::11/64 dev br0 nodad
ip route replace default via 172.30.0.1; ip -6 route replace default via fd00:30::1
ip route replace 10.166.0.0/16 via 100.64.0.1; ip -6 route replace fd00:166::/64 via fd00:100:64::1
tc qdisc add dev up0 clsact; tc filter add dev up0 ingress protocol all u32 match u32 0 0 flowid 1:1`), "up0 has a tc filter u32 at ingress", "up0 has a tc filter u32 at ingress"},
		{"a tcx program", func(s *hosttest.Space) { attach(t, s, "ovn0", loadTCX, attachTCX) }, "ovn0 has a tcx program at egress", "ovn0 has a tcx program at egress"},
		{"an XDP program", func(s *hosttest.Space) {
			attach(t, s, "up0", loadXDP, func(link netlink.Link, program int) error { return netlink.LinkSetXdpFdWithFlags(link, program, 2) }) // generic
		}, "up0 has a XDP program", "up0 has a XDP program"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := node(t)
			c.install(n)
			findings := host.Check(read(n), want46(cidr4, cidr6))
			for cidr, part := range map[string]string{cidr4: c.four, cidr6: c.six} {
				for _, check := range []string{"forward-drop", "invalid-drop", "masquerade"} {
					found := of(t, findings, check, cidr)
					switch {
					case part == "" && found.State != host.OK, part != "" && (found.State != host.Unknown || !strings.Contains(found.Text(), part) || found.Fix == ""):
						t.Errorf("%s of %s is %s: %s; want %q", check, cidr, found.State, found.Text(), part)
					}
				}
			}
		})
	}
}

// attach puts a program on a link that lets all packets pass.
func attach(t *testing.T, s *hosttest.Space, link string, load func() (int, error), to func(netlink.Link, int) error) {
	t.Helper()
	err := s.Do(func() error {
		program, err := load()
		if err != nil {
			return err
		}
		defer unix.Close(program)
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		return to(l, program)
	})
	if err != nil {
		t.Fatalf("attach a program: %v", err)
	}
}

// TestCiliumsUnseenProgramsAreNeverOK: where bpf(2) may not be asked, a node that
// has Cilium's links may have its programs at the uplink.
func TestCiliumsUnseenProgramsAreNeverOK(t *testing.T) {
	n := node(t)
	n.Sh("ip link add cilium_host type veth peer name cilium_net")
	facts := read(n)
	if got := notOK(host.Check(facts, want46(cidr4, cidr6))); len(got) > 0 {
		t.Errorf("its links alone: %q", got)
	}
	facts.Links.Unseen = unix.EPERM
	findings := host.Check(facts, want46(cidr4, cidr6))
	if found := of(t, findings, "forward-drop", cidr6); found.State != host.Unknown || !strings.Contains(found.Got, "Cilium is on this node") {
		t.Errorf("%s: %s", found.State, found.Text())
	}
	delete(facts.Datapath.Links, "cilium_host")
	delete(facts.Datapath.Links, "cilium_net")
	if got := notOK(host.Check(facts, want46(cidr4, cidr6))); len(got) > 0 {
		t.Errorf("without its links: %q", got)
	}
}
