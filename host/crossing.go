package host

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// between judges the ways between a client and an address of the network p, by every
// link that packets come in by, and back.
func (x ways) between(p netip.Prefix, inside netip.Addr, c client) Finding {
	found := Finding{State: OK}
	for _, t := range x.inward(inside, c) {
		found = worse(found, x.judgeInward(p, t))
	}
	back := x.judgeBack(p, x.back(inside, c))
	if back.State == Wrong && !x.leadsAway(inside, c) {
		return back // which has its packets refused on the way in too, by a filter
	}
	return worse(found, back)
}

// worse is the finding that counts; of equal ones the first.
func worse(a, b Finding) Finding {
	if a.State == Wrong || b.State == OK || a.State == Unknown && b.State == Unknown {
		return a
	}
	return b
}

// leadsAway reports whether packets on the way in leave by another link: that shows
// more than a refusal does.
func (x ways) leadsAway(inside netip.Addr, c client) bool {
	return slices.ContainsFunc(x.inward(inside, c), func(t Trip) bool {
		way := x.way(t)
		return len(way.Links) > 0 && !way.by(x.Link.Name)
	})
}

// judgeInward judges where packets to the network go.
func (x ways) judgeInward(p netip.Prefix, t Trip) Finding {
	overlay, way := x.Link.Name, x.way(t)
	wrong := Finding{State: Wrong, Evidence: x.evidence(t)}
	switch {
	case way.Err != nil:
		return x.unasked(way, t)
	case way.by(overlay):
		return x.unlessTransport(t)
	case way.Refusal == strictOrBlackhole && !slices.Contains(x.way(Trip{t.To, t.From, overlay}).Links, t.In):
		if !x.Policy.Other[t.To.Is6()] && x.mainWay(t.To).by(overlay) {
			return Finding{State: OK} // the check rp_filter has it
		}
		return Finding{State: Unknown, Got: fmt.Sprintf("the reverse path filter of %s may refuse packets to %s before they are routed", t.In, p), Evidence: wrong.Evidence, Fix: looseFix(t.In)}
	case x.mainSays(t, way):
		network, route, ok := x.routeTo(t.To)
		if !ok || network.Bits() < p.Bits() && !route.leavesBy(overlay) {
			wrong.Got, wrong.Fix = fmt.Sprintf("no route to %s by %s", p, overlay), x.cniFix()
			return wrong
		}
		wrong.Got, wrong.Fix = fmt.Sprintf("the route to %s %s", network, route.describe()), route.deleteCommand(network)
		if network != p.Masked() {
			wrong.Got = fmt.Sprintf("the route to %s, a part of it, %s", network, route.describe())
		}
		if route.Refusal == "" {
			wrong.Got += ", not by " + overlay
		}
		return wrong
	}
	part := x.partWith(p, t.To)
	wrong.Fix = x.exempt(t, "to", part)
	if wrong.Got = fmt.Sprintf("a rule of `ip rule` sends packets to %s by %s, not by %s", part, listed(way.Links), overlay); way.Refusal != "" {
		wrong.Got = fmt.Sprintf("a rule of `ip rule` refuses packets to %s: %s", part, way.Refusal)
	}
	return wrong
}

// judgeBack judges where packets of the network to a client go.
func (x ways) judgeBack(p netip.Prefix, t Trip) Finding {
	way := x.way(t)
	p = x.partWith(p, t.From)
	wrong := Finding{State: Wrong, Evidence: x.evidence(t), Fix: x.exempt(t, "from", p)}
	switch {
	case way.Err != nil:
		return x.unasked(way, t)
	case way.Refusal == noRoute:
		wrong.Got, wrong.Fix = "no route back to clients outside", x.defaultRouteFix(t.To.Is6())
	case way.Refusal != "" && x.mainSays(t, way):
		network, route, _ := x.routeTo(t.To)
		wrong.Got, wrong.Fix = fmt.Sprintf("the route to %s, back to clients, %s", network, route.describe()), route.deleteCommand(network)
	case way.Refusal != "":
		wrong.Got = fmt.Sprintf("a rule of `ip rule` refuses packets from %s to the outside: %s", p, way.Refusal)
	case slices.Contains(way.Links, x.Link.Name):
		wrong.Got = fmt.Sprintf("a rule of `ip rule` sends packets from %s to the outside back by %s", p, x.Link.Name)
		if x.mainSays(t, way) {
			network, route, _ := x.routeTo(t.To)
			wrong.Got, wrong.Fix = fmt.Sprintf("the route to %s, back to clients, %s", network, route.describe()), route.deleteCommand(network)
		}
	case !x.reachesRouter(t, way):
		return Finding{State: Unknown, Got: fmt.Sprintf("a rule of `ip rule` sends packets from %s to the outside by %s, where no router is known", p, listed(way.Links)), Evidence: wrong.Evidence, Fix: wrong.Fix}
	default:
		return x.unlessTransport(t)
	}
	return wrong
}

