package netfilter_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host/hosttest"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// The kernel's own verdicts are what Walk is compared with: random rule sets of
// the matches that it claims to know, in a router's namespace, and random
// packets really sent through it.
//
//	FAIRWAY_KERNEL_CASES=3000 FAIRWAY_KERNEL_SEED=7 go test -run Kernel ./host/netfilter
//
// and FAIRWAY_KERNEL_FROM begins with that case, to see a failed one alone. The
// seed is the same each time, so that a change is judged by the same cases before
// and after; whoever looks for news gives another.

const (
	defaultCases   = 120
	defaultSeed    = 1
	packetsPerCase = 12
)

func TestWalkAgreesWithTheKernel(t *testing.T) {
	needs.Root(t, "iptables-legacy", "iptables-nft", "nft", "ipset", "ip")
	from, cases, seed := number("FAIRWAY_KERNEL_FROM", 0), number("FAIRWAY_KERNEL_CASES", defaultCases), number("FAIRWAY_KERNEL_SEED", defaultSeed)
	b := newBench(t)
	verdicts := map[netfilter.Verdict]int{}
	for i := from; i < cases; i++ {
		b.play(rand.New(rand.NewPCG(uint64(seed), uint64(i))), verdicts)
		if t.Failed() {
			t.Fatalf("case %d of seed %d", i, seed)
		}
	}
	b.receive()
	b.judgeLate()
	t.Logf("seed %d: %d rule sets, %d packets, %v, %d rewritten, %d tables corrected", seed, cases, b.sent, verdicts, b.rewritten, b.corrected)
	if verdicts[netfilter.Accepted] < b.sent/20 || verdicts[netfilter.Dropped] < b.sent/20 || verdicts[netfilter.Unknown] > b.sent/6 {
		t.Errorf("the cases say too little: %v", verdicts)
	}
	if cases-from >= defaultCases && (b.rewritten < b.sent/100 || b.corrected == 0) {
		t.Errorf("too few are rewritten (%d) or corrected (%d)", b.rewritten, b.corrected)
	}
}

func number(env string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	return otherwise
}

// bench is a router between two cables, whose other ends only send and receive
// frames.
type bench struct {
	t        *testing.T
	router   *hosttest.Space
	client   *hosttest.Port
	server   *hosttest.Port
	up, down *hosttest.Port
	// seen are the packets that came through, asked those that opened a
	// connection before the rules came.
	seen, asked   map[uint32][]byte
	expectDropped map[uint32]string
	sent          int
	rewritten     int
	// corrected counts tables of iptables-nft that nft had to correct.
	corrected int
	// routesByMark are the marks of the router's own rules of ip-rule(8).
	routesByMark []netfilter.MarkRule
	// late are questions for the end.
	late []func(*testing.T)
}

func newBench(t *testing.T) *bench {
	r, c, s := hosttest.NewSpace(t), hosttest.NewSpace(t), hosttest.NewSpace(t)
	hosttest.Cable(t, r, "up0", c, "c0")
	hosttest.Cable(t, r, "ovn0", s, "s0")
	b := &bench{t: t, router: r, seen: map[uint32][]byte{}, asked: map[uint32][]byte{}, expectDropped: map[uint32]string{}}
	b.client, b.server, b.up, b.down = c.Open("c0"), s.Open("s0"), r.Open("up0"), r.Open("ovn0")
	b.routesByMark = []netfilter.MarkRule{{Value: 0x80, Mask: 0x80}}
	r.Sh(fmt.Sprintf(`
ip addr add 10.1.0.1/24 dev up0; ip -6 addr add fd01::1/64 dev up0 nodad
ip addr add 10.2.0.1/24 dev ovn0; ip -6 addr add fd02::1/64 dev ovn0 nodad
ip neigh replace 10.1.0.2 lladdr %[1]s dev up0; ip neigh replace fd01::2 lladdr %[1]s dev up0
ip neigh replace 10.2.0.2 lladdr %[2]s dev ovn0; ip neigh replace fd02::2 lladdr %[2]s dev ovn0
ip link set dev up0 group 7
ip rule add fwmark 0x80/0x80 blackhole; ip -6 rule add fwmark 0x80/0x80 blackhole
ip route add default via 10.1.0.2; ip -6 route add default via fd01::2
ip route add default via 10.1.0.2 table 100; ip -6 route add default via fd01::2 table 100
ip route add blackhole 192.0.2.77; ip -6 route add blackhole fd77::77
ip route add 198.51.100.9 via 10.2.0.2; ip -6 route add fd99:1::9 via fd02::2
ip route add 10.166.0.0/16 via 10.2.0.2; ip -6 route add fd00:166::/32 via fd02::2
`, b.client.MAC, b.server.MAC))
	for key, value := range map[string]string{"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1", "net.ipv4.conf.all.rp_filter": "0",
		"net.ipv4.conf.up0.rp_filter": "0", "net.ipv4.conf.ovn0.rp_filter": "0", "net.ipv4.icmp_ratelimit": "0"} {
		r.Sysctl(key, value)
	}
	return b
}

