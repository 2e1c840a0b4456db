package export

import "github.com/fairway-bgp/fairway/inet"

// birdPaths is BIRD's own bound on the number of merged next hops.
const birdPaths = 255

// birdPeering prints a complete bird.conf, checked against BIRD 2.0.12.
func birdPeering(t *text, p peering) {
	birdHeader(t, func(how ...string) { t.peeringHeader(p, how...) })
	s := p.settings
	if s.Address.Is4() {
		t.line("router id %s;", s.Address)
	} else {
		t.comment("BIRD takes its router id from an IPv4 address of the router; without one, add: router id A.B.C.D;")
	}
	birdKernel(t, "RTS_BGP", max(p.paths, 2))
	t.line("")
	t.comment("A next hop that is not the neighbour itself is looked up among the router's own networks.")
	t.line("protocol direct {")
	t.line("\tipv4;")
	t.line("\tipv6;")
	t.line("}")
	for _, f := range p.families {
		birdFilter(t, p, f)
	}
	for _, g := range p.groups {
		birdTemplate(t, p, g)
		for _, n := range g.neighbours {
			t.line("")
			t.line("protocol bgp '%s' from %s {", symbol("fairway-"+n.node, "-"), symbol(g.name, "_"))
			t.line("\tdescription \"fairway %s\";", n.node)
			t.line("\tneighbor %s as %d;", n.address, n.asn)
			t.line("}")
		}
	}
}

func birdHeader(t *text, header func(how ...string)) {
	header(
		"BIRD 2: a complete bird.conf. In a router that has one, take over the filters, the template",
		"and the protocols, and add what stands in the kernel protocols to your own.",
		"Loading (`birdc configure`) replaces all that was loaded before.")
}

// birdKernel prints what brings routes into the kernel. Merging paths is what
// BIRD calls ECMP.
func birdKernel(t *text, source string, paths int) {
	t.line("")
	t.line("protocol device {")
	t.line("}")
	for _, f := range []family{{v6: false}, {v6: true}} {
		t.line("")
		t.line("protocol kernel {")
		t.line("\tmerge paths on limit %d;", min(paths, birdPaths))
		t.line("\t%s {", f.af())
		t.line("\t\timport none;")
		t.line("\t\texport where source = %s;", source)
		t.line("\t};")
		t.line("}")
	}
}

func birdFilter(t *text, p peering, f family) {
	if !f.on {
		return
	}
	t.line("")
	t.line("filter %s_%s {", symbol(p.name, "_"), f.short())
	if len(f.rules) > 0 {
		t.line("\tif net ~ [")
		for i, r := range f.rules {
			comma := ","
			if i == len(f.rules)-1 {
				comma = ""
			}
			pattern := ""
			if r.longest > 0 {
				pattern = "+"
			}
			t.line("\t\t%s%s%s", r.prefix, pattern, comma)
		}
		t.line("\t] then {")
		t.line("\t\tif (65535, 0) ~ bgp_community then bgp_local_pref = 0;")
		t.line("\t\taccept;")
		t.line("\t}")
	}
	t.line("\treject;")
	t.line("}")
}

func birdTemplate(t *text, p peering, g group) {
	s := p.settings
	t.line("")
	t.line("template bgp %s {", symbol(g.name, "_"))
	if p.ownAddress() {
		t.line("\tlocal %s as %d;", s.Address, s.PeerASN)
	} else {
		t.line("\tlocal as %d;", s.PeerASN)
	}
	if !s.Passive && s.Port != 0 && s.Port != inet.BGPPort {
		t.line("\tlocal port %d;", s.Port)
	}
	if !s.Passive {
		t.line("\tpassive on;")
	}
	birdHops(t, p, g)
	if s.Password != "" {
		t.line("\tpassword \"%s\";", placeholder)
	}
	if keepalive, hold, given := p.timers(); given {
		t.line("\tkeepalive time %d;", keepalive)
		t.line("\thold time %d;", hold)
	}
	if s.ConnectRetryTime > 0 {
		t.line("\tconnect retry time %d;", seconds(s.ConnectRetryTime))
	}
	for _, f := range p.families {
		birdChannel(t, p, f)
	}
	t.line("}")
}

// birdHops says how far away the neighbour may be. iBGP is multihop by itself,
// and TTL security wants to know that it is not.
func birdHops(t *text, p peering, g group) {
	switch s := p.settings; {
	case s.TTLSecurity:
		t.line("\tdirect;")
		t.line("\tttl security on;")
	case s.EBGPMultihop && !g.internal:
		t.line("\tmultihop %d;", anyHop)
	}
}

func birdChannel(t *text, p peering, f family) {
	if !f.on {
		return
	}
	t.line("\t%s {", f.af())
	t.line("\t\timport filter %s_%s;", symbol(p.name, "_"), f.short())
	t.line("\t\texport none;")
	t.line("\t\timport limit %d action restart;", f.limit)
	if p.settings.ExtendedNextHop && !f.v6 {
		t.line("\t\textended next hop on;")
	}
	t.line("\t};")
}

func birdStatic(t *text, s static) {
	birdHeader(t, func(how ...string) { t.staticHeader(s, how...) })
	t.comment("BIRD takes its router id from an IPv4 address of the router; without one, add: router id A.B.C.D;")
	birdKernel(t, "RTS_STATIC", birdPaths)
	for _, f := range []family{{v6: false}, {v6: true}} {
		t.line("")
		t.line("protocol static fairway_%s {", f.short())
		t.line("\t%s;", f.af())
		for _, r := range s.routes {
			if r.prefix.Addr().Is6() != f.v6 {
				continue
			}
			t.line("\t%s %s", t.mark, r.note)
			via := ""
			for _, hop := range r.hops {
				via += " via " + hop.String()
			}
			t.line("\troute %s%s;", r.prefix, via)
		}
		t.line("}")
	}
}
