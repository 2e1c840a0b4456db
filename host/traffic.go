package host

import (
	"iter"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// Ports of the packets that are asked about: such as no rule is made for.
const sampleSrcPort, sampleDstPort = 47613, 21879

// traffic is a kind of what crosses this node between a network and the outside.
type traffic struct {
	// name tells it from others.
	name     string
	protocol uint8
	// clients is where the outside end is, client an address there; no prefix for
	// anywhere.
	clients netip.Prefix
	client  netip.Addr
	// refusal is for the answer to a connection that is refused, errors for what
	// routers say of packets that are too large.
	refusal, errors bool
}

// decisive is the traffic that decides whether a network is lost: TCP, with
// anywhere.
func decisive(six bool) traffic {
	return traffic{name: "tcp", protocol: netfilter.TCP, client: outsideAddress(six)}
}

// refusal is the answer to a connection that is refused. Without it there is a time-out.
func refusal(six bool) traffic {
	t := decisive(six)
	t.name, t.refusal = "RST", true
	return t
}

// otherTraffic are the other kinds that are asked about. Single ports and single
// clients are not: to shut one of them out is somebody's decision.
func (c *checker) otherTraffic(six bool) []traffic {
	named, out := c.facts.Filter.of(six).Mentions(), udpAndEcho(six)
	for _, p := range privateNetworks(six) {
		if a, ok := c.clientIn(p, named); ok {
			out = append(out, traffic{name: "tcp with " + p.String(), protocol: netfilter.TCP, clients: p, client: a})
		}
	}
	return out
}

// udpAndEcho are the kinds beside TCP, with anywhere.
func udpAndEcho(six bool) []traffic {
	echo := uint8(netfilter.ICMP)
	if six {
		echo = netfilter.ICMPv6
	}
	return []traffic{
		{name: "udp", protocol: netfilter.UDP, client: outsideAddress(six)},
		{name: "icmp", protocol: echo, client: outsideAddress(six)},
	}
}

// privateNetworks are the networks of RFC 1918 and RFC 4193: firewalls between a site and
// the Internet drop them as sources, where the site's own clients have them.
func privateNetworks(six bool) []netip.Prefix {
	if six {
		return []netip.Prefix{netip.MustParsePrefix("fc00::/7")}
	}
	return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}
}

// clientIn is an address of a private network that can be a client's: outside
// what is announced and what the overlay has, and if one is found soon, outside
// what rules name in particular.
func (c *checker) clientIn(p netip.Prefix, named []netip.Prefix) (netip.Addr, bool) {
	var possible netip.Addr
	for a := range sampleAddresses(p) {
		if c.want.covers(a) || slices.Contains(c.facts.Datapath.linksTo(a), c.want.Overlay) {
			continue
		}
		if !possible.IsValid() {
			possible = a
		}
		if !namedInside(a, p, named) {
			return a, true
		}
	}
	return possible, possible.IsValid()
}

// namedInside reports whether one of the sorted networks has the address and is
// narrower than p.
func namedInside(a netip.Addr, p netip.Prefix, named []netip.Prefix) bool {
	for w := range wider(netip.PrefixFrom(a, a.BitLen())) {
		if w.Bits() <= p.Bits() {
			break
		}
		if _, is := slices.BinarySearchFunc(named, w, netip.Prefix.Compare); is {
			return true
		}
	}
	return false
}

// about is what a finding about a part of the traffic is about; direction says
// how its clients stand to the network.
func (t traffic) about(n netip.Prefix, direction string) About {
	if t.clients.IsValid() {
		return aboutNetwork(n, direction+" "+t.clients.String())
	}
	return aboutNetwork(n, t.name)
}

// packet is a packet of this kind between its client and an address inside.
func (t traffic) packet(inside netip.Addr, overlay, uplink string, inbound bool, at netfilter.Segment) netfilter.Packet {
	p := netfilter.Packet{
		In: overlay, Out: uplink, Src: inside, Dst: t.client,
		Protocol: t.protocol, SrcPort: sampleSrcPort, DstPort: sampleDstPort, Flags: at.Flags, State: at.State,
	}
	begins := at.State == netfilter.New
	switch {
	case t.protocol == netfilter.ICMP && begins:
		p.Type = echoRequest
	case t.protocol == netfilter.ICMP:
		p.Type = echoReply
	case t.protocol == netfilter.ICMPv6 && begins:
		p.Type = echoRequest6
	case t.protocol == netfilter.ICMPv6:
		p.Type = echoReply6
	}
	if inbound {
		p.In, p.Out, p.Src, p.Dst = p.Out, p.In, p.Dst, p.Src
	}
	return p
}