// probe is one packet of a case.
type probe struct {
	netfilter.Packet
	marker uint32
}

// play makes a rule set, sends packets, and compares.
func (b *bench) play(r *rand.Rand, verdicts map[netfilter.Verdict]int) {
	six := r.IntN(3) == 0
	b.clear()
	probes := b.probes(r, six)
	b.establish(probes)
	text := generate(r, six)
	routing := b.routeByMark(r)
	text.install(b.router)
	rules := map[bool]*netfilter.Ruleset{false: b.read(false), true: b.read(true)}
	for _, p := range probes {
		b.send(p)
	}
	for _, p := range probes {
		result := rules[p.Src.Is6()].Walk(p.Packet)
		verdicts[result.Verdict]++
		story := func() string {
			return fmt.Sprintf("%s\n%s"+routing+"\nevaluated as: %s by %v (doubt %v: %s)\n%s\n%s", p, text, result.Verdict, result.By, result.Doubt, result.Question, trail(result), b.dump())
		}
		switch result.Verdict {
		case netfilter.Accepted:
			if !b.arrives(p.marker) {
				b.t.Errorf("accepted, but the kernel dropped it: %s", story())
				return
			}
			if result.Rewritten == netfilter.Yes {
				b.rewritten++
			}
			if got := sourceOf(b.seen[p.marker]); (got != p.Src) != (result.Rewritten == netfilter.Yes) && result.Rewritten != netfilter.Maybe {
				b.t.Errorf("rewritten is %s, but it arrived from %s: %s", result.Rewritten, got, story())
				return
			}
		case netfilter.Dropped:
			if b.receive(); b.seen[p.marker] != nil {
				b.t.Errorf("dropped, but it arrived: %s", story())
				return
			}
			b.expectDropped[p.marker] = fmt.Sprint(p, text)
		}
	}
}

// routeByMark gives the router other rules of ip-rule(8) than the case before had, and
// says which. They stand behind the one that all cases have.
func (b *bench) routeByMark(r *rand.Rand) string {
	b.router.Sh("for six in '' -6; do while ip $six rule del pref 200 2>/dev/null; do :; done; done")
	b.routesByMark = b.routesByMark[:1]
	said := ""
	for range r.IntN(3) {
		rule := netfilter.MarkRule{Value: pick(r, []uint32{0x10, 0x30}), Mask: pick(r, []uint32{0x10, 0x30, ^uint32(0)})}
		rule.Value &= rule.Mask
		text := fmt.Sprintf("rule add pref 200 fwmark %#x/%#x %s", rule.Value, rule.Mask, pick(r, []string{"blackhole", "unreachable", "prohibit", "lookup 100"}))
		if _, err := b.router.Command("", "sh", "-c", "ip "+text+" && ip -6 "+text); err == nil { // else it is there
			b.routesByMark = append(b.routesByMark, rule)
			said += text + "\n"
		}
	}
	return said
}

// send sends a packet from the side that it comes from.
func (b *bench) send(p probe) {
	b.sendFrom(p.In, p.bytes())
	b.sent++
}

func (b *bench) sendFrom(link string, packet []byte) {
	from, to := b.client, b.up
	if link == "ovn0" {
		from, to = b.server, b.down
	}
	if err := from.Send(to.MAC, packet); err != nil {
		b.t.Fatal(err)
	}
}

func trail(r netfilter.Result) string {
	var out strings.Builder
	for i := range r.Trail {
		fmt.Fprintf(&out, "  %s => %s\n", &r.Trail[i], r.Trail[i].Did)
	}
	return out.String()
}

// judgeLate looks for packets that came after their case was judged.
func (b *bench) judgeLate() {
	for marker, story := range b.expectDropped {
		if b.seen[marker] != nil {
			b.t.Errorf("dropped, but it arrived late: %s", story)
		}
	}
}

