package host

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// view is the facts with what several checks need of them.
type view struct {
	facts *Facts
	want  Want
	// mentions are the networks that rules name, by family.
	mentions map[bool][]netip.Prefix
	// answers keeps what was found for networks that no rule tells apart.
	answers map[string]Finding
}

func newView(f *Facts, w Want) *view {
	v := &view{facts: f, want: w, mentions: map[bool][]netip.Prefix{}, answers: map[string]Finding{}}
	for _, six := range v.families() {
		v.mentions[six] = f.Filter.of(six).Mentions()
	}
	return v
}

// alike names everything by which rules can tell a network from others: the
// networks that they name and that it lies in. "" where rules name a part of it:
// then it is like no other.
func (v *view) alike(p netip.Prefix) string {
	key := fmt.Sprint(p.Addr().Is6())
	for _, m := range v.mentions[p.Addr().Is6()] {
		switch {
		case m.Bits() > p.Bits() && p.Contains(m.Addr()):
			return ""
		case m.Bits() <= p.Bits() && m.Contains(p.Addr()):
			key += " " + m.String()
		}
	}
	return key
}

// once answers for a network, or repeats what was found for one that is alike:
// a thousand Subnets in one set are one walk.
func (v *view) once(question string, p netip.Prefix, answer func() Finding) Finding {
	key := v.alike(p)
	if key == "" {
		return answer()
	}
	key = question + " " + key
	if known, ok := v.answers[key]; ok {
		return known
	}
	found := answer()
	v.answers[key] = found
	return found
}

// families are those of the announced networks: false for IPv4, true for IPv6.
func (v *view) families() []bool {
	var out []bool
	for _, six := range []bool{false, true} {
		if v.want.has(six) {
			out = append(out, six)
		}
	}
	return out
}

// Ports of the packets that are asked about: such as no rule is made for.
const askedSrcPort, askedDstPort = 47613, 21879

// maxParts bounds how many parts of a network are asked about one by one.
const maxParts = 32

// insiders are addresses of a network: one that no rule names in particular, and
// one of each part that rules name.
func (v *view) insiders(p netip.Prefix) []netip.Addr {
	var parts []netip.Prefix
	for _, m := range v.mentions[p.Addr().Is6()] {
		if m.Bits() > p.Bits() && p.Contains(m.Addr()) && len(parts) < maxParts {
			parts = append(parts, m)
		}
	}
	out := []netip.Addr{plainAddress(p, parts)}
	for _, part := range parts {
		out = append(out, part.Addr())
	}
	return out
}