// Types of ICMPv6 messages (RFC 4443).
const (
	echoRequest6 = 128
	echoReply6   = 129
)

// segments are all packets of a kind that this node may see, by what conntrack calls
// them. Where returns are asymmetric it may see no more of an echo than the reply,
// which conntrack takes for the beginning of nothing: it is INVALID.
func (f *Facts) segments(t traffic, asymmetric bool) []netfilter.Segment {
	switch {
	case t.protocol == netfilter.TCP && asymmetric:
		return netfilter.SeenInPart(f.picksUp())
	case t.protocol == netfilter.TCP:
		return netfilter.SeenWhole()
	case t.protocol != netfilter.UDP && asymmetric:
		return []netfilter.Segment{{State: netfilter.New}, {State: netfilter.Established}, {State: netfilter.Invalid}}
	}
	return []netfilter.Segment{{State: netfilter.New}, {State: netfilter.Established}}
}

// tcpLoose is whether conntrack begins an entry for a connection in the middle.
const tcpLoose = "net/netfilter/nf_conntrack_tcp_loose"

// picksUp is whether conntrack makes an entry for a connection that it sees from the
// middle.
func (f *Facts) picksUp() netfilter.Truth {
	switch s := f.Sysctls[tcpLoose]; {
	case s.Err != nil || s.Value == "":
		return netfilter.Maybe
	case s.Value == "0":
		return netfilter.No
	}
	return netfilter.Yes
}

// refuses is whether it is a RST: that of a refused connection.
func refuses(s netfilter.Segment) bool { return s.Flags&netfilter.RST != 0 }

// which keeps the segments that such is true of.
func which(segments []netfilter.Segment, such func(netfilter.Segment) bool) []netfilter.Segment {
	return slices.DeleteFunc(segments, func(s netfilter.Segment) bool { return !such(s) })
}

// directions are ways that packets go: true for those that come from outside.
type directions []bool

// eachPacket walks packets to and from an address, by every uplink, until visit has
// seen enough. Those that differ in TCP flags alone, of which no rule on the way asks,
// are walked once.
func (w *walker) eachPacket(inside netip.Addr, t traffic, ways directions, segments []netfilter.Segment, visit func(netfilter.Packet, netfilter.Result) (goOn bool)) {
	for _, uplink := range w.uplinks[inside.Is6()] {
		alike := map[bool][]walked{}
		for _, at := range segments {
			for _, inbound := range ways {
				if slices.ContainsFunc(alike[inbound], func(done walked) bool { return done.answersFor(at) }) {
					continue
				}
				p := t.packet(inside, w.want.Overlay, uplink, inbound, at)
				p.ReturnsByIn = w.facts.Datapath.returns(p)
				r := w.walk(p)
				alike[inbound] = append(alike[inbound], walked{at, r.FlagsAsked})
				if !visit(p, r) {
					return
				}
			}
		}
	}
}

// walked is a packet that was walked, and the flags that rules on its way asked for.
type walked struct {
	netfilter.Segment
	flagsAsked uint8
}

// answersFor reports whether another packet fares alike.
func (w walked) answersFor(s netfilter.Segment) bool {
	return w.State == s.State && (w.Flags^s.Flags)&w.flagsAsked == 0 && w.Begins() == s.Begins()
}

// sampleAddresses goes through some addresses of a prefix, evenly: at most 4096 of
// them, so that a /8 takes no longer than a /20.
func sampleAddresses(p netip.Prefix) iter.Seq[netip.Addr] {
	const steps = 4096
	first := p.Masked().Addr()
	stride := uint64(1)<<max(min(first.BitLen()-p.Bits(), 63)-12, 0) | 1 // odd, so that it meets every last byte
	return func(yield func(netip.Addr) bool) {
		for step := range uint64(steps) {
			if !yield(offset(first, step*stride+10, p)) {
				return
			}
		}
	}
}

// offset is the n-th address of a prefix, counted around.
func offset(first netip.Addr, n uint64, p netip.Prefix) netip.Addr {
	free := first.BitLen() - p.Bits()
	if free < 64 {
		n &= 1<<free - 1
	}
	b := first.AsSlice()
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		b[i] |= byte(n)
		n >>= 8
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