func (b *bench) dump() string {
	return b.router.Run("sh", "-c", "iptables-legacy-save; ip6tables-legacy-save; nft list ruleset; ipset save")
}

// clear takes all rules, sets and connections away.
func (b *bench) clear() {
	// Connections are tracked only while some rule asks for them.
	b.router.RunWith("flush ruleset\ntable inet tracking {\n chain input {\n type filter hook input priority 0;\n ct state new counter\n }\n}\n", "nft", "-f", "-")
	for _, six := range []string{"", "6"} {
		var used []byte
		b.router.Do(func() (err error) { // no such file: none is used
			used, err = os.ReadFile("/proc/thread-self/net/ip" + six + "_tables_names")
			return err
		})
		var empty strings.Builder
		for _, table := range strings.Fields(string(used)) {
			fmt.Fprintf(&empty, "*%s\n", table)
			if table == "filter" {
				empty.WriteString(":FORWARD ACCEPT\n")
			}
			empty.WriteString("COMMIT\n")
		}
		if empty.Len() > 0 {
			b.router.RunWith(empty.String(), "ip"+six+"tables-legacy-restore")
		}
	}
	// The kernel gives sets free some time after the rules that name them.
	b.router.Run("ipset", "flush") // a set in a list is in use too
	b.until(func() bool { _, err := b.router.Command("", "ipset", "destroy"); return err == nil }, "the sets stay in use")
	err := b.router.Do(func() error { return netlink.ConntrackTableFlush(netlink.ConntrackTable) })
	if err != nil {
		b.t.Fatal(err)
	}
}

// read gives the ruleset from what the tools print.
func (b *bench) read(six bool) *netfilter.Ruleset {
	family, six6 := netfilter.IPv4, ""
	if six {
		family, six6 = netfilter.IPv6, "6"
	}
	rs := &netfilter.Ruleset{RoutesByMark: b.routesByMark, Links: map[string]netfilter.Link{"up0": {Group: 7, Type: "ether"}, "ovn0": {Type: "ether"}}, Local: routerAddresses()}
	for _, backend := range []netfilter.Backend{netfilter.IptablesLegacy, netfilter.IptablesNft} {
		save := "ip" + six6 + strings.TrimPrefix(string(backend), "ip") + "-save"
		tables, err := netfilter.ParseIptables(b.router.Run(save), backend, family)
		if err != nil {
			b.t.Fatal(err)
		}
		rs.Tables = append(rs.Tables, tables...)
	}
	tables, err := netfilter.ParseNft([]byte(b.router.Run("nft", "-j", "list", "ruleset")))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, t := range tables {
		printed := rs.Find(netfilter.IptablesNft, t.Family, t.Name)
		if printed == nil {
			printed = t
			rs.Tables = append(rs.Tables, t)
		} else if printed.Reconcile(t) {
			b.corrected++
		}
		if t.NeedsListing() {
			printed.ReadListing(b.router.Run("nft", "list", "table", string(t.Family), t.Name))
		}
	}
	if rs.Sets, err = netfilter.ParseIPSets(b.router.Run("ipset", "save")); err != nil {
		b.t.Fatal(err)
	}
	return rs
}

// pools of values that rules and packets share, small, so that they meet.
func addresses(six bool) (from, to []string) {
	if six {
		return []string{"fd99::1", "fd99::2", "fd99:1::1"}, []string{"fd00:166::10", "fd00:166::11", "fd00:166:1::10"}
	}
	return []string{"203.0.113.1", "203.0.113.2", "198.51.100.7"}, []string{"10.166.0.10", "10.166.0.11", "10.166.1.10"}
}

// returnsByOvn0 is a client whose replies would leave by the wrong link.
func returnsByOvn0(six bool) string {
	if six {
		return "fd99:1::9"
	}
	return "198.51.100.9"
}

