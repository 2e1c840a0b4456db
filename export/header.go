package export

import (
	"fmt"
	"strings"
)

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
		fmt.Sprintf("The router's side of BGPPeer %s: router %s, AS %d.", p.Peer, p.whereabouts(), p.settings.PeerASN),
		fmt.Sprintf("Made by Fairway from the plans of %s.", some(p.nodes())),
	}
}

// Notes say what a person has to know before loading a peering.
func (p peering) Notes() []string {
	s := p.settings
	out := []string{p.limitNote(), gshutNote}
	out = append(out, p.foundNotes()...)
	if !s.SourceAddress.IsValid() && !p.Unnumbered() {
		out = append(out, "Neighbours are the nodes' InternalIPs. A node whose packets leave with another address (a second",
			"NIC, IPv6 autoconfiguration) is a stranger to the router.")
	}
	if s.Password != "" {
		out = append(out, fmt.Sprintf("PASSWORD: put the one of BGPPeer %s in the place of %s.", p.Peer, placeholder))
	}
	out = append(append(out, p.whoDials()...), p.later()...)
	return append(out, p.notes...)
}

// later says what a Subnet or a node that comes after the loading needs.
func (p peering) later() []string {
	out := []string{p.laterSubnet()}
	if p.NodesDial() && p.mayListen() == nil {
		out = append(out, p.laterNode()...)
	} else {
		out = append(out, "LATER: a node that is not listed needs a neighbor; load a new export.")
	}
	if p.Unnumbered() {
		return out // it has no check
	}
	return append(out, fmt.Sprintf("LATER: `fairway plan -o %s --peer %s --check FILE` says whether the router's file still fits.", p.Format, p.Peer))
}

func (p peering) laterSubnet() string {
	if len(p.allow) == 0 {
		return "LATER: a Subnet that is not listed is filtered until a new export is loaded; --allow RANGE lets in a range."
	}
	var ranges []string
	for _, r := range p.allow {
		ranges = append(ranges, r.String())
	}
	return fmt.Sprintf("LATER: a Subnet outside %s is filtered until a new export is loaded.", some(ranges))
}

func (p peering) laterNode() []string {
	if len(p.listen) == 0 {
		return []string{"LATER: a node that is not listed needs a neighbor; --listen RANGE takes any node of a range."}
	}
	var out []string
	for _, g := range p.Groups {
		if len(g.Listen) == 0 {
			continue
		}
		out = append(out, fmt.Sprintf("LATER: a node outside %s, or %s, needs a neighbor; load a new export.", some(texts(g.Listen)), p.laterAS(g)))
	}
	out = append(out, p.listenNotes()...)
	if p.settings.Password == "" && !p.settings.TTLSecurity {
		out = append(out, "LISTEN: whoever has an address there may open a session: give BGPPeer "+p.Peer+" a password or ttlSecurity.")
	}
	return out
}

// laterAS says which ASes a group does not take by ranges.
func (p peering) laterAS(g group) string {
	if g.ManyAS() && (p.Format == FRR || p.Format == BIRD || p.Format == VyOS) {
		return fmt.Sprintf("in the router's own AS %d", p.ASN())
	}
	return "not in AS " + strings.Join(texts(g.ASNs()), ", ")
}

// listenNotes say what the language has to be told, or cannot do, about ranges.
func (p peering) listenNotes() []string {
	switch p.Format {
	case FRR, VyOS, IOS:
		return []string{fmt.Sprintf("LISTEN: the router takes %d nodes by ranges; `bgp listen limit` says otherwise.", p.MostPeers())}
	case EOS:
		return []string{fmt.Sprintf("LISTEN: the router takes %d nodes by ranges; `dynamic peer max` says otherwise, before EOS 4.23 `bgp listen limit`.", p.MostPeers())}
	case NXOS:
		return []string{fmt.Sprintf("LISTEN: the router takes %d nodes by each range; `maximum-peers` says otherwise.", p.MostPeers())}
	case Junos:
		return []string{"LISTEN: a range of nodes in several ASes asks for Junos 20.2 (as-list)."}
	}
	return nil
}

// texts writes values as they write themselves.
func texts[T any](values []T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprint(v)
	}
	return out
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
