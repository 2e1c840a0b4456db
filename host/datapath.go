package host

import (
	"fmt"
	"net/netip"
)

// Datapath is what the kernel knows about the way into the overlay.
type Datapath struct {
	// Err is set where the facts could not be read; then nothing is known.
	Err error
	// Link is the overlay link's state.
	Link LinkState
	// Routes holds the main table's routes to networks, by destination: the name
	// of the link each one leaves by.
	Routes map[netip.Prefix][]string
}

// LinkState is whether a link is there and up.
type LinkState struct {
	Name   string
	Exists bool
	Up     bool
}

// Down says why this node has no working path to the CIDR, or "" where it has
// one or nothing is known. Kube-OVN keeps one route for each CIDR of the
// default VPC by its overlay link (pkg/daemon/controller_linux.go).
func (d Datapath) Down(cidr netip.Prefix) string {
	switch {
	case d.Err != nil:
		return ""
	case !d.Link.Exists:
		return fmt.Sprintf("this node has no link %s: kube-ovn-cni has not set it up", d.Link.Name)
	case !d.Link.Up:
		return fmt.Sprintf("link %s is down", d.Link.Name)
	}
	links := d.Routes[cidr]
	for _, l := range links {
		if l == d.Link.Name {
			return ""
		}
	}
	if len(links) > 0 {
		return fmt.Sprintf("the route to %s leaves by %s, not by %s", cidr, links[0], d.Link.Name)
	}
	return fmt.Sprintf("no route to %s by %s", cidr, d.Link.Name)
}
