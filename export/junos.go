package export

// junosPeering prints Junos "set" commands. They begin with deletions, because a
// commit is atomic: what is loaded is then exactly what is listed, and sessions
// that did not change stay up.
func junosPeering(t *text, p peering) {
	s := p.settings
	how := []string{
		"Junos: configure, load set terminal, paste, Ctrl-D, commit. \"statement not found\" for a delete is no error.",
		"Keepalives go out every third of the hold time; Junos has no setting for it.",
	}
	if s.TTLSecurity {
		how = append(how, "GTSM: \"ttl 255\" is what the nodes ask for. To check their packets too, discard TCP port 179",
			"with \"ttl-except 255\" (IPv6: hop-limit-except) in the firewall filter of the interface.")
	}
	t.peeringHeader(p, how...)
	t.line("delete policy-options policy-statement %s-IN", p.name)
	for _, g := range p.groups {
		t.line("delete protocols bgp group %s", g.name)
	}
	t.line("set routing-options autonomous-system %d", s.PeerASN)
	junosPolicies(t, p)
	for _, g := range p.groups {
		junosGroup(t, p, g)
	}
}

func junosPolicies(t *text, p peering) {
	t.line("set policy-options community %s members 65535:0", gshut)
	// Without accept or reject the terms after it decide.
	t.line("set policy-options policy-statement %s-IN term gshut from community %s", p.name, gshut)
	t.line("set policy-options policy-statement %s-IN term gshut then local-preference 0", p.name)
	for _, f := range p.families {
		if !f.on || len(f.rules) == 0 {
			continue
		}
		term := "set policy-options policy-statement " + p.name + "-IN term " + f.short()
		t.line("%s from family %s", term, junosFamily(f))
		for _, r := range f.rules {
			match := "exact"
			if r.longest > 0 {
				match = "orlonger"
			}
			t.line("%s from route-filter %s %s", term, r.prefix, match)
		}
		t.line("%s then accept", term)
	}
	t.line("set policy-options policy-statement %s-IN term rest then reject", p.name)
	t.line("set policy-options policy-statement FAIRWAY-NONE then reject")
	if p.paths > 1 {
		junosECMP(t)
	}
}

// junosECMP makes the forwarding table use all equal next hops; "per-packet" is
// per flow in practice.
func junosECMP(t *text) {
	t.line("set policy-options policy-statement FAIRWAY-ECMP then load-balance per-packet")
	t.line("set routing-options forwarding-table export FAIRWAY-ECMP")
}

func junosGroup(t *text, p peering, g group) {
	s := p.settings
	set := "set protocols bgp group " + g.name
	kind := "external"
	if g.internal {
		kind = "internal"
	}
	t.line("%s type %s", set, kind)
	if p.ownAddress() {
		t.line("%s local-address %s", set, s.Address)
	}
	if !s.Passive {
		t.line("%s passive", set)
	}
	if s.Password != "" {
		t.line("%s authentication-key \"%s\"", set, placeholder)
	}
	switch {
	case s.TTLSecurity:
		t.line("%s ttl 255", set)
	case s.EBGPMultihop && !g.internal:
		t.line("%s multihop ttl %d", set, anyHop)
	}
	if _, hold, given := p.timers(); given {
		t.line("%s hold-time %d", set, hold)
	}
	for _, f := range p.families {
		junosFamilyLines(t, p, set, f)
	}
	t.line("%s import %s-IN", set, p.name)
	t.line("%s export FAIRWAY-NONE", set)
	switch {
	case p.mixed && !g.internal:
		t.line("%s multipath multiple-as", set)
	case p.paths > 1:
		t.line("%s multipath", set)
	}
	for _, n := range g.neighbours {
		t.line("%s neighbor %s description \"fairway %s\"", set, n.address, n.node)
		t.line("%s neighbor %s peer-as %d", set, n.address, n.asn)
	}
}

func junosFamilyLines(t *text, p peering, set string, f family) {
	if !f.on {
		return
	}
	set += " family " + junosFamily(f) + " unicast"
	t.line("%s accepted-prefix-limit maximum %d", set, f.limit)
	t.line("%s accepted-prefix-limit teardown 80 idle-timeout 5", set)
	if p.settings.ExtendedNextHop && !f.v6 {
		t.line("%s extended-nexthop", set)
	}
}

// junosFamily is Junos' name of the family.
func junosFamily(f family) string {
	if f.v6 {
		return "inet6"
	}
	return "inet"
}

func junosStatic(t *text, s static) {
	t.staticHeader(s,
		"Junos: configure, load set terminal, paste, Ctrl-D, commit. \"statement not found\" for a delete is no error.",
		"Undo: the delete lines.")
	several := false
	for _, r := range s.routes {
		several = several || len(r.hops) > 1
	}
	if several {
		junosECMP(t)
	}
	for _, r := range s.routes {
		route := "routing-options static route " + r.prefix.String()
		if r.prefix.Addr().Is6() {
			route = "routing-options rib inet6.0 static route " + r.prefix.String()
		}
		t.comment("%s", r.note)
		t.line("delete %s", route)
		for _, hop := range r.hops {
			t.line("set %s next-hop %s", route, hop)
		}
	}
}
