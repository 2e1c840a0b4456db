package host_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// TestRoutingIsJudgedAsTheKernelDoes sends packets of both families through a node with
// random settings, routes and rules of routing: what is called ok comes through, and of
// what is called wrong something is lost. FAIRWAY_ROUTING_CASES says how many cases,
// FAIRWAY_ROUTING_SEED repeats them.
func TestRoutingIsJudgedAsTheKernelDoes(t *testing.T) {
	needs.Root(t, "ip", "sysctl")
	b := newCrossing(t)
	cases, seed := fromEnv("FAIRWAY_ROUTING_CASES", 20), fromEnv("FAIRWAY_ROUTING_SEED", 11)
	count := map[string]int{}
	for i := range cases {
		r := rand.New(rand.NewPCG(seed, i))
		b.set(r)
		b.compare(count)
		if t.Failed() {
			t.Fatalf("case %d of seed %d:\n%s", i, seed, b.story)
		}
	}
	b.take("up0", "up1", "ovn0")
	for marker, story := range b.lost {
		if b.seen[marker] {
			t.Errorf("lost, but it arrived late: %s", story)
		}
	}
	t.Logf("%d cases: %v", cases, count)
	if cases >= 20 && min(count["ok IPv4"], count["ok IPv6"], count["wrong IPv4"], count["wrong IPv6"]) < 5 {
		t.Errorf("too few of a kind: %v", count)
	}
}

