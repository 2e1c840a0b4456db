package export

// nxosPaths is the most paths of NX-OS.
const nxosPaths = 64

// nxosPeering prints Cisco NX-OS configuration.
func nxosPeering(t *text, p peering) {
	t.peeringHeader(p, append([]string{"Cisco NX-OS: paste in configure mode.", additive,
		"`maximum-paths` holds for all of BGP: keep yours where it is greater."}, sourceNote(p)...)...)
	t.line("feature bgp")
	for _, f := range p.families {
		ciscoLists(t, p, f)
	}
	ciscoGshut(t, "ip community-list standard "+gshut+" permit 65535:0", "  ")
	t.line("router bgp %d", p.settings.PeerASN)
	if p.mixed {
		t.line("  bestpath as-path multipath-relax")
	}
	for _, f := range p.families {
		nxosPathLines(t, p, f)
	}
	for _, g := range p.groups {
		nxosTemplate(t, p, g)
		for _, n := range g.neighbours {
			t.line("  neighbor %s remote-as %d", n.address, n.asn)
			t.line("    inherit peer %s", g.name)
			t.line("    description fairway %s", n.node)
		}
	}
}

func nxosPathLines(t *text, p peering, f family) {
	if !f.on {
		return
	}
	t.line("  address-family %s unicast", f.af())
	if p.paths > 1 && p.external() {
		t.line("    maximum-paths %d", p.capped(nxosPaths))
	}
	if p.paths > 1 && p.internal() {
		t.line("    maximum-paths ibgp %d", p.capped(nxosPaths))
	}
}

func nxosTemplate(t *text, p peering, g group) {
	s := p.settings
	t.line("  template peer %s", g.name)
	if s.Password != "" {
		t.line("    password 0 %s", placeholder)
	}
	if !s.Passive {
		t.line("    transport connection-mode passive")
	}
	switch {
	case s.TTLSecurity && g.internal:
		t.comment("NX-OS has ttl-security for eBGP only")
	case s.TTLSecurity:
		t.line("    ttl-security hops 1")
	case s.EBGPMultihop && !g.internal:
		t.line("    ebgp-multihop %d", anyHop)
	}
	if keepalive, hold, given := p.timers(); given {
		t.line("    timers %d %d", keepalive, hold)
	}
	for _, f := range p.families {
		if !f.on {
			continue
		}
		t.line("    address-family %s unicast", f.af())
		t.line("      prefix-list %s in", p.in(f))
		t.line("      prefix-list %s out", none(f))
		t.line("      route-map %s in", gshut)
		t.line("      maximum-prefix %d restart 5", f.limit)
	}
}

func nxosStatic(t *text, s static) {
	t.staticHeader(s, "Cisco NX-OS: paste in configure mode.", additive, "Undo: the same lines with \"no\" before them.")
	for _, r := range s.routes {
		t.comment("%s", r.note)
		for _, hop := range r.hops {
			t.line("%s route %s %s", ciscoIP(r), r.prefix, hop)
		}
	}
}
