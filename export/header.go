package export

import "fmt"

// gshut names the community list and the route map of graceful shutdown. They
// are the same for every BGPPeer, and so the templates spell the name out.
//
// A node that is about to withdraw its routes announces them with the community
// 65535:0 first (RFC 8326). A router that honours it gives them LOCAL_PREF 0, so
// that traffic leaves the node while it still carries; one that does not is left
// to the longer AS path and the MED.
const gshut = "FAIRWAY-GSHUT"

const gshutNote = gshut + ": what a node is about to withdraw loses (RFC 8326), so that `fairway drain` costs no packet."

// About says of what and from what a peering was made; how to load it is said in
// the language's own template.
func (p peering) About() []string {
	return []string{
		fmt.Sprintf("The router's side of BGPPeer %s: router %s, AS %d.", p.Peer, p.settings.Address, p.settings.PeerASN),
		fmt.Sprintf("Made by Fairway from the plans of %s.", some(p.nodes())),
	}
}

// Notes say what a person has to know before loading a peering.
func (p peering) Notes() []string {
	s := p.settings
	out := []string{limitNote, gshutNote}
	if !s.SourceAddress.IsValid() {
		out = append(out, "Neighbours are the nodes' InternalIPs. A node whose packets leave with another address (a second",
			"NIC, IPv6 autoconfiguration) is a stranger to the router.")
	}
	if s.Password != "" {
		out = append(out, fmt.Sprintf("PASSWORD: put the one of BGPPeer %s in the place of %s.", p.Peer, placeholder))
	}
	return append(append(out, p.whoDials()...), p.notes...)
}

func (p peering) whoDials() []string {
	if !p.NodesDial() {
		return []string{fmt.Sprintf("BGPPeer %s is passive: the router dials, the nodes wait.", p.Peer)}
	}
	out := []string{"The nodes dial, the router waits."}
	if port := p.OtherPort(); port != 0 {
		out = append(out, fmt.Sprintf("PORT: the nodes dial TCP port %d, so the router has to listen there.", port))
	}
	return out
}

// About does the same for static routes, and Notes too.
func (s static) About() []string {
	return []string{
		fmt.Sprintf("Static routes to Kube-OVN Subnets, for %s.", s.whom),
		fmt.Sprintf("Made by Fairway from the plans of %s.", some(s.nodes)),
	}
}

// Notes say what a person has to know before loading static routes.
func (s static) Notes() []string {
	return append([]string{"They do not follow when a gateway or a node changes; BGP does."}, s.notes...)
}