func fromEnv(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// crossing is a node with two uplinks and an overlay link, whose other ends send and
// receive frames. The peer is on up0.
type crossing struct {
	t    *testing.T
	node *hosttest.Space
	far  map[string]*hosttest.Port // by the node's link
	near map[string]*hosttest.Port
	// By the number of a packet: the links that it may leave by, whether it has, and
	// the story of one that has not.
	out   map[uint32][]string
	seen  map[uint32]bool
	lost  map[uint32]string
	next  uint32
	story string
	fresh string // commands that bring the node back to what it was
}

func newCrossing(t *testing.T) *crossing {
	b := &crossing{t: t, node: hosttest.NewSpace(t), far: map[string]*hosttest.Port{}, near: map[string]*hosttest.Port{}, out: map[uint32][]string{}, seen: map[uint32]bool{}, lost: map[uint32]string{}}
	far := hosttest.NewSpace(t)
	var links, neighbours strings.Builder
	for i, l := range []struct{ name, own4, hop4, own6, hop6 string }{
		{"up0", "172.30.0.11/24", "172.30.0.1", "fd00:30::11/64", "fd00:30::1"},
		{"up1", "172.31.0.11/24", "172.31.0.1", "fd00:31::11/64", "fd00:31::1"},
		{"ovn0", "100.64.0.11/16", "100.64.0.1", "fd00:100:64::11/112", "fd00:100:64::1"},
	} {
		x := fmt.Sprintf("x%d", i)
		hosttest.Cable(t, b.node, l.name, far, x)
		fmt.Fprintf(&links, "ip addr add %s dev %s; ip -6 addr add %s dev %s nodad\n", l.own4, l.name, l.own6, l.name)
		far.Sh(fmt.Sprintf("ip addr add %s/24 dev %s; ip -6 addr add %s/64 dev %s nodad", l.hop4, x, l.hop6, x))
		b.far[l.name], b.near[l.name] = far.Open(x), b.node.Open(l.name)
		for _, hop := range []string{l.hop4, l.hop6} {
			fmt.Fprintf(&neighbours, "ip neigh replace %s lladdr %s dev %s nud reachable\n", hop, b.far[l.name].MAC, l.name)
		}
	}
	b.node.Sh(links.String())
	b.fresh = `for f in -4 -6; do
  ip $f rule flush; ip $f rule add pref 32766 lookup main; ip $f rule add pref 0 lookup local 2>/dev/null || true
  for t in 77 78 79 80; do ip $f route flush table $t 2>/dev/null || true; done
done
ip rule add pref 32767 lookup default
ip route flush proto static; ip -6 route flush proto static
ip route replace 10.166.0.0/16 via 100.64.0.1 proto static; ip -6 route replace fd00:166::/64 via fd00:100:64::1 proto static
ip route replace default via 172.30.0.1 proto static; ip -6 route replace default via fd00:30::1 proto static
sysctl -qw net.ipv4.ip_forward=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=0 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0
for l in all up0 up1 ovn0; do sysctl -qw net.ipv4.conf.$l.rp_filter=0; done
for l in up0 up1 ovn0; do echo 0 2>/dev/null >/proc/sys/net/ipv6/conf/$l/force_forwarding || true; done
` + neighbours.String()
	return b
}

// set brings the node to some state.
func (b *crossing) set(r *rand.Rand) {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var script []string
	sometimes := func(one int, commands ...string) {
		if r.IntN(one) == 0 {
			script = append(script, pick(commands...))
		}
	}
	for _, f := range []struct{ ip, cidr, half, small, up0, up1, join, private string }{
		{"ip", cidr4, "10.166.128.0/17", "10.166.5.0/24", "172.30.0.1", "172.31.0.1", "100.64.0.1", "10.0.0.0/8"},
		{"ip -6", cidr6, "fd00:166:0:0:8000::/65", "fd00:166:0:0:5::/80", "fd00:30::1", "fd00:31::1", "fd00:100:64::1", "fc00::/7"},
	} {
		say := strings.NewReplacer("IP", f.ip, "CIDR", f.cidr, "HALF", f.half, "SMALL", f.small, "UP0", f.up0, "UP1", f.up1, "JOIN", f.join, "PRIVATE", f.private).Replace
		sometimes(3, say("IP route replace default via UP1 proto static"), say("IP route replace default proto static nexthop via UP0 nexthop via UP1"), say("IP route del default"), say("IP route del default; IP route add blackhole default proto static"))
		sometimes(5, say("IP route add unreachable HALF proto static"), say("IP route add HALF via UP1 proto static"), say("IP route add prohibit SMALL proto static"), say("IP route add SMALL via JOIN proto static"))
		sometimes(6, say("IP route add blackhole PRIVATE proto static"), say("IP route add PRIVATE via UP1 proto static"))
		sometimes(8, say("IP route del CIDR"), say("IP route replace CIDR via UP0 proto static"))
		script = append(script, say("IP route add blackhole default table 77; IP route add default via JOIN table 78; IP route add default via UP1 table 79; IP route add default via UP0 table 80"))
		for range r.IntN(3) {
			where := pick("from CIDR", "to CIDR", "iif up0", "iif ovn0", "from SMALL", "to HALF", "from PRIVATE", "from all")
			script = append(script, say(fmt.Sprintf("IP rule add pref %d %s %s", 100+r.IntN(100), where, pick("lookup 77", "lookup 78", "lookup 79", "lookup 80", "lookup 81", "prohibit", "blackhole", "lookup main", "lookup main suppress_prefixlength 0"))))
		}
	}
	sometimes(4, "sysctl -qw net.ipv4.ip_forward=0", "sysctl -qw net.ipv4.conf.up0.forwarding=0", "sysctl -qw net.ipv4.conf.ovn0.forwarding=0", "sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.up0.forwarding=1 net.ipv4.conf.ovn0.forwarding=1 net.ipv4.conf.up1.forwarding=1")
	for _, link := range []string{"all", "up0", "up1", "ovn0"} {
		sometimes(3, "sysctl -qw net.ipv4.conf."+link+".rp_filter=1", "sysctl -qw net.ipv4.conf."+link+".rp_filter=2")
	}
	sometimes(4, "sysctl -qw net.ipv6.conf.all.forwarding=0", "sysctl -qw net.ipv6.conf.up0.forwarding=0")
	if _, err := os.Stat("/proc/sys/net/ipv6/conf/all/force_forwarding"); err == nil {
		sometimes(4, "sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.up0.force_forwarding=1 net.ipv6.conf.ovn0.force_forwarding=1 net.ipv6.conf.up1.force_forwarding=1", "sysctl -qw net.ipv6.conf.all.forwarding=0 net.ipv6.conf.up0.force_forwarding=1")
	}
	b.story = strings.Join(script, "\n")
	b.node.Run("sh", "-c", b.fresh)
	b.node.Run("sh", "-c", b.story)
}

// compare asks, sends, and compares.
func (b *crossing) compare(count map[string]int) {
	w := want46(cidr4, cidr6)
	var findings []host.Finding
	_ = b.node.Do(func() error { findings = host.Check(host.Read(context.Background(), w), w); return nil })
	for _, f := range []struct {
		family           host.Family
		any, private     string
		inside, far, few string
		part, small      string
	}{
		{host.IPv4, "198.51.100.7", "10.77.0.5", "10.166.0.99", "10.166.200.9", "10.166.5.9", "from 10.0.0.0/8", "part 10.166.5.0/24"},
		{host.IPv6, "2a00:1450::7", "fd77::5", "fd00:166::99", "fd00:166:0:0:8000::9", "fd00:166:0:0:5::9", "from fc00::/7", "part fd00:166:0:0:5::/80"},
	} {
		whole := b.through(f.any, f.inside) && b.through(f.any, f.far)
		b.judge(count, findings, f.family, "", whole)
		b.judge(count, findings, f.family, f.part, whole && b.through(f.private, f.inside))
		b.judge(count, findings, f.family, f.small, whole && b.through(f.any, f.few))
	}
}

// judge compares what is said of a part, of all without one, with what came of it.
func (b *crossing) judge(count map[string]int, findings []host.Finding, family host.Family, part string, passed bool) {
	var said []host.Finding
	for _, f := range findings {
		routing := f.Check == "forwarding" || f.Check == "rp_filter" || f.Check == "datapath"
		if routing && f.About.Family == family && (f.About.Part == "" || f.About.Part == part) {
			said = append(said, f)
		}
	}
	state := host.Worst(said)
	count[fmt.Sprintf("%s %s", state, family)]++
	if state == host.OK && !passed || state == host.Wrong && passed {
		b.t.Errorf("%s, %q: %s, but passed is %t", family, part, state, passed)
		for _, f := range said {
			b.t.Logf("%s %s: %s: %s", f.Check, f.Subject, f.State, f.Text())
		}
	}
}

// through sends a packet in by up0, and one back, and reports whether both arrive.
func (b *crossing) through(client, inside string) bool {
	c, i := netip.MustParseAddr(client), netip.MustParseAddr(inside)
	return b.send("up0", c, i, "ovn0") && b.send("ovn0", i, c, "up0", "up1")
}

// send reports whether a packet that comes in by a link leaves by one of others. The
// kernel forwards it before the call that sends it returns.
func (b *crossing) send(in string, src, dst netip.Addr, out ...string) bool {
	b.next++
	b.out[b.next] = out
	marker := binary.BigEndian.AppendUint32([]byte("fairway!"), b.next)
	packet := hosttest.IP(src, dst, hosttest.Transport{Protocol: unix.IPPROTO_UDP, SrcPort: 7, DstPort: 4711, Payload: marker})
	if err := b.far[in].Send(b.near[in].MAC, packet); err != nil {
		b.t.Fatal(err)
	}
	b.take(out...)
	if !b.seen[b.next] {
		b.lost[b.next] = fmt.Sprintf("%s -> %s by %s\n%s", src, dst, in, b.story)
	}
	return b.seen[b.next]
}

// take notes the markers of what has arrived.
func (b *crossing) take(links ...string) {
	for _, link := range links {
		for {
			packet, err := b.far[link].Next()
			if err != nil {
				b.t.Fatal(err)
			}
			if packet == nil {
				break
			}
			if at := bytes.Index(packet, []byte("fairway!")); at > 0 && !icmp(packet) {
				number := binary.BigEndian.Uint32(packet[at+8:])
				b.seen[number] = b.seen[number] || slices.Contains(b.out[number], link)
			}
		}
	}
}

// icmp reports whether a packet is an error about another one, which it quotes.
func icmp(packet []byte) bool {
	if packet[0]>>4 == 6 {
		return packet[6] == unix.IPPROTO_ICMPV6
	}
	return packet[9] == unix.IPPROTO_ICMP
}
