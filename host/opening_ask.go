package host

import (
	"iter"
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
		for _, t := range append([]traffic{decisive(p.six)}, udpAndEcho(p.six)...) {
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

// Whom an opening would overrule.
const (
	overrules = "an accept before it would let in what the rules behind it turn away or limit"
	allowList = "it ends an allow list: others are let in before it, by name"
)

// walkCost is what a walk costs besides its rules, in rules.
const walkCost = 10

// keepDecisions takes back the openings that would let in somebody whom the rules turn
// away or limit without the drops, and those of drops that end an allow list: where one
// that is named passes, and anybody does not.
func (p *opener) keepDecisions() {
	stopped := p.stopped()
	with, drops := p.with(p.drops), len(p.drops)
	for sample := range p.samples() {
		for i, k := range sample {
			by := stopped[i]
			if by == nil || !p.opens(by) {
				continue // what is opened is not what it meets
			}
			if p.left <= 0 {
				return
			}
			p.left -= 3 * (walkCost + p.names.VisitedRules)
			if p.rules.Walk(k.Packet).Verdict == netfilter.Accepted {
				p.refuse(by, allowList)
			} else if o := p.overrules(with, k); o != nil {
				p.refuse(o.by, overrules)
			}
			if len(p.drops) < drops {
				with, drops = p.with(p.drops), len(p.drops)
			}
		}
	}
}

// stopped is, for each packet of anybody, what drops it; nil for what passes.
func (p *opener) stopped() []*netfilter.Step {
	var out []*netfilter.Step
	for _, k := range p.anybody {
		out = append(out, p.rules.Walk(k.Packet).By)
	}
	return out
}

// opens is whether the drop is opened.
func (p *opener) opens(by *netfilter.Step) bool {
	return slices.ContainsFunc(p.drops, func(o opened) bool { return sameStep(o.by, by) })
}

// overrules is the opening that, among the rules with all of them, lets a packet in which
// would not get in without the drops, or nil.
func (p *opener) overrules(with *netfilter.Ruleset, k question) *opened {
	r := with.Walk(k.Packet)
	if r.Verdict != netfilter.Accepted || p.ideal.Walk(k.Packet).Verdict == netfilter.Accepted {
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

// samples are the packets of anybody, as somebody has them whom rules name: clients, parts of
// the network, and ports.
func (p *opener) samples() iter.Seq[[]question] {
	n, plain, anyone := p.network.Prefix, p.plain(p.network.Prefix), outsideAddress(p.six)
	return func(yield func([]question) bool) {
		for _, m := range p.named {
			inside, client := plain, m.Addr()
			switch {
			case client.Is6() != p.six || m.Bits() == 0 || m.Contains(plain):
				continue
			case n.Contains(client):
				inside, client = client, anyone
			case p.want.covers(client) || slices.Contains(p.facts.Datapath.linksTo(client), p.want.Overlay):
				continue
			}
			if !yield(p.packets(inside, client, p.network.Asymmetric)) {
				return
			}
		}
		for _, port := range p.ports {
			if !yield(at(port, p.anybody)) {
				return
			}
		}
	}
}

// at are the same packets with another port of the node's side.
func at(port uint16, anybody []question) []question {
	out := slices.Clone(anybody)
	for i := range out {
		if out[i].inbound {
			out[i].DstPort = port
		} else {
			out[i].SrcPort = port
		}
	}
	return out
}
