package export

import (
	"net"
	"net/netip"
)

// iosPaths is the most paths of IOS XE; older IOS has 16.
const iosPaths = 32

// iosPeering prints Cisco IOS and IOS XE configuration. It does without peer
// groups, whose members IOS wants to name again in each address family.
func iosPeering(t *text, p peering) {
	how := append([]string{"Cisco IOS, IOS XE: paste in configure mode.", additive,
		"`maximum-paths` holds for all of BGP: keep yours where it is greater."}, sourceNote(p)...)
	if p.settings.ExtendedNextHop {
		how = append(how, "EXTENDED NEXT HOP: IOS takes no IPv4 prefix with an IPv6 next hop; give BGPPeer "+p.peer+" an IPv4 session.")
	}
	t.peeringHeader(p, how...)
	for _, f := range p.families {
		ciscoLists(t, p, f)
		if f.v6 && f.on {
			t.line("ipv6 unicast-routing")
		}
	}
	ciscoGshut(t, "ip community-list standard "+gshut+" permit 65535:0", " ")
	t.line("!")
	t.line("router bgp %d", p.settings.PeerASN)
	if p.mixed {
		t.line(" bgp bestpath as-path multipath-relax")
	}
	for _, g := range p.groups {
		for _, n := range g.neighbours {
			iosNeighbour(t, p, g, n)
		}
	}
	for _, f := range p.families {
		iosFamily(t, p, f)
	}
	t.line("!")
}

// ciscoLists prints prefix lists of IOS and NX-OS. Without sequence numbers they
// can be loaded again after entries were added.
func ciscoLists(t *text, p peering, f family) {
	if !f.on {
		return
	}
	t.line("%s prefix-list %s deny %s le %d", f.ip(), none(f), f.all(), f.bits())
	for _, r := range f.rules {
		t.line("%s prefix-list %s permit %s%s", f.ip(), p.in(f), r.prefix, r.le())
	}
}

func iosNeighbour(t *text, p peering, g group, n neighbour) {
	s := p.settings
	t.line(" neighbor %s remote-as %d", n.address, n.asn)
	t.line(" neighbor %s description fairway %s", n.address, n.node)
	if !s.Passive {
		t.line(" neighbor %s transport connection-mode passive", n.address)
	}
	if s.Password != "" {
		t.line(" neighbor %s password %s", n.address, placeholder)
	}
	switch {
	case s.TTLSecurity && g.internal:
		t.comment("neighbor %s: IOS has ttl-security for eBGP only", n.address)
	case s.TTLSecurity:
		t.line(" neighbor %s ttl-security hops 1", n.address)
	case s.EBGPMultihop && !g.internal:
		t.line(" neighbor %s ebgp-multihop %d", n.address, anyHop)
	}
	if keepalive, hold, given := p.timers(); given {
		t.line(" neighbor %s timers %d %d", n.address, keepalive, hold)
	}
	if s.GracefulRestartTime > 0 {
		t.line(" neighbor %s ha-mode graceful-restart", n.address)
	}
}

func iosFamily(t *text, p peering, f family) {
	if !f.on && f.v6 {
		return // only IPv4 is active unless told otherwise
	}
	t.line(" !")
	t.line(" address-family %s", f.af())
	for _, g := range p.groups {
		for _, n := range g.neighbours {
			if !f.on {
				t.line("  no neighbor %s activate", n.address)
				continue
			}
			t.line("  neighbor %s activate", n.address)
			t.line("  neighbor %s prefix-list %s in", n.address, p.in(f))
			t.line("  neighbor %s prefix-list %s out", n.address, none(f))
			t.line("  neighbor %s route-map %s in", n.address, gshut)
			t.line("  neighbor %s maximum-prefix %d restart 5", n.address, f.limit)
		}
	}
	if f.on && p.paths > 1 && p.external() {
		t.line("  maximum-paths %d", p.capped(iosPaths))
	}
	if f.on && p.paths > 1 && p.internal() {
		t.line("  maximum-paths ibgp %d", p.capped(iosPaths))
	}
	t.line(" exit-address-family")
}

func iosStatic(t *text, s static) {
	t.staticHeader(s, "Cisco IOS, IOS XE: paste in configure mode.", additive, "Undo: the same lines with \"no\" before them.")
	for _, r := range s.routes {
		t.comment("%s", r.note)
		for _, hop := range r.hops {
			if r.prefix.Addr().Is6() {
				t.line("ipv6 route %s %s", r.prefix, hop)
				continue
			}
			t.line("ip route %s %s %s", r.prefix.Addr(), netmask(r.prefix), hop)
		}
	}
}

// netmask writes the length of an IPv4 prefix as 255.255.0.0.
func netmask(p netip.Prefix) string {
	return net.IP(net.CIDRMask(p.Bits(), 32)).String()
}
