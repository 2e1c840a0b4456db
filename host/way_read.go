package host

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AskDatapath is ReadDatapath with the kernel's own answers of where packets to and
// from the networks of the Want go: about 30 µs each, ten or so a network.
func AskDatapath(w Want) Datapath { return askDatapath(w, func(Policy, bool) bool { return true }) }

// AskWhereRulesLead is AskDatapath for what is looked at often: without rules in
// ip-rule(8) table main's routes are the last word, and nothing is asked.
func AskWhereRulesLead(w Want) Datapath {
	return askDatapath(w, func(p Policy, six bool) bool { return p.Other[six] })
}

func askDatapath(w Want, asked func(p Policy, six bool) bool) Datapath {
	d, links := readDatapath(w.Overlay)
	if d.Err != nil {
		return d
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		d.Err = fmt.Errorf("ask for routes: %w", err)
		return d
	}
	defer handle.Close()
	ask := wayAsker{handle, links, map[string]string{}}
	d.Ways = map[Trip]Way{}
	// Who the peers are reached by says by which links packets come in.
	for _, peer := range w.Peers {
		if t := (Trip{To: peer}); peer.Zone() == "" && asked(d.Policy, peer.Is6()) {
			d.Ways[t] = ask.way(t)
		}
	}
	for _, six := range []bool{false, true} {
		if !asked(d.Policy, six) {
			continue
		}
		for _, t := range d.waysFor(w).trips(six) {
			if _, known := d.Ways[t]; !known {
				d.Ways[t] = ask.way(t)
			}
		}
	}
	return d
}

// wayAsker asks the kernel where packets go (RTM_GETROUTE).
type wayAsker struct {
	handle *netlink.Handle
	links  linkIndex
	// settings are those that were read so far.
	settings map[string]string
}

// way asks about one packet. A route or a rule that refuses it is an error (fib_props
// in net/ipv4/fib_semantics.c), or a type of IPv6 in older kernels. So is a strict
// reverse path filter: EXDEV, and EINVAL since Linux 6.14.
func (a wayAsker) way(t Trip) Way {
	routes, err := a.get(t, true)
	if err == nil && len(linksOf(routes, a.links)) == 0 && routes[0].Type == unix.RTN_UNICAST {
		routes, err = a.get(t, false) // a next hop object has no links of its own
	}
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		return Way{Refusal: noRoute}
	case (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EXDEV)) && a.isStrict(t):
		return Way{Refusal: strictOrBlackhole}
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EXDEV):
		return Way{Refusal: refusals[unix.RTN_BLACKHOLE]}
	case errors.Is(err, unix.EACCES):
		return Way{Refusal: refusals[unix.RTN_PROHIBIT]}
	case errors.Is(err, unix.EHOSTUNREACH) && !a.forwardsNothing(t):
		return Way{Refusal: refusals[unix.RTN_UNREACHABLE]}
	case err != nil:
		return Way{Err: fmt.Errorf("ask the kernel for the way of %s: %w", t, err)}
	}
	if refusal := refusals[routes[0].Type]; refusal != "" {
		return Way{Refusal: refusal}
	}
	return Way{Links: linksOf(routes, a.links)}
}

// get asks with the packet's source and incoming link; with match the answer is the
// whole route, with each of its links.
func (a wayAsker) get(t Trip, match bool) ([]netlink.Route, error) {
	o := netlink.RouteGetOptions{FIBMatch: match}
	if t.From.IsValid() {
		o.SrcAddr = t.From.AsSlice()
	}
	if t.In != "" {
		index, there := a.links.index[t.In]
		if !there {
			return nil, fmt.Errorf("no link %s", t.In)
		}
		o.IifIndex = index
	}
	routes, err := a.handle.RouteGetWithOptions(t.To.AsSlice(), &o)
	if err == nil && len(routes) == 0 {
		err = errors.New("no answer")
	}
	return routes, err
}

// forwardsNothing reports whether the incoming link's own setting has IPv4 packets
// refused, whatever the routes say (ip_route_input_slow in net/ipv4/route.c).
func (a wayAsker) forwardsNothing(t Trip) bool {
	if t.In == "" || t.To.Is6() {
		return false
	}
	return a.setting(forwardingKey(t.In, false)) != "1"
}

// isStrict reports whether the incoming link's reverse path filter is.
func (a wayAsker) isStrict(t Trip) bool {
	if t.In == "" || t.To.Is6() {
		return false
	}
	return max(a.setting(rpFilterKey("all")), a.setting(rpFilterKey(t.In))) == "1"
}

// setting reads a sysctl, once.
func (a wayAsker) setting(key string) string {
	if _, known := a.settings[key]; !known {
		a.settings[key] = ReadSysctl(key).Value
	}
	return a.settings[key]
}

// linksOf are the links that the first of the routes leaves by.
func linksOf(routes []netlink.Route, links linkIndex) []string {
	var out []string
	all, _ := hopsOf(routes[0], links.name)
	for _, l := range all {
		if l != "" {
			out = append(out, l)
		}
	}
	return out
}

// linkIndex tells links' names from their numbers, and the other way round.
type linkIndex struct {
	name  map[int]string
	index map[string]int
}

func indexOf(links []netlink.Link) linkIndex {
	out := linkIndex{map[int]string{}, map[string]int{}}
	for _, l := range links {
		out.name[l.Attrs().Index], out.index[l.Attrs().Name] = l.Attrs().Name, l.Attrs().Index
	}
	return out
}

// ruleOf is a rule as Policy has it.
func ruleOf(r netlink.Rule) PolicyRule {
	out := PolicyRule{Priority: r.Priority, Transport: r.IPProto != 0 || r.Sport != nil || r.Dport != nil || r.Tos != 0}
	out.From, _ = prefixOf(r.Src)
	out.To, _ = prefixOf(r.Dst)
	out.Text = fmt.Sprintf("%d: from %s", r.Priority, orAll(out.From))
	if out.To.IsValid() {
		out.Text += " to " + out.To.String()
	}
	if r.IifName != "" {
		out.Text += " iif " + r.IifName
	}
	if out.Transport {
		out.Text += " for some protocol, port or TOS"
	}
	if r.Table != 0 {
		out.Text += fmt.Sprintf(" lookup %d", r.Table)
	}
	if r.Invert { // the networks are those that it is not for
		out.From, out.To, out.Text = netip.Prefix{}, netip.Prefix{}, out.Text+", inverted"
	}
	return out
}

func orAll(p netip.Prefix) string {
	if !p.IsValid() {
		return "all"
	}
	return p.String()
}
