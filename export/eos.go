package export

// eosPaths is the width of ECMP that every EOS platform has.
const eosPaths = 64

// eosPeering prints Arista EOS configuration.
func eosPeering(t *text, p peering) {
	how := append([]string{"Arista EOS: paste in configure mode.", additive,
		"`maximum-paths` holds for all of BGP: keep yours where it is greater."}, sourceNote(p)...)
	if p.settings.ExtendedNextHop {
		how = append(how, "EXTENDED NEXT HOP: forwarding IPv4 to IPv6 next hops asks for `ip routing ipv6 interfaces`.")
	}
	t.peeringHeader(p, how...)
	for _, f := range p.families {
		eosLists(t, p, f)
		if f.v6 && f.on {
			t.line("ipv6 unicast-routing")
			t.line("!")
		}
	}
	ciscoGshut(t, "ip community-list "+gshut+" permit GSHUT", "   ")
	t.line("!")
	t.line("router bgp %d", p.settings.PeerASN)
	if p.paths > 1 {
		t.line("   maximum-paths %d ecmp %d", p.capped(eosPaths), p.capped(eosPaths))
	}
	if p.mixed {
		t.line("   bgp bestpath as-path multipath-relax")
	}
	for _, g := range p.groups {
		eosGroup(t, p, g)
	}
	for _, f := range p.families {
		eosFamily(t, p, f)
	}
	for _, g := range p.groups {
		t.line("   !")
		for _, n := range g.neighbours {
			t.line("   neighbor %s peer group %s", n.address, g.name)
			t.line("   neighbor %s remote-as %d", n.address, n.asn)
			t.line("   neighbor %s description fairway %s", n.address, n.node)
		}
	}
	t.line("!")
}

// eosLists leaves sequence numbers to the switch, so that a list can be loaded
// again after entries were added.
func eosLists(t *text, p peering, f family) {
	if !f.on {
		return
	}
	t.line("%s prefix-list %s", f.ip(), none(f))
	t.line("   deny %s le %d", f.all(), f.bits())
	t.line("!")
	if len(f.rules) == 0 {
		return
	}
	t.line("%s prefix-list %s", f.ip(), p.in(f))
	for _, r := range f.rules {
		t.line("   permit %s%s", r.prefix, r.le())
	}
	t.line("!")
}

func eosGroup(t *text, p peering, g group) {
	s := p.settings
	t.line("   neighbor %s peer group", g.name)
	if !s.Passive {
		t.line("   neighbor %s passive", g.name)
	}
	if s.Password != "" {
		t.line("   neighbor %s password 0 %s", g.name, placeholder)
	}
	switch {
	case s.TTLSecurity:
		t.line("   neighbor %s ttl maximum-hops 1", g.name)
	case s.EBGPMultihop && !g.internal:
		t.line("   neighbor %s ebgp-multihop %d", g.name, anyHop)
	}
	if keepalive, hold, given := p.timers(); given {
		t.line("   neighbor %s timers %d %d", g.name, keepalive, hold)
	}
	// EOS counts all families of a session together.
	limit := 0
	for _, f := range p.families {
		if f.on {
			limit += f.limit
		}
	}
	t.line("   neighbor %s maximum-routes %d", g.name, limit)
	t.line("   neighbor %s idle-restart-timer 300", g.name)
}

func eosFamily(t *text, p peering, f family) {
	t.line("   !")
	t.line("   address-family %s", f.af())
	for _, g := range p.groups {
		if !f.on {
			t.line("      no neighbor %s activate", g.name)
			continue
		}
		t.line("      neighbor %s prefix-list %s in", g.name, p.in(f))
		t.line("      neighbor %s prefix-list %s out", g.name, none(f))
		t.line("      neighbor %s route-map %s in", g.name, gshut)
		if p.settings.ExtendedNextHop && !f.v6 {
			t.line("      bgp next-hop address-family ipv6")
			t.line("      neighbor %s next-hop address-family ipv6 originate", g.name)
		}
		t.line("      neighbor %s activate", g.name)
	}
	t.line("      exit")
}

// sourceNote reminds of the source address where it matters and the language
// wants an interface, whose name only the router knows.
func sourceNote(p peering) []string {
	if !p.settings.EBGPMultihop && !p.settings.Passive {
		return nil
	}
	return []string{"SOURCE: set update-source to the interface that has " + p.settings.Address.String() + ", unless packets leave with it anyway."}
}

func eosStatic(t *text, s static) {
	t.staticHeader(s, "Arista EOS: paste in configure mode.", additive, "Undo: the same lines with \"no\" before them.")
	for _, r := range s.routes {
		t.comment("%s", r.note)
		for _, hop := range r.hops {
			t.line("%s route %s %s", ciscoIP(r), r.prefix, hop)
		}
	}
}