func ports() []uint16 { return []uint16{22, 80, 443, 1024, 8080} }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// probes are packets of different connections, most of them of one family.
func (b *bench) probes(r *rand.Rand, mostly6 bool) []probe {
	var out []probe
	taken := map[netfilter.Packet]bool{}
	for len(out) < packetsPerCase {
		six := mostly6 != (r.IntN(4) == 0)
		src, dst := addresses(six)
		p := netfilter.Packet{In: "up0", Out: "ovn0", Src: netip.MustParseAddr(pick(r, append(src, returnsByOvn0(six)))), Dst: netip.MustParseAddr(pick(r, dst)), State: netfilter.New, ReturnsByIn: netfilter.Yes}
		if r.IntN(2) == 0 { // a Pod's
			p.In, p.Out, p.Src, p.Dst = p.Out, p.In, p.Dst, netip.MustParseAddr(pick(r, src))
		}
		switch r.IntN(4) {
		case 0:
			p.Protocol, p.SrcPort, p.DstPort = netfilter.UDP, pick(r, ports()), pick(r, ports())
		case 1:
			p.Protocol, p.SrcPort = netfilter.ICMP, uint16(r.IntN(60000)) // its identifier
			if six {
				p.Protocol = netfilter.ICMPv6
			}
			p.Type, p.Code = somethingWrong(r, six) // or 0
		default:
			p.Protocol, p.SrcPort, p.DstPort = netfilter.TCP, pick(r, ports()), pick(r, ports())
		}
		answer := p
		answer.In, answer.Out, answer.Src, answer.Dst, answer.SrcPort, answer.DstPort = p.Out, p.In, p.Dst, p.Src, p.DstPort, p.SrcPort
		if taken[p] || taken[answer] {
			continue // a second packet of a connection has another state
		}
		taken[p] = true
		astray := p.Src == netip.MustParseAddr(returnsByOvn0(six))
		if astray {
			p.ReturnsByIn = netfilter.No
		}
		state := pick(r, []netfilter.State{netfilter.New, netfilter.New, netfilter.Established, netfilter.Invalid})
		if astray {
			state = netfilter.New // no reply finds its way
		}
		p.State, p.Flags, p.Type = stateful(r, p, state)
		out = append(out, probe{p, uint32(b.sent + len(out) + 1)}) // markers are never used twice
	}
	return out
}

// stateful gives flags or type that bring a packet into a state, and the state
// that it then has.
func stateful(r *rand.Rand, p netfilter.Packet, want netfilter.State) (netfilter.State, uint8, uint8) {
	request, reply := uint8(8), uint8(0)
	if p.Protocol == netfilter.ICMPv6 {
		request, reply = 128, 129
	}
	switch {
	case p.Type != 0 && want == netfilter.Invalid:
		return want, 0, p.Type
	case p.Type != 0:
		return netfilter.Related, 0, p.Type
	case p.Protocol == netfilter.UDP && want == netfilter.Invalid:
		return netfilter.New, 0, 0
	case p.Protocol == netfilter.UDP:
		return want, 0, 0
	case p.Protocol != netfilter.TCP && want == netfilter.New:
		return want, 0, request
	case p.Protocol != netfilter.TCP:
		return want, 0, reply
	case want == netfilter.New:
		return want, pick(r, []uint8{netfilter.SYN, netfilter.SYN, netfilter.ACK, data, fin, rst}), 0
	case want == netfilter.Established:
		return want, pick(r, []uint8{synAck, netfilter.ACK, data, fin, rst}), 0
	}
	return want, pick(r, []uint8{synAck, netfilter.RST, fin, netfilter.ACK, data}), 0
}

// somethingWrong is type and code of an ICMP error, or 0 for an echo.
func somethingWrong(r *rand.Rand, six bool) (kind, code uint8) {
	switch {
	case r.IntN(2) == 0:
		return 0, 0
	case six:
		return pick(r, []uint8{1, 2, 3}), 0 // unreachable, too big, too late
	}
	return pick(r, []uint8{3, 11}), 0
}

func (p probe) bytes() []byte {
	return hosttest.IP(p.Src, p.Dst, hosttest.Transport{Protocol: p.Protocol, SrcPort: p.SrcPort, DstPort: p.DstPort, Flags: p.Flags, Type: p.Type, Code: p.Code, Payload: p.payload()})
}

// payload ends with the marker. That of an error is the packet that it is about.
func (p probe) payload() []byte {
	marked := binary.BigEndian.AppendUint32([]byte("fairway!"), p.marker)
	if p.isError() {
		return p.about(marked)
	}
	return marked
}

// isError is whether it is an ICMP error about another packet.
func (p probe) isError() bool {
	return p.Protocol == netfilter.ICMP && p.Type != 0 && p.Type != 8 || p.Protocol == netfilter.ICMPv6 && p.Type < 128
}