// plainAddress is an address of p outside the parts, if one is found soon.
func plainAddress(p netip.Prefix, parts []netip.Prefix) netip.Addr {
	first := p.Masked().Addr()
	for step := range 4096 {
		a := offset(first, uint64(step)*257+10, p)
		if !slices.ContainsFunc(parts, func(m netip.Prefix) bool { return m.Contains(a) }) {
			return a
		}
	}
	return first
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

// crossing is a packet between the outside and a network.
func (v *view) crossing(inside netip.Addr, uplink string, inbound bool, state netfilter.State) netfilter.Packet {
	p := netfilter.Packet{
		In: v.want.Overlay, Out: uplink, Src: inside, Dst: stranger(inside.Is6()),
		Protocol: netfilter.TCP, SrcPort: askedSrcPort, DstPort: askedDstPort, Flags: netfilter.SYN,
		State: state,
	}
	if state != netfilter.New {
		p.Flags = netfilter.SYN | netfilter.ACK // the first packet that a node sees in the middle
	}
	if inbound {
		p.In, p.Out, p.Src, p.Dst = p.Out, p.In, p.Dst, p.Src
	}
	p.ReturnsByIn = v.facts.Datapath.returns(p)
	return p
}

// ways are the packets of one state to and from a network, by every uplink.
func (v *view) ways(p netip.Prefix, states ...netfilter.State) []netfilter.Packet {
	var out []netfilter.Packet
	for _, uplink := range v.facts.Uplinks(v.want, p.Addr().Is6()) {
		for _, inside := range v.insiders(p) {
			for _, state := range states {
				out = append(out, v.crossing(inside, uplink, true, state), v.crossing(inside, uplink, false, state))
			}
		}
	}
	return out
}

func forwardDrop() Criterion {
	return Criterion{
		ID:    "forward-drop",
		Asks:  "Would a packet to or from the CIDR be dropped on its way through this node? Every rule is evaluated in order, through jumps and policies, in every place that the kernel runs: iptables-legacy, iptables-nft and native nft base chains on the hooks prerouting, forward and postrouting. Where a limit or a quota decides, or a rule rewrites the destination, the answer is unknown.",
		Why:   "one drop anywhere on the way is enough, whatever other rules accept.",
		Mend:  "`fairway check --fix` or `--host=enforce` puts an accept for the announced CIDRs before the drop where that helps: in the same iptables backend's FORWARD chain. Elsewhere the owner's configuration must allow it.",
		Drops: true,
		judge: func(v *view) []Finding {
			var out []Finding
			for _, n := range v.want.Networks {
				found := v.once("new", n.Prefix, func() Finding { return v.passes(v.ways(n.Prefix, netfilter.New, netfilter.Established)) })
				found.Subject, found.Want = n.Prefix.String(), "forwarded"
				out = append(out, found)
			}
			return out
		},
	}
}

func invalidDrop() Criterion {
	return Criterion{
		ID:    "invalid-drop",
		Asks:  "Where replies may leave by another node than requests came in by: would a packet in conntrack state INVALID be dropped? Also whether a RST in that state is, which makes a refused connection a timeout.",
		Why:   "with asymmetric returns the first packet that a node sees is a SYN-ACK, which conntrack calls INVALID, also with nf_conntrack_tcp_be_liberal=1.",
		Mend:  "`fairway check --fix` or `--host=enforce` where the drop is in iptables' FORWARD; else kube-proxy with nf_conntrack_tcp_be_liberal=1 at its start, or the firewall's own configuration. A centralized Subnet has no asymmetric returns.",
		Drops: true,
		judge: func(v *view) []Finding {
			var out []Finding
			for _, n := range v.want.Networks {
				if !n.Asymmetric {
					continue
				}
				found := v.invalid(n)
				found.Subject, found.Want = n.Prefix.String(), "forwarded in conntrack state INVALID"
				out = append(out, found)
				if found.State == OK {
					out = append(out, v.resets(n)...)
				}
			}
			return out
		},
	}
}

// invalid asks about a connection that this node sees from the middle.
func (v *view) invalid(n Network) Finding {
	return v.once("invalid", n.Prefix, func() Finding { return v.passes(v.ways(n.Prefix, netfilter.Invalid)) })
}

// resets asks about a refused connection: a RST from a Pod, in state INVALID.
// Kube-OVN's own OVN-POSTROUTING drops it (pkg/daemon/gateway_linux.go).
func (v *view) resets(n Network) []Finding {
	found := v.once("reset", n.Prefix, func() Finding {
		ways := v.ways(n.Prefix, netfilter.Invalid)
		for i := range ways {
			ways[i].Flags = netfilter.RST | netfilter.ACK
		}
		return v.passes(ways)
	})
	found.Subject, found.Want = n.Prefix.String()+" RST", "forwarded, so that a refused connection is seen at once"
	return []Finding{found}
}

// What is said where no link leads to the peers or to the outside.
const (
	noUplink    = "no route to the outside, so no uplink"
	noUplinkFix = "ip route: add the route to the routers"
)

// passes walks all packets; the first that is dropped, else the first that may
// be, is the answer.
func (v *view) passes(ways []netfilter.Packet) Finding {
	if len(ways) == 0 {
		return Finding{State: Unknown, Got: noUplink, Fix: noUplinkFix}
	}
	var doubt *Finding
	for _, p := range ways {
		rules := v.facts.Filter.of(p.Src.Is6())
		r := rules.Walk(p)
		switch r.Verdict {
		case netfilter.Dropped:
			return Finding{State: Wrong, Got: fmt.Sprintf("%s\n%s", r.By, packetText(p)), Fix: v.fix(p, r)}
		case netfilter.Unknown:
			if doubt == nil {
				doubt = &Finding{State: Unknown, Got: fmt.Sprintf("%s\nit asks what cannot be told from here: %s\n%s", r.Doubt, r.Question, packetText(p)),
					Fix: traceCommand(p) + " shows the walk; ask the rule's owner"}
			}
		}
	}
	if doubt == nil && len(v.facts.Filter.Unread) > 0 {
		doubt = &Finding{State: Unknown, Got: strings.Join(v.facts.Filter.Unread, "; "), Fix: "install the program on the node or in the image, or run as root"}
	}
	if doubt != nil {
		return *doubt
	}
	return Finding{State: OK, Got: fmt.Sprintf("forwarded: %d packets walked", len(ways))}
}

func packetText(p netfilter.Packet) string { return "for " + p.String() }

func traceCommand(p netfilter.Packet) string {
	return fmt.Sprintf("fairway check --trace %s %s", p.Src, p.Dst)
}

func masquerade() Criterion {
	return Criterion{
		ID:   "masquerade",
		Asks: "Would a new connection from the CIDR leave this node under another source address, by NAT or by a rule that writes into the packet?",
		Why:  "the network outside then sees the node and not the Pod, and what answers, or filters by Pod addresses, does not find it.",
		Mend: "Take the CIDR out of the owner's masquerading: ip-masq-agent's nonMasqueradeCIDRs, docker's --ip-masq=false, kube-proxy's --cluster-cidr, or natOutgoing of a Kube-OVN Subnet that contains it.",
		judge: func(v *view) []Finding {
			var out []Finding
			for _, n := range v.want.Networks {
				found := v.once("source", n.Prefix, func() Finding { return v.keepsSource(n) })
				found.Subject = n.Prefix.String()
				out = append(out, found)
			}
			return out
		},
	}
}

func (v *view) keepsSource(n Network) Finding {
	six := n.Prefix.Addr().Is6()
	found := Finding{Subject: n.Prefix.String(), State: OK, Want: "leaves under its own address", Got: "no rule rewrites it"}
	ways := v.ways(n.Prefix, netfilter.New)
	if len(ways) == 0 {
		found.State, found.Got, found.Fix = Unknown, noUplink, noUplinkFix
	}
	for _, p := range ways {
		if p.In != v.want.Overlay {
			continue
		}
		r := v.facts.Filter.of(six).Source(p)
		switch {
		case r.Rewritten == netfilter.Yes:
			found.State, found.Got, found.Fix = Wrong, r.RewrittenBy.String(), ownerFix(r.RewrittenBy, n.Prefix)
			return found
		case r.Rewritten == netfilter.Maybe:
			found.State, found.Got, found.Fix = Unknown, r.RewrittenBy.String(), traceCommand(p)+" shows the walk"
		}
	}
	if found.State == OK && len(v.facts.Filter.Unread) > 0 {
		found.State, found.Got = Unknown, strings.Join(v.facts.Filter.Unread, "; ")
	}
	return found
}
