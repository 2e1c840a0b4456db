package routes

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/fairway-bgp/fairway/cover"
)

// Pod is one attachment of a live Pod to a Subnet. A Pod with several
// interfaces is several values.
type Pod struct {
	Namespace, Name string
	Node            string
	Subnet          string
	Addresses       []netip.Addr
}

// Pods are the addresses of live Pods, by Node and Subnet. They never change: what
// Changed gives shares with them all that is as before, so that a Pod more or less costs
// as much among 100,000 as among ten. The zero value is of none.
type Pods struct {
	byNode map[string]map[string]*PodAddresses
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
func (p Pods) On(node string) map[string]*PodAddresses { return p.byNode[node] }

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
	next, copied := maps.Clone(p.byNode), map[string]bool{}
	for at, c := range changesOf(gone, came) {
		if slices.Equal(c.gone, c.came) {
			continue
		}
		if next == nil {
			next = map[string]map[string]*PodAddresses{}
		}
		if !copied[at.node] {
			next[at.node], copied[at.node] = maps.Clone(next[at.node]), true
		}
		if next[at.node] == nil {
			next[at.node] = map[string]*PodAddresses{}
		}
		if a := next[at.node][at.subnet].changed(c); a != nil {
			next[at.node][at.subnet] = a
		} else {
			delete(next[at.node], at.subnet)
		}
	}
	for node := range copied {
		if len(next[node]) == 0 {
			delete(next, node)
		}
	}
	if len(next) == 0 {
		return Pods{}
	}
	return Pods{next}
}

// podPlace is where addresses are together.
type podPlace struct{ node, subnet string }

// podChange is which addresses go and come at a place, sorted. The same one may be
// among either several times, for as many Pods.
type podChange struct{ gone, came []netip.Addr }

func changesOf(gone, came []Pod) map[podPlace]*podChange {
	out := map[podPlace]*podChange{}
	at := func(p *Pod) *podChange {
		place := podPlace{p.Node, p.Subnet}
		if out[place] == nil {
			out[place] = &podChange{}
		}
		return out[place]
	}
	for i := range gone {
		c := at(&gone[i])
		c.gone = append(c.gone, gone[i].Addresses...)
	}
	for i := range came {
		c := at(&came[i])
		c.came = append(c.came, came[i].Addresses...)
	}
	for _, c := range out {
		slices.SortFunc(c.gone, netip.Addr.Compare)
		slices.SortFunc(c.came, netip.Addr.Compare)
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
