package account

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Cluster is a cluster's objects and what its nodes say of themselves; together they
// tell who announces what.
type Cluster struct {
	Snapshot policy.Snapshot
	// Speakers are those of all nodes. Where Unreadable is true they cannot be read, and
	// the nodes' plans stand in for them.
	Speakers   []v1alpha1.Speaker
	Heartbeats Heartbeats
	Unreadable bool
}

// Alone is a Subnet of which one node announces something that no other does.
type Alone struct {
	Subnet string
	// Role is that in which the node announces it. With RolePod it is the node's own
	// Pods, which no other can announce.
	Role     routes.Role
	Prefixes []netip.Prefix
}

// AnnouncedAloneBy gives what would go off the network with a node, by Subnet.
// Another node counts where its own Speaker says that it announces the prefix and
// that a session is up, its daemon has neither stopped nor died, its Node is usable, and it is not
// about to withdraw everything as well. A Speaker lists the first of many: what is not
// listed is told by the plan for that node.
func (c Cluster) AnnouncedAloneBy(node string) []Alone {
	left := c.announcedBy(node)
	for _, announces := range []func(string) map[announcedKey]routes.Role{c.listed, c.plannedBeyondList} {
		for _, n := range c.Snapshot.Nodes {
			if n.Name == node || !c.stays(&n) || !hasShared(left) {
				continue
			}
			for key := range announces(n.Name) {
				if left[key] != routes.RolePod {
					delete(left, key)
				}
			}
		}
	}
	return bySubnet(left)
}

// announcedKey is a prefix that is announced for a Subnet.
type announcedKey struct {
	subnet string
	prefix netip.Prefix
}

func hasShared(left map[announcedKey]routes.Role) bool {
	for _, role := range left {
		if role != routes.RolePod {
			return true
		}
	}
	return false
}

// announcedBy gives all that a node announces.
func (c Cluster) announcedBy(node string) map[announcedKey]routes.Role {
	out := c.listed(node)
	for key, role := range c.plannedBeyondList(node) {
		if _, there := out[key]; !there {
			out[key] = role
		}
	}
	return out
}

// listed gives what a node's Speaker lists.
func (c Cluster) listed(node string) map[announcedKey]routes.Role {
	out := map[announcedKey]routes.Role{}
	s := c.speaker(node)
	if s == nil {
		return out
	}
	for _, e := range s.Status.Announced.First {
		if p, err := netip.ParsePrefix(e.Prefix); err == nil {
			out[announcedKey{e.Subnet, p}] = routes.Role(e.Role)
		}
	}
	return out
}

// plannedBeyondList gives what the plan of a node announces, where its Speaker does
// not say everything.
func (c Cluster) plannedBeyondList(node string) map[announcedKey]routes.Role {
	s := c.speaker(node)
	cutShort := s != nil && !listsAllAnnounced(s)
	if !cutShort && !c.Unreadable {
		return nil
	}
	snapshot := c.Snapshot
	if s != nil {
		snapshot.History = History(s, snapshot.Subnets)
	}
	out := map[announcedKey]routes.Role{}
	for _, e := range policy.Make(snapshot, node).Adverts {
		out[announcedKey{e.Subnet, e.Prefix}] = e.Role
	}
	return out
}

// stays reports whether a node goes on announcing what it does now.
func (c Cluster) stays(n *routes.Node) bool {
	drain, _ := routes.DrainOf(n, c.Snapshot.Settings, nil) // a value that does not parse is not ours to judge
	s := c.speaker(n.Name)
	switch {
	case !n.Usable() || drain.On():
		return false
	case s == nil:
		return c.Unreadable
	}
	_, draining := DrainOf(s)
	return !draining && c.Heartbeats.Of(s).Speaks() && s.Status.Established > 0
}

func (c Cluster) speaker(node string) *v1alpha1.Speaker {
	i := slices.IndexFunc(c.Speakers, func(s v1alpha1.Speaker) bool { return s.Name == node })
	if i < 0 {
		return nil
	}
	return &c.Speakers[i]
}

// bySubnet groups prefixes, sorted by the Subnets' names.
func bySubnet(announced map[announcedKey]routes.Role) []Alone {
	var out []Alone
	for key, role := range announced {
		i := slices.IndexFunc(out, func(x Alone) bool { return x.Subnet == key.subnet })
		if i < 0 {
			i, out = len(out), append(out, Alone{Subnet: key.subnet, Role: role})
		}
		out[i].Prefixes = append(out[i].Prefixes, key.prefix)
	}
	for _, x := range out {
		slices.SortFunc(x.Prefixes, netip.Prefix.Compare)
	}
	slices.SortFunc(out, func(x, y Alone) int { return strings.Compare(x.Subnet, y.Subnet) })
	return out
}
