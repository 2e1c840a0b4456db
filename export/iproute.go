package export

// iprouteStatic prints a shell script of iproute2 commands. "replace" makes
// running it twice the same as once.
func iprouteStatic(t *text, s static) {
	t.line("#!/bin/sh")
	t.staticHeader(s,
		"Run as root; running it again changes nothing. The kernel finds the device by",
		"the next hop; add \"dev IFACE\" after each \"via\" to name it.")
	if len(s.routes) > 0 {
		t.comment("Undo:")
	}
	for _, r := range s.routes {
		t.comment("  %s route del %s", iprouteCommand(r), r.prefix)
	}
	t.line("set -e")
	for _, r := range s.routes {
		t.line("")
		t.comment("%s", r.note)
		if len(r.hops) == 1 {
			t.line("%s route replace %s via %s", iprouteCommand(r), r.prefix, r.hops[0])
			continue
		}
		t.line("%s route replace %s \\", iprouteCommand(r), r.prefix)
		for i, hop := range r.hops {
			end := " \\"
			if i == len(r.hops)-1 {
				end = ""
			}
			t.line("    nexthop via %s%s", hop, end)
		}
	}
}

func iprouteCommand(r staticRoute) string {
	if r.prefix.Addr().Is6() {
		return "ip -6"
	}
	return "ip"
}