// partWith is the narrowest part of p that has the address, p itself where none has.
func (d Datapath) partWith(p netip.Prefix, a netip.Addr) netip.Prefix {
	for _, part := range d.partsOf(p) {
		if part.Contains(a) && part.Bits() > p.Bits() {
			p = part
		}
	}
	return p
}

// mainSays reports whether table main alone leads there.
func (d Datapath) mainSays(t Trip, way Way) bool {
	main := d.mainWay(t.To)
	return main.Refusal == way.Refusal && slices.Equal(main.Links, way.Links)
}

// reachesRouter reports whether packets leave by links that lead to peers, or that table
// main has them leave by.
func (x ways) reachesRouter(t Trip, way Way) bool {
	six := t.To.Is6()
	known := slices.Concat(x.entries[six], x.mainWay(t.To).Links, x.mainWay(outsideAddress(six)).Links)
	return !slices.ContainsFunc(way.Links, func(l string) bool { return !slices.Contains(known, l) })
}

// unlessTransport is OK where no rule on the way asks for what the kernel is not asked
// with.
func (d Datapath) unlessTransport(t Trip) Finding {
	for _, r := range d.Policy.leading(t) {
		if r.Transport {
			return Finding{State: Unknown, Got: "a rule of `ip rule` may lead some protocols or ports elsewhere: " + r.Text, Evidence: d.evidence(t),
				Fix: "ip rule: look where it leads"}
		}
	}
	return Finding{State: OK}
}

func (d Datapath) unasked(way Way, t Trip) Finding {
	return Finding{State: Unknown, Got: way.Err.Error(), Evidence: d.evidence(t), Fix: "ip rule, ip route get TO from FROM iif LINK: look where they lead"}
}

func (d Datapath) cniFix() string {
	return "kubectl -n kube-system logs ds/kube-ovn-cni: it makes " + d.Link.Name + " and the routes"
}

// defaultRouteFix names a router on one of the node's own networks, if a peer is.
func (x ways) defaultRouteFix(six bool) string {
	for _, peer := range x.want.Peers {
		network, route, ok := x.routeTo(peer)
		if ok && peer.Is6() == six && network.Bits() > 0 && len(route.Via) == 1 && !route.Via[0].IsValid() {
			return fmt.Sprintf("%s route add default via %s, or a route to the clients alone", ipCommand(six), peer)
		}
	}
	return ipCommand(six) + " route add: a route to the clients, by a router"
}

// Down says for networks of a Want why this node has no working path to them; what is
// not there has one, or nothing is known of it. There is none where no client gets
// through by any link.
func (d Datapath) Down(w Want) map[netip.Prefix]string {
	out := map[netip.Prefix]string{}
	if d.Err != nil {
		return out
	}
	x := d.waysFor(w)
	for _, n := range w.Networks {
		if why := x.down(n.Prefix); why != "" {
			out[n.Prefix] = why
		}
	}
	return out
}

func (x ways) down(p netip.Prefix) string {
	if why := x.linkDown(); why != "" {
		return why
	}
	inside, first := x.plainAddress(p), ""
	for _, c := range x.clients[p.Addr().Is6()] {
		why := x.lost(p, inside, c)
		if why == "" {
			return ""
		}
		if first == "" {
			first = why
		}
	}
	return first
}

// lost says why a client's packets are, by each link that they may come in by. That
// there is no route back to it does not count: such clients need not be.
func (x ways) lost(p netip.Prefix, inside netip.Addr, c client) string {
	t, first := x.back(inside, c), ""
	noWayBack := x.way(t).Refusal == noRoute
	if back := x.judgeBack(p, t); back.State == Wrong && !noWayBack && !x.leadsAway(inside, c) {
		return back.Got
	}
	for _, t := range x.inward(inside, c) {
		found := x.judgeInward(p, t)
		if found.State != Wrong {
			return ""
		}
		if first == "" {
			first = found.Got
		}
	}
	return first
}

// linkDown says why the overlay link carries nothing, or "".
func (d Datapath) linkDown() string {
	switch {
	case !d.Link.Exists:
		return fmt.Sprintf("this node has no link %s: kube-ovn-cni has not set it up", d.Link.Name)
	case !d.Link.Up:
		return fmt.Sprintf("link %s is down", d.Link.Name)
	}
	return ""
}

// returns is whether the way back to a packet's source leaves by the link that it
// came in by. Where it does not, a real client's may all the same: the source is
// only an example of one. Routes holds the main table only: where another may be asked
// first, the answer is not known.
func (d Datapath) returns(p netfilter.Packet) netfilter.Truth {
	if !d.Policy.Other[p.Src.Is6()] && slices.Contains(d.linksTo(p.Src), p.In) {
		return netfilter.Yes
	}
	return netfilter.Maybe
}
