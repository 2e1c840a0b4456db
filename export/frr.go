package export

// frrPaths is the number of next hops that FRR is usually built for
// (configure --enable-multipath).
const frrPaths = 64

// frrPeering prints FRR configuration, checked against FRR 8.4.4.
//
// The group is complete before it gets its first member, so that no session
// comes up without its lists.
func frrPeering(t *text, p peering) {
	t.peeringHeader(p,
		"FRR 8: load with `vtysh -f FILE`, or take it into frr.conf.",
		additive,
		"`maximum-paths` holds for all of BGP: keep yours where it is greater.")
	for _, f := range p.families {
		frrLists(t, p, f)
	}
	ciscoGshut(t, "bgp community-list standard "+gshut+" permit graceful-shutdown", " ")
	t.line("exit")
	t.line("!")
	t.line("router bgp %d", p.settings.PeerASN)
	if p.mixed {
		t.line(" bgp bestpath as-path multipath-relax")
	}
	for _, g := range p.groups {
		frrGroup(t, p, g)
	}
	for _, f := range p.families {
		frrFamily(t, p, f)
	}
	for _, g := range p.groups {
		t.line(" !")
		for _, n := range g.neighbours {
			t.line(" neighbor %s remote-as %d", n.address, n.asn)
			t.line(" neighbor %s peer-group %s", n.address, g.name)
			t.line(" neighbor %s description fairway %s", n.address, n.node)
		}
	}
	t.line("exit")
	t.line("!")
}

// frrLists prints prefix lists without sequence numbers: an entry that is
// already there is then not doubled, and the order of permits does not matter.
func frrLists(t *text, p peering, f family) {
	if !f.on {
		return
	}
	t.line("%s prefix-list %s deny any", f.ip(), none(f))
	for _, r := range f.rules {
		t.line("%s prefix-list %s permit %s%s", f.ip(), p.in(f), r.prefix, r.le())
	}
}

func frrGroup(t *text, p peering, g group) {
	s := p.settings
	t.line(" neighbor %s peer-group", g.name)
	if p.ownAddress() {
		t.line(" neighbor %s update-source %s", g.name, s.Address)
	}
	if !s.Passive {
		t.line(" neighbor %s passive", g.name)
	}
	if s.Password != "" {
		t.line(" neighbor %s password %s", g.name, placeholder)
	}
	switch {
	case s.TTLSecurity:
		t.line(" neighbor %s ttl-security hops 1", g.name)
	case s.EBGPMultihop && !g.internal:
		t.line(" neighbor %s ebgp-multihop %d", g.name, anyHop)
	}
	if keepalive, hold, given := p.timers(); given {
		t.line(" neighbor %s timers %d %d", g.name, keepalive, hold)
	}
	if s.ConnectRetryTime > 0 {
		t.line(" neighbor %s timers connect %d", g.name, seconds(s.ConnectRetryTime))
	}
	if s.ExtendedNextHop {
		t.line(" neighbor %s capability extended-nexthop", g.name)
	}
}

func frrFamily(t *text, p peering, f family) {
	if !f.on {
		if !f.v6 { // IPv4 is active unless told otherwise
			t.line(" !")
			t.line(" address-family ipv4 unicast")
			for _, g := range p.groups {
				t.line("  no neighbor %s activate", g.name)
			}
			t.line(" exit-address-family")
		}
		return
	}
	t.line(" !")
	t.line(" address-family %s unicast", f.af())
	for _, g := range p.groups {
		t.line("  neighbor %s activate", g.name)
		t.line("  neighbor %s prefix-list %s in", g.name, p.in(f))
		t.line("  neighbor %s prefix-list %s out", g.name, none(f))
		t.line("  neighbor %s route-map %s in", g.name, gshut)
		t.line("  neighbor %s maximum-prefix %d restart 5", g.name, f.limit)
	}
	if p.paths > 1 && p.external() {
		t.line("  maximum-paths %d", p.capped(frrPaths))
	}
	if p.paths > 1 && p.internal() {
		t.line("  maximum-paths ibgp %d", p.capped(frrPaths))
	}
	t.line(" exit-address-family")
}

func frrStatic(t *text, s static) {
	t.staticHeader(s,
		"FRR (zebra, staticd): load with `vtysh -f FILE`, or take it into frr.conf.",
		additive, "Undo: the same lines with \"no\" before them.")
	for _, r := range s.routes {
		t.comment("%s", r.note)
		for _, hop := range r.hops {
			t.line("%s route %s %s", ciscoIP(r), r.prefix, hop)
		}
	}
}

// ciscoIP is the first word of a command about a route.
func ciscoIP(r staticRoute) string { return family{v6: r.prefix.Addr().Is6()}.ip() }
