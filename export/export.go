package export

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Format names a language that Write speaks.
type Format string

// Formats. IPRoute is a shell script for a Linux host on the nodes' L2; the
// others are router configurations.
const (
	IPRoute Format = "iproute"
	FRR     Format = "frr"
	BIRD    Format = "bird"
	Junos   Format = "junos"
	EOS     Format = "eos"
	IOS     Format = "ios"
	NXOS    Format = "nxos"
	VyOS    Format = "vyos"
)

// Formats lists every Format, in the order in which help texts show them.
func Formats() []Format {
	return []Format{IPRoute, FRR, BIRD, Junos, EOS, IOS, NXOS, VyOS}
}

// Input is what an export is made of.
type Input struct {
	// Plans holds one plan per node. Their order does not matter.
	Plans []policy.Plan
	// Nodes give the InternalIPs: the next hops, and the neighbour addresses of
	// sessions without a sourceAddress.
	Nodes []routes.Node
	// Subnets give the CIDRs of Subnets whose Pods are announced one by one, so
	// that a router accepts tomorrow's Pods too. A Subnet that is missing here is
	// accepted only as far as it is announced now.
	Subnets []*routes.Subnet
	// Peer is the name of the BGPPeer, and so of the router. Empty means the only
	// one there is; static routes are then made whoever the peers are.
	Peer string
	// Static asks for static routes instead of BGP. IPRoute is always static.
	Static bool
	// Allow are ranges that the router accepts whole, so that a later Subnet in one
	// needs no new export, and Listen networks from which any node may open its
	// session. Both are for BGP alone.
	Allow  []Range
	Listen []netip.Prefix
	// RouterASN is the router's AS, for a BGPPeer that leaves it open; 0 where the
	// BGPPeer has it. Ports are, by node, those of the router that unnumbered sessions
	// come in by.
	RouterASN uint32
	Ports     map[string]string
	// PasswordsRead says that the sessions' passwords are the real ones, for Check to
	// compare with: who reads a cluster may not read its Secrets.
	PasswordsRead bool
}

// Warnings says what whoever asked for an export should see at once: what is listed
// by itself although a range was given, and a range that nothing is in. The export
// has the same sentences.
func Warnings(f Format, in Input) ([]string, error) {
	if in.static(f) {
		return nil, nil
	}
	p, err := peeringOf(f, in)
	return p.warnings, err
}

// static reports whether static routes are asked for.
func (in Input) static(f Format) bool { return in.Static || f == IPRoute }

// Write prints in as f. An error means that nothing useful can be said: an
// unknown format, an unknown or ambiguous Peer, a router without a neighbour. A
// single node or prefix that cannot be told is a comment in the output.
func Write(w io.Writer, f Format, in Input) error {
	if !slices.Contains(Formats(), f) {
		return fmt.Errorf("export as %q: the formats are %s", f, join(Formats()))
	}
	var b bytes.Buffer
	if err := printTo(&b, f, in); err != nil {
		return fmt.Errorf("export as %s: %w", f, err)
	}
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("export as %s: %w", f, err)
	}
	return nil
}

func printTo(w io.Writer, f Format, in Input) error {
	if in.static(f) {
		if len(in.Allow)+len(in.Listen) > 0 {
			return fmt.Errorf("--allow and --listen are for BGP: there is no filter and no neighbor in static routes")
		}
		s, err := staticOf(in)
		if err != nil {
			return err
		}
		return execute(w, f, "static", s)
	}
	p, err := peeringOf(f, in)
	if err != nil {
		return err
	}
	return execute(w, f, "peering", p)
}

// choosePeer gives the name of the BGPPeer to export.
func choosePeer(in Input) (string, error) {
	names := peerNames(in.Plans)
	switch {
	case len(names) == 0:
		return "", fmt.Errorf("no node has a BGP session: no BGPPeer selects one")
	case in.Peer == "" && len(names) == 1:
		return names[0], nil
	case in.Peer == "":
		return "", fmt.Errorf("there are several BGPPeers, and each is a router of its own: name one of %s", join(names))
	case !slices.Contains(names, in.Peer):
		return "", fmt.Errorf("no node has a session with BGPPeer %q: there are %s", in.Peer, join(names))
	}
	return in.Peer, nil
}

// peerNames lists the BGPPeers that any node has a session with.
func peerNames(plans []policy.Plan) []string {
	var names []string
	for _, p := range plans {
		for _, s := range p.Sessions {
			names = append(names, s.Peer)
		}
	}
	return routes.SortedSet(names, strings.Compare)
}

// byNode gives the plans in the order of their nodes.
func byNode(plans []policy.Plan) []policy.Plan {
	return slices.SortedStableFunc(slices.Values(plans), func(a, b policy.Plan) int {
		return strings.Compare(a.Node, b.Node)
	})
}
