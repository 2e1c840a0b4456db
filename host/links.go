package host

import (
	"fmt"
	"slices"
	"strings"
)

// Links is what packets meet at links beside rules.
type Links struct {
	Err error
	// MTU is the largest packet that each takes, in bytes.
	MTU map[string]int
	// NoNeighbours are links without link addresses, such as tunnels.
	NoNeighbours map[string]bool
	// Arptables says that rules of arptables-legacy are there, or may be; "" where they
	// are not.
	Arptables string
	// Programs are those that packets pass.
	Programs []Program
	// Unseen is why programs of the newer sort (tcx) cannot be seen; nil where they
	// can be.
	Unseen error
}

// Program is something at a link that may drop or rewrite packets, and of which this
// module does not know what it does.
type Program struct {
	Link string
	// What is its kind and place: "tc filter u32 at ingress".
	What string
	// Only is the family whose packets it sees, "" for both.
	Only Family
}

func (p Program) String() string { return p.Link + " has a " + p.What }

// programs are the programs that packets of a family may meet: those of the uplinks, of
// the overlay link and of links below these. Err, or what cannot be seen where it is
// likely, counts as one.
func (c *checker) programs(six bool) []string {
	links := &c.facts.Links
	var out []string
	if links.Err != nil {
		out = append(out, links.Err.Error())
	}
	way := c.facts.withBelow(append(slices.Clone(c.uplinks[six]), c.want.Overlay))
	for _, p := range links.Programs {
		if slices.Contains(way, p.Link) && (p.Only == "" || p.Only == familyName(six)) {
			out = append(out, p.String())
		}
	}
	if owner := c.facts.likelyTcx(); owner != "" && links.Unseen != nil {
		out = append(out, fmt.Sprintf("%s is on this node, and its programs cannot be seen: %v", owner, links.Unseen))
	}
	return out
}

// withBelow adds the links that lie below.
func (f *Facts) withBelow(links []string) []string {
	for i := 0; i < len(links); i++ {
		for _, below := range f.Datapath.Links[links[i]].Below {
			if !slices.Contains(links, below) {
				links = append(links, below)
			}
		}
	}
	return links
}

// likelyTcx names who would have tcx programs at links here, by links that only they
// make: Cilium (pkg/defaults in Cilium), and Calico with its eBPF data plane
// (felix/dataplane/linux/dataplane_defs in Calico).
func (f *Facts) likelyTcx() string {
	for name := range f.Datapath.Links {
		switch {
		case strings.HasPrefix(name, "cilium_"):
			return "Cilium"
		case name == "bpfin.cali" || name == "bpfout.cali":
			return "Calico's eBPF data plane"
		}
	}
	return ""
}

// programDoubt is the finding where programs may do what no rule does.
func programDoubt(programs []string) Finding {
	return Finding{State: Unknown, Got: programs[0], Evidence: append(programs[1:], "what a program does to packets cannot be told from here; rules alone let them pass"),
		Fix: "ask the program's owner; tc filter show dev LINK ingress, ip -d link show dev LINK and bpftool net show what there is"}
}
