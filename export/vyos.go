package export

// vyosPeering prints VyOS "set" commands for 1.4 and later. Lists are deleted
// first: a commit is atomic, so they end up exactly as listed.
func vyosPeering(t *text, p peering) {
	s := p.settings
	t.peeringHeader(p,
		"VyOS 1.4: configure, paste, commit, save. \"Nothing to delete\" is no error.",
		"Lists are replaced. Take out by hand a neighbor that is no longer listed.",
		"`maximum-paths` holds for all of BGP: keep yours where it is greater.")
	for _, f := range p.families {
		vyosLists(t, p, f)
	}
	vyosGshut(t)
	t.line("set protocols bgp system-as %d", s.PeerASN)
	if p.mixed {
		t.line("set protocols bgp parameters bestpath as-path multipath-relax")
	}
	for _, f := range p.families {
		if f.on && p.paths > 1 && p.external() {
			t.line("set protocols bgp address-family %s-unicast maximum-paths ebgp %d", f.af(), p.capped(frrPaths))
		}
		if f.on && p.paths > 1 && p.internal() {
			t.line("set protocols bgp address-family %s-unicast maximum-paths ibgp %d", f.af(), p.capped(frrPaths))
		}
	}
	for _, g := range p.groups {
		vyosGroup(t, p, g)
		for _, n := range g.neighbours {
			vyosNeighbour(t, p, g, n)
		}
	}
}

func vyosLists(t *text, p peering, f family) {
	if !f.on {
		return
	}
	list := "policy prefix-list "
	if f.v6 {
		list = "policy prefix-list6 "
	}
	t.line("delete %s%s", list, none(f))
	t.line("set %s%s rule 10 action deny", list, none(f))
	t.line("set %s%s rule 10 prefix %s", list, none(f), f.all())
	t.line("set %s%s rule 10 le %d", list, none(f), f.bits())
	if len(f.rules) == 0 {
		return
	}
	t.line("delete %s%s", list, p.in(f))
	for i, r := range f.rules {
		n := 10 * (i + 1)
		t.line("set %s%s rule %d action permit", list, p.in(f), n)
		t.line("set %s%s rule %d prefix %s", list, p.in(f), n, r.prefix)
		if r.longest > 0 {
			t.line("set %s%s rule %d le %d", list, p.in(f), n, r.longest)
		}
	}
}

// vyosGshut matches a word: VyOS makes an expanded list of one that has a name,
// and FRR compares its regular expressions with what it prints.
func vyosGshut(t *text) {
	list, mapped := "policy community-list "+gshut, "policy route-map "+gshut
	t.line("delete %s", list)
	t.line("set %s rule 10 action permit", list)
	t.line("set %s rule 10 regex 'graceful-shutdown'", list)
	t.line("delete %s", mapped)
	t.line("set %s rule 10 action permit", mapped)
	t.line("set %s rule 10 match community community-list %s", mapped, gshut)
	t.line("set %s rule 10 set local-preference 0", mapped)
	t.line("set %s rule 20 action permit", mapped)
}

func vyosGroup(t *text, p peering, g group) {
	s := p.settings
	set := "set protocols bgp peer-group " + g.name
	if p.ownAddress() {
		t.line("%s update-source %s", set, s.Address)
	}
	if !s.Passive {
		t.line("%s passive", set)
	}
	if s.Password != "" {
		t.line("%s password '%s'", set, placeholder)
	}
	switch {
	case s.TTLSecurity:
		t.line("%s ttl-security hops 1", set)
	case s.EBGPMultihop && !g.internal:
		t.line("%s ebgp-multihop %d", set, anyHop)
	}
	if s.ExtendedNextHop {
		t.line("%s capability extended-nexthop", set)
	}
	for _, f := range p.families {
		if !f.on {
			continue
		}
		t.line("%s address-family %s-unicast prefix-list import %s", set, f.af(), p.in(f))
		t.line("%s address-family %s-unicast prefix-list export %s", set, f.af(), none(f))
		t.line("%s address-family %s-unicast route-map import %s", set, f.af(), gshut)
		t.line("%s address-family %s-unicast maximum-prefix %d", set, f.af(), f.limit)
	}
}

// vyosNeighbour carries the timers, which a VyOS peer group does not have.
func vyosNeighbour(t *text, p peering, g group, n neighbour) {
	set := "set protocols bgp neighbor " + n.address.String()
	t.line("%s remote-as %d", set, n.asn)
	t.line("%s peer-group %s", set, g.name)
	t.line("%s description 'fairway %s'", set, n.node)
	if keepalive, hold, given := p.timers(); given {
		t.line("%s timers keepalive %d", set, keepalive)
		t.line("%s timers holdtime %d", set, hold)
	}
	if retry := seconds(p.settings.ConnectRetryTime); retry > 0 {
		t.line("%s timers connect %d", set, retry)
	}
}

func vyosStatic(t *text, s static) {
	t.staticHeader(s, "VyOS 1.4: configure, paste, commit, save. \"Nothing to delete\" is no error.",
		"Undo: the delete lines.")
	for _, r := range s.routes {
		route := "protocols static route " + r.prefix.String()
		if r.prefix.Addr().Is6() {
			route = "protocols static route6 " + r.prefix.String()
		}
		t.comment("%s", r.note)
		t.line("delete %s", route)
		for _, hop := range r.hops {
			t.line("set %s next-hop %s", route, hop)
		}
	}
}
