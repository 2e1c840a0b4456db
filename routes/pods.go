package routes

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/cover"
)

// Pod is one attachment of a live Pod to a Subnet. A Pod with several
// interfaces is several values.
type Pod struct {
	Namespace, Name string
	Node            string
	Subnet          string
	Addresses       []netip.Addr
	// Lingers is for how long a Pod that is being deleted counts at most: others may get its
	// addresses then though it is still there, and whoever follows Pods takes it away. It is
	// 0 for a Pod that is not being deleted.
	Lingers time.Duration
}

// Pods are the addresses of live Pods, by Node and Subnet. They never change: what
// Changed gives shares with them all that is as before, so that a Pod more or less costs
// as much among 100,000 as among ten. The zero value is of none.
type Pods struct {
	// nodes are sorted by name, each with some Pod.
	nodes []nodePods
}

type nodePods struct {
	node     string
	bySubnet map[string]*PodAddresses
}

// PodAddresses are the addresses of one Subnet's live Pods on one Node, of which there
// is at least one; nil is none. They never change, and the same pointer is the same
// addresses: while no Pod of the Subnet comes, goes or changes on the Node, Changed
// keeps it.
type PodAddresses struct {
	set cover.Set
	// again has an address once for each further Pod that has it, sorted: as one Pod
	// ends and the next one gets its address, both may be there.
	again []netip.Addr
}

// PodsOf gives the addresses of Pods.
func PodsOf(pods ...Pod) Pods { return Pods{}.Changed(nil, pods) }

// On gives the addresses of the Pods on a Node, by Subnet. The map is not to be changed.
func (p Pods) On(node string) map[string]*PodAddresses {
	if i, found := p.find(node); found {
		return p.nodes[i].bySubnet
	}
	return nil
}

// find gives the place of a node, or where it would be.
func (p Pods) find(node string) (i int, found bool) {
	return slices.BinarySearchFunc(p.nodes, node, func(n nodePods, name string) int { return strings.Compare(n.node, name) })
}

// In gives the fewest prefixes that cover exactly the addresses that lie in a CIDR,
// sorted; nil for none.
func (a *PodAddresses) In(cidr netip.Prefix) []netip.Prefix {
	if a == nil {
		return nil
	}
	return a.set.Prefixes(cidr)
}

// Changed gives the addresses after some Pods went and others came. A Pod that changed
// went as it was and came as it is. One that went must be among those that are there.
func (p Pods) Changed(gone, came []Pod) Pods {
	next := Pods{slices.Clone(p.nodes)}
	for node, bySubnet := range changesOf(gone, came) {
		i, found := next.find(node)
		if !found {
			next.nodes = slices.Insert(next.nodes, i, nodePods{node: node})
		}
		n := &next.nodes[i]
		if n.bySubnet = changedOn(n.bySubnet, bySubnet); len(n.bySubnet) == 0 {
			next.nodes = slices.Delete(next.nodes, i, i+1)
		}
	}
	if len(next.nodes) == 0 {
		return Pods{}
	}
	return next
}

// changedOn gives what is on a node after changes, by Subnet.
func changedOn(before map[string]*PodAddresses, changes map[string]*podChange) map[string]*PodAddresses {
	next := make(map[string]*PodAddresses, len(before)+len(changes))
	maps.Copy(next, before)
	for subnet, c := range changes {
		if slices.Equal(c.gone, c.came) {
			continue
		}
		if next[subnet] = next[subnet].changed(c); next[subnet] == nil {
			delete(next, subnet)
		}
	}
	return next
}

// podChange is which addresses of a Subnet go and come on a node, sorted. The same one may be
// among either several times, for as many Pods.
type podChange struct{ gone, came []netip.Addr }

// changesOf gives the changes by node and Subnet.
func changesOf(gone, came []Pod) map[string]map[string]*podChange {
	out := map[string]map[string]*podChange{}
	at := func(p *Pod) *podChange {
		if out[p.Node] == nil {
			out[p.Node] = map[string]*podChange{}
		}
		if out[p.Node][p.Subnet] == nil {
			out[p.Node][p.Subnet] = &podChange{}
		}
		return out[p.Node][p.Subnet]
	}
	for i := range gone {
		c := at(&gone[i])
		c.gone = append(c.gone, gone[i].Addresses...)
	}
	for i := range came {
		c := at(&came[i])
		c.came = append(c.came, came[i].Addresses...)
	}
	for _, bySubnet := range out {
		for _, c := range bySubnet {
			slices.SortFunc(c.gone, netip.Addr.Compare)
			slices.SortFunc(c.came, netip.Addr.Compare)
		}
	}
	return out
}

// changed gives the addresses after a change, nil where none is left.
func (a *PodAddresses) changed(c *podChange) *PodAddresses {
	var next PodAddresses
	if a == nil {
		next = PodAddresses{set: cover.Of(c.came...), again: repeated(c.came)}
		c.came = nil
	} else {
		next = PodAddresses{a.set, slices.Clone(a.again)}
	}
	for _, addr := range c.came {
		next.add(addr)
	}
	for _, addr := range c.gone {
		next.remove(addr)
	}
	if next.set.Empty() {
		return nil
	}
	return &next
}

// repeated gives what a sorted list has again, once for each time.
func repeated(sorted []netip.Addr) []netip.Addr {
	var again []netip.Addr
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			again = append(again, sorted[i])
		}
	}
	return again
}

func (a *PodAddresses) add(addr netip.Addr) {
	if !a.set.Has(addr) {
		a.set = a.set.With(addr)
		return
	}
	i, _ := slices.BinarySearchFunc(a.again, addr, netip.Addr.Compare)
	a.again = slices.Insert(a.again, i, addr)
}

func (a *PodAddresses) remove(addr netip.Addr) {
	i, again := slices.BinarySearchFunc(a.again, addr, netip.Addr.Compare)
	if !again {
		a.set = a.set.Without(addr)
		return
	}
	if a.again = slices.Delete(a.again, i, i+1); len(a.again) == 0 {
		a.again = nil
	}
}