// about is a packet that the one whom the error reaches has sent.
func (p probe) about(payload []byte) []byte {
	return hosttest.IP(p.Dst, p.Src, hosttest.Transport{Protocol: netfilter.UDP, SrcPort: p.SrcPort, DstPort: 4242, Payload: payload})
}

// establish sends what brings conntrack to see each packet in its state, while there are
// no rules: what it answers, what it goes on with, or what it is an error about.
func (b *bench) establish(probes []probe) {
	for _, p := range probes {
		before := p.before(binary.BigEndian.AppendUint32([]byte("fairway?"), p.marker))
		if before == nil {
			continue
		}
		from := p.Out
		if p.goesOn() {
			from = p.In
		}
		b.sendFrom(from, before)
		// It must be through before rules come.
		b.until(func() bool { b.receive(); return b.asked[p.marker] != nil }, "the first packet of a connection does not pass an empty router")
	}
}

// goesOn is whether a packet is of a connection of which the other direction is not
// seen: a FIN or a RST that is NEW, or an ACK behind a SYN, which is INVALID.
func (p probe) goesOn() bool {
	switch {
	case p.Protocol != netfilter.TCP:
		return false
	case p.State == netfilter.New:
		return p.Flags&(netfilter.FIN|netfilter.RST) != 0
	}
	return p.State == netfilter.Invalid && (p.Flags == netfilter.ACK || p.Flags == data)
}

// before is the packet before, nil where there is none.
func (p probe) before(payload []byte) []byte {
	t := hosttest.Transport{Protocol: p.Protocol, SrcPort: p.DstPort, DstPort: p.SrcPort, Flags: netfilter.SYN, Payload: payload}
	switch {
	case p.isError() && p.State == netfilter.Related:
		return p.about(payload)
	case p.goesOn():
		if t.SrcPort, t.DstPort = p.SrcPort, p.DstPort; p.State == netfilter.New {
			t.Flags = netfilter.ACK
		}
		return hosttest.IP(p.Src, p.Dst, t)
	case p.State != netfilter.Established:
		return nil
	case p.Protocol == netfilter.ICMP:
		t.SrcPort, t.Type = p.SrcPort, 8
	case p.Protocol == netfilter.ICMPv6:
		t.SrcPort, t.Type = p.SrcPort, 128
	case p.Flags != synAck:
		t.Flags = netfilter.ACK // conntrack begins in the middle
	}
	return hosttest.IP(p.Dst, p.Src, t)
}

func (b *bench) until(done func() bool, complaint string) bool {
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			if complaint != "" {
				b.t.Fatal(complaint)
			}
			return false
		}
		time.Sleep(50 * time.Microsecond) // the deadline bounds it
	}
	return true
}

func (b *bench) arrives(marker uint32) bool {
	return b.until(func() bool { b.receive(); return b.seen[marker] != nil }, "")
}

// receive takes in what has come to either side.
func (b *bench) receive() {
	for _, port := range []*hosttest.Port{b.client, b.server} {
		for {
			packet, err := port.Next()
			if err != nil {
				b.t.Fatal(err)
			}
			if packet == nil {
				break
			}
			b.keep(packet, "fairway!", b.seen)
			b.keep(packet, "fairway?", b.asked)
		}
	}
}

// keep files a packet of ours by its marker. What the router says about one that
// it rejects quotes it, and is another.
func (b *bench) keep(packet []byte, sign string, in map[uint32][]byte) {
	i := bytes.Index(packet, []byte(sign))
	if i > 0 && len(packet) == i+12 && !fromRouter(packet) {
		in[binary.BigEndian.Uint32(packet[i+8:])] = packet
	}
}

// fromRouter reports whether a packet is an ICMP error of the router's own.
func fromRouter(packet []byte) bool {
	isError := packet[9] == netfilter.ICMP && (packet[20] == 3 || packet[20] == 5 || packet[20] == 11)
	if packet[0]>>4 == 6 {
		isError = packet[6] == netfilter.ICMPv6 && packet[40] < 128
	}
	return isError && slices.Contains(routerAddresses(), sourceOf(packet))
}

func routerAddresses() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("fd01::1"), netip.MustParseAddr("fd02::1")}
}

func sourceOf(packet []byte) netip.Addr {
	from := packet[12:16]
	if packet[0]>>4 == 6 {
		from = packet[8:24]
	}
	a, _ := netip.AddrFromSlice(from)
	return a
}
