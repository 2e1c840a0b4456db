package netfilter

import (
	"net/netip"
	"slices"
	"strings"
)

// This file answers: of which type is an address (-m addrtype, fib daddr type)?

// addrtype is "-m addrtype ! --dst-type LOCAL". With --limit-iface-in the address must
// be one of that link's, which is not known of those that are this node's.
func (p part) addrtype() match {
	var asked all
	limited := p.has("limit-iface-in") || p.has("limit-iface-out")
	for _, o := range p.options {
		if o.name != "src-type" && o.name != "dst-type" {
			continue
		}
		m := o.compile(func(option) match {
			kinds := strings.Split(strings.ToLower(o.value()), ",")
			for _, k := range kinds {
				if _, ok := constants[kindAddrType][k]; !ok {
					return nil
				}
			}
			return typeMatch{source: o.name == "src-type", limited: limited, kinds: kinds}
		})
		if m == nil {
			return nil
		}
		asked = append(asked, m)
	}
	return asked
}

// typeMatch is whether an address is of one of some types.
type typeMatch struct {
	source  bool
	limited bool
	kinds   []string
}

func (m typeMatch) matches(p *Packet) Truth {
	a := p.addr(m.source)
	switch {
	case m.limited && p.isLocal(a):
		return Maybe
	case p.is6():
		return m.matches6(p, a)
	}
	possible := p.kindsOf(m.source)
	found := truthOf(slices.Contains(m.kinds, possible[0]))
	for _, kind := range possible[1:] {
		found = either(found, truthOf(slices.Contains(m.kinds, kind)))
	}
	return found
}

// matches6 is for IPv6: multicast and unicast in the list must both hold, and unicast is
// every address that is not multicast, also one of this node; of the other types one is
// enough (match_type6 in xt_addrtype.c).
func (m typeMatch) matches6(p *Packet, a netip.Addr) Truth {
	if !a.IsValid() {
		return Maybe
	}
	possible, looked, found := p.kindsOf(m.source), false, No
	for _, k := range m.kinds {
		switch k {
		case "multicast", "unicast":
			if a.IsMulticast() != (k == "multicast") {
				return No
			}
		case "unspec":
			if !a.IsUnspecified() {
				return No
			}
		default:
			looked = true
			if slices.Contains(possible, k) {
				found = found.or(truthOf(len(possible) == 1).or(Maybe))
			}
		}
	}
	if !looked {
		return Yes
	}
	return found
}

// isLocal is whether an address is this node's own.
func (p *Packet) isLocal(a netip.Addr) bool {
	return slices.Contains(p.rules.Local, a) || a.IsLoopback()
}

// kindsOf are the types that the kernel may have for an address of the packet, as far as
// a forwarded packet's can be: unicast, unless it is this node's own. For IPv4 it looks
// into table local only (inet_addr_type in net/ipv4/fib_frontend.c). For IPv6 it looks
// for a route (nft_fib6_eval_type in nft_fib_ipv6.c): without one, or with one that
// refuses, it has a type that says so. A destination has one, or nothing is forwarded,
// and so has a source to which the way back is known; others may or may not. The first
// address of a network is its routers' anycast address (RFC 4291 section 2.6.1).
func (p *Packet) kindsOf(source bool) []string {
	a := p.addr(source)
	switch {
	case !a.IsValid():
		return append(refusedKinds(), "local", "multicast", "broadcast", "anycast")
	case p.isLocal(a):
		return []string{"local"}
	case a.IsMulticast():
		return []string{"multicast"}
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return []string{"broadcast"}
	}
	kinds := []string{"unicast"}
	if p.is6() && (source && p.ReturnsByIn != Yes || !source && p.destination.truth != No) {
		kinds = refusedKinds()
	}
	if b := a.As16(); p.is6() && b[14]|b[15] == 0 {
		kinds = append(kinds, "anycast")
	}
	return kinds
}

// refusedKinds are what an address may be without a way to it.
func refusedKinds() []string {
	return []string{"unicast", "unreachable", "blackhole", "prohibit", "throw"}
}
