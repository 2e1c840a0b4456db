package export

import "github.com/fairway-bgp/fairway/inet"

// peeringHeader says from what a peering was made, how to load it, and what a
// person has to know before doing so.
func (t *text) peeringHeader(p peering, how ...string) {
	s := p.settings
	t.comment("The router's side of BGPPeer %s: router %s, AS %d.", p.peer, s.Address, s.PeerASN)
	t.comment("Made by Fairway from the plans of %s.", some(p.nodes()))
	t.comments(how)
	t.comment(limitNote)
	t.comment(gshutNote)
	if !s.SourceAddress.IsValid() {
		t.comment("Neighbours are the nodes' InternalIPs. A node whose packets leave with another address (a second")
		t.comment("NIC, IPv6 autoconfiguration) is a stranger to the router.")
	}
	if s.Password != "" {
		t.comment("PASSWORD: put the one of BGPPeer %s in the place of %s.", p.peer, placeholder)
	}
	if s.Passive {
		t.comment("BGPPeer %s is passive: the router dials, the nodes wait.", p.peer)
	} else {
		t.comment("The nodes dial, the router waits.")
		if s.Port != 0 && s.Port != inet.BGPPort {
			t.comment("PORT: the nodes dial TCP port %d, so the router has to listen there.", s.Port)
		}
	}
	t.comments(p.notes)
	t.comment("")
}

// staticHeader does the same for static routes.
func (t *text) staticHeader(s static, how ...string) {
	t.comment("Static routes to Kube-OVN Subnets, for %s.", s.whom)
	t.comment("Made by Fairway from the plans of %s.", some(s.nodes))
	t.comments(how)
	t.comment("They do not follow when a gateway or a node changes; BGP does.")
	t.comments(s.notes)
	t.comment("")
}

// additive is said where loading only adds: those languages have no way to
// replace a list while sessions use it.
const additive = "Loading adds and changes, and loading again changes nothing. Take out by hand what is no longer listed."

// timers reports whether the BGPPeer gives both timers.
func (p peering) timers() (keepalive, hold int, given bool) {
	keepalive, hold = seconds(p.settings.KeepaliveTime), seconds(p.settings.HoldTime)
	return keepalive, hold, keepalive > 0 && hold > 0
}

// capped gives the number of equal paths, at most what the platform has.
func (p peering) capped(most int) int { return min(p.paths, most) }

// ownAddress reports whether the router's address may be written down as the
// source of its sessions. A link-local one is only known together with an
// interface of the router.
func (p peering) ownAddress() bool {
	return p.settings.Address.IsValid() && !p.settings.Address.IsLinkLocalUnicast()
}
