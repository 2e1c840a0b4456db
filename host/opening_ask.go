package host

import (
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// This file answers: which packets must pass, and whom would an opening let in that the
// rules turn away?

// question is a packet that is asked about.
type question struct {
	netfilter.Packet
	inbound bool
}

// packets are those of a whole life of connections between an address inside and a client,
// both ways, by every uplink.
func (p *planner) packets(inside, client netip.Addr, asymmetric bool) []question {
	var out []question
	for _, uplink := range p.uplinks {
		for _, t := range kinds(p.six) {
			t.client = client
			for _, at := range p.facts.segments(t, asymmetric) {
				if asymmetric && p.means.NoTrack {
					at.State = netfilter.Untracked
				}
				for _, inbound := range []bool{false, true} {
					k := t.packet(inside, p.want.Overlay, uplink, inbound, at)
					k.ReturnsByIn = p.facts.Datapath.returns(k)
					out = append(out, question{k, inbound})
				}
			}
		}
	}
	return out
}

// kinds are the kinds of traffic that are opened, with anybody.
func kinds(six bool) []traffic {
	echo := uint8(netfilter.ICMP)
	if six {
		echo = netfilter.ICMPv6
	}
	return []traffic{decisive(six), {name: "udp", protocol: netfilter.UDP}, {name: "icmp", protocol: echo}}
}

// Whom an opening would overrule.
const (
	overrules = "an accept before it would let in what the rules behind it turn away or limit"
	allowList = "it ends an allow list: others are let in before it, by name"
)

// keepDecisions takes back the openings that would let in somebody whom the rules turn
// away or limit without the drops, and those of drops that end an allow list: where one
// that is named passes, and anybody does not.
func (p *opener) keepDecisions() {
	for _, sample := range p.samples() {
		if len(p.drops) == 0 || p.left <= 0 {
			return
		}
		for i, k := range sample.questions {
			p.left -= 3 * p.names.VisitedRules
			if by := p.rules.Walk(sample.anybody[i].Packet).By; by != nil && p.opens(by) && p.rules.Walk(k.Packet).Verdict == netfilter.Accepted {
				p.refuse(by, allowList)
				continue
			}
			if o := p.overrules(k); o != nil {
				p.refuse(o.by, overrules)
			}
		}
	}
}

// opens is whether the drop is opened.
func (p *opener) opens(by *netfilter.Step) bool {
	return slices.ContainsFunc(p.drops, func(o opened) bool { return sameStep(o.by, by) })
}

// overrules is the opening that lets a packet in which would not get in without the
// drops, or nil.
func (p *opener) overrules(k question) *opened {
	if p.ideal.Walk(k.Packet).Verdict == netfilter.Accepted {
		return nil
	}
	r := p.with(p.drops).Walk(k.Packet)
	if r.Verdict != netfilter.Accepted {
		return nil
	}
	for i := range p.drops {
		o := &p.drops[i]
		if slices.ContainsFunc(r.Trail, func(s netfilter.Step) bool {
			return s.Rule != nil && s.Rule.Number == 0 && s.Rule.Text == "-A "+o.at.Chain+" "+o.text(p.want.Overlay)
		}) {
			return o
		}
	}
	return nil
}

// sample are packets of somebody whom rules name, and the same of anybody.
type sample struct{ questions, anybody []question }

// samples are of the clients, the parts of the network and the ports that rules name.
func (p *opener) samples() []sample {
	n, plain, anyone := p.network.Prefix, p.plain(p.network.Prefix), outsideAddress(p.six)
	anybody := p.packets(plain, anyone, p.network.Asymmetric)
	var out []sample
	for _, m := range p.named {
		a := m.Addr()
		switch {
		case a.Is6() != p.six || m.Bits() == 0 || m.Contains(plain):
		case n.Contains(a):
			out = append(out, sample{p.packets(a, anyone, p.network.Asymmetric), anybody})
		case !p.want.covers(a) && !slices.Contains(p.facts.Datapath.linksTo(a), p.want.Overlay):
			out = append(out, sample{p.packets(plain, a, p.network.Asymmetric), anybody})
		}
	}
	for _, port := range p.ports {
		at := slices.Clone(anybody)
		for i := range at {
			if at[i].inbound {
				at[i].DstPort = port
			} else {
				at[i].SrcPort = port
			}
		}
		out = append(out, sample{at, anybody})
	}
	return out
}
