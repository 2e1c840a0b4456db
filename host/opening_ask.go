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

// life are the packets of a connection, by what conntrack calls them: those of one that
// is seen from its beginning, and those that a node sees in the middle, where the first
// one that it takes up again is NEW (nf_conntrack_tcp_loose).
func life(asymmetric bool) []netfilter.Packet {
	out := []netfilter.Packet{
		{Protocol: netfilter.TCP, State: netfilter.New, Flags: netfilter.SYN},
		{Protocol: netfilter.TCP, State: netfilter.Established, Flags: netfilter.SYN | netfilter.ACK},
		{Protocol: netfilter.TCP, State: netfilter.Established, Flags: netfilter.PSH | netfilter.ACK},
		{Protocol: netfilter.TCP, State: netfilter.Established, Flags: netfilter.RST | netfilter.ACK},
		{Protocol: netfilter.UDP, State: netfilter.New}, {Protocol: netfilter.UDP, State: netfilter.Established},
		{Protocol: netfilter.ICMP, State: netfilter.New}, {Protocol: netfilter.ICMP, State: netfilter.Established},
	}
	if !asymmetric {
		return out
	}
	for _, flags := range []uint8{netfilter.SYN | netfilter.ACK, netfilter.ACK, netfilter.RST, netfilter.RST | netfilter.ACK} {
		out = append(out, netfilter.Packet{Protocol: netfilter.TCP, State: netfilter.Invalid, Flags: flags})
	}
	for _, flags := range []uint8{netfilter.ACK, netfilter.PSH | netfilter.ACK, netfilter.FIN | netfilter.ACK} {
		out = append(out, netfilter.Packet{Protocol: netfilter.TCP, State: netfilter.New, Flags: flags})
	}
	return append(out, netfilter.Packet{Protocol: netfilter.ICMP, State: netfilter.Invalid})
}

// packets are those between an address inside and a client, both ways, by every uplink.
func (p *planner) packets(inside, client netip.Addr, asymmetric bool) []question {
	var out []question
	for _, uplink := range p.uplinks {
		for _, k := range life(asymmetric) {
			k.SrcPort, k.DstPort = sampleSrcPort, sampleDstPort
			k.In, k.Out, k.Src, k.Dst = p.want.Overlay, uplink, inside, client
			if k.Protocol == netfilter.ICMP {
				k = p.echo(k)
			}
			if asymmetric && p.means.NoTrack {
				k.State = netfilter.Untracked
			}
			back := k
			back.In, back.Out, back.Src, back.Dst = k.Out, k.In, k.Dst, k.Src
			k.ReturnsByIn, back.ReturnsByIn = p.facts.Datapath.returns(k), p.facts.Datapath.returns(back)
			out = append(out, question{k, false}, question{back, true})
		}
	}
	return out
}

// echo makes an echo of a packet: a request where it begins something, else a reply.
func (p *planner) echo(k netfilter.Packet) netfilter.Packet {
	request, reply := uint8(echoRequest), uint8(echoReply)
	if p.six {
		k.Protocol, request, reply = netfilter.ICMPv6, echoRequest6, echoReply6
	}
	k.Type = reply
	if k.State == netfilter.New {
		k.Type = request
	}
	return k
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
