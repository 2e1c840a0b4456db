package objects

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Contents is everything that the input holds. It is never changed once it is
// handed out.
type Contents struct {
	// Snapshot has its lists sorted by name. LastGood and Live are nil: they are
	// not the input's.
	Snapshot policy.Snapshot
	// Problems are in the order of the input.
	Problems []Problem
	// Ignored counts the objects that Fairway does not read, by kind:
	// "Deployment (apps/v1): 3", sorted.
	Ignored []string
	// GoneNodes are Nodes that a watch has seen and that are not in the input any
	// more, by name, as they were last.
	GoneNodes map[string]routes.Node
	// Unread names the files and folders of which something could not be read, and
	// of which no earlier version stands in: what they hold is unknown, not
	// nothing. Sorted.
	Unread []string
}

// Batch is the objects of one file, or of an API server.
type Batch struct {
	// Name is the file's; empty for an API server.
	Name    string
	Objects []Object
	// Problems are those with the file itself.
	Problems []Problem
	// Unread is true if something is missing that nothing stands in for.
	Unread bool
}

// Good holds the last good value of each object, so that the next Contents can fall
// back on it: a *Subnet, Vlan, Node, []routes.Pod, Secret or policy.Peer, with its
// password, each.
type Good map[Key]any

// Assemble makes one picture of the batches, without the Snapshot, and gives the
// values for it. An object that does not convert keeps the value it had last. absent
// says of a Secret what a BGPPeer is told that names it; it continues "Secret NAME".
func Assemble(batches []Batch, last Good, absent func(secret string) error) (Contents, Good) {
	batches = copyObjects(batches)
	now := Settle(choose(batches), last, absent)
	var c Contents
	c.Ignored = ignored(batches)
	for _, b := range batches {
		c.Problems = append(c.Problems, b.Problems...)
		for _, o := range b.Objects {
			c.Problems = append(c.Problems, o.Problems...)
		}
		if b.Unread {
			c.Unread = append(c.Unread, b.Name)
		}
	}
	slices.Sort(c.Unread)
	return c, now
}

// Settle gives the values of objects, of which no two have one key: of those that do not
// convert, and of BGPPeers that cannot have their session, the last ones. What is wrong
// is added to the objects' Problems. absent is as Assemble's.
func Settle(chosen []*Object, last Good, absent func(secret string) error) Good {
	now := make(Good, len(chosen))
	for _, o := range chosen {
		if o.Kind == KindBGPPeer {
			continue
		}
		if v := o.Settled(last[o.Key]); v != nil {
			now[o.Key] = v
		}
	}
	maps.Copy(now, settlePeers(chosen, now, last, absent))
	return now
}

// copyObjects lets Assemble add problems to objects that others hold too.
func copyObjects(batches []Batch) []Batch {
	batches = slices.Clone(batches)
	for i := range batches {
		batches[i].Objects = slices.Clone(batches[i].Objects)
		for j := range batches[i].Objects {
			o := &batches[i].Objects[j]
			o.Problems = slices.Clone(o.Problems)
		}
	}
	return batches
}

// choose gives the object that counts for each key: the first one. An object
// that is only kept gives way to one that is there.
func choose(batches []Batch) []*Object {
	first := map[Key]*Object{}
	var chosen []*Object
	each := func(visit func(o *Object)) {
		for i := range batches {
			for j := range batches[i].Objects {
				if o := &batches[i].Objects[j]; o.Kind != "" {
					visit(o)
				}
			}
		}
	}
	each(func(o *Object) {
		if o.Kept {
			return
		}
		if f, ok := first[o.Key]; ok {
			o.Add(Problem{Severity: Wrong, Message: fmt.Sprintf("is in %s too, and that one counts: remove one of them", f.Where)})
			return
		}
		first[o.Key] = o
		chosen = append(chosen, o)
	})
	each(func(o *Object) {
		if !o.Kept {
			return
		}
		if _, ok := first[o.Key]; ok {
			o.Problems = nil
			return
		}
		first[o.Key] = o
		chosen = append(chosen, o)
	})
	return chosen
}

// Add puts a problem to the object, its value cut to what a Problem shows.
func (o *Object) Add(p Problem) {
	p.Where, p.Object, p.Value = o.Where, o.Key.String(), shown(p.Value)
	o.Problems = append(o.Problems, p)
}

// fallback gives the last value of an object that cannot have the one it says, or nil,
// and says so in the last of its problems.
func (g Good) fallback(o *Object) any { return o.stay(g[o.Key]) }

// Settled gives the value of an object that is no BGPPeer: its own or, where it does not
// convert, the last one, nil for none. Then the last of its problems says so.
func (o *Object) Settled(last any) any {
	if o.Value != nil {
		return o.Value
	}
	return o.stay(last)
}

// stay gives the last value, and says in the last of the problems that it counts.
func (o *Object) stay(last any) any {
	if last == nil {
		return nil
	}
	for i := len(o.Problems) - 1; i >= 0; i-- {
		if o.Problems[i].Severity == Wrong {
			o.Problems[i].Message += "; its last good version stays in force"
			break
		}
	}
	return last
}

// settlePeers gives the BGPPeers that can have a session. Of two with one
// address for the same nodes only the one in force can, then the first by
// creation, then by name: where only the node shows that they meet, the core
// decides.
func settlePeers(chosen []*Object, now, last Good, absent func(string) error) Good {
	find := secretsByName(chosen, now, absent)
	type candidate struct {
		*Object
		peer policy.Peer
	}
	var candidates []candidate
	for _, o := range chosen {
		if o.Kind != KindBGPPeer {
			continue
		}
		peer, ok := resolve(o, find)
		if !ok {
			peer, ok = last.fallback(o).(policy.Peer)
		}
		if ok {
			candidates = append(candidates, candidate{o, peer})
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int {
		return cmp.Or(last.newcomer(a.Key, a.peer)-last.newcomer(b.Key, b.peer),
			a.peer.Created.Compare(b.peer.Created), strings.Compare(a.Name, b.Name))
	})
	settled := Good{}
	var losers []candidate
	var winners []policy.Peer
	for _, c := range candidates {
		if w := rival(winners, c.peer); w != "" {
			c.Add(Problem{Severity: Wrong, Field: whereField(c.peer), Value: whereValue(c.peer), Message: fmt.Sprintf(
				"is the %s of BGPPeer %s too, for the same nodes, and one session is all there can be: remove one, or tell them apart by nodeSelector", whatIsThere(c.peer), w)})
			losers = append(losers, c)
			continue
		}
		settled[c.Key] = c.peer
		winners = append(winners, c.peer)
	}
	for _, c := range losers {
		old, ok := last[c.Key].(policy.Peer)
		if ok && rival(winners, old) == "" {
			last.fallback(c.Object)
			settled[c.Key] = old
			winners = append(winners, old)
		}
	}
	return settled
}

// newcomer is 0 for a peer that has its address for its nodes already, else 1.
func (g Good) newcomer(k Key, p policy.Peer) int {
	if old, ok := g[k].(policy.Peer); ok && SameSession(old, p) {
		return 0
	}
	return 1
}

// SameSession reports whether two peers have one address for the same nodes.
func SameSession(p, q policy.Peer) bool {
	return p.Address == q.Address && p.Search() == q.Search() && sameSelector(p.Nodes, q.Nodes)
}

// whereField is the field that says where the neighbour is, whereValue what it says.
func whereField(p policy.Peer) string {
	switch {
	case p.Interface != "":
		return "spec.interface"
	case p.Discovery != "":
		return "spec.peerDiscovery"
	}
	return "spec.peerAddress"
}

func whereValue(p policy.Peer) string {
	if p.Search() == "" {
		return p.Address.String()
	}
	return cmp.Or(p.Interface, string(p.Discovery))
}

func whatIsThere(p policy.Peer) string {
	switch {
	case p.Interface != "":
		return "interface"
	case p.Discovery != "":
		return "peerDiscovery"
	}
	return "address"
}

// rival names the peer that has the same address for the same nodes.
func rival(peers []policy.Peer, p policy.Peer) string {
	for _, q := range peers {
		if SameSession(q, p) {
			return q.Name
		}
	}
	return ""
}

// resolve completes a draft with its password.
func resolve(o *Object, find func(string) (Secret, error)) (policy.Peer, bool) {
	draft, ok := o.Value.(Peer)
	if !ok {
		return policy.Peer{}, false
	}
	r := &report{object: o.Key.String()}
	draft.Password = draft.password(find, r)
	for _, p := range r.problems {
		o.Add(p)
	}
	return draft.Peer, r.usable()
}

// secretsByName finds Secrets in whatever namespace they are: files say nothing
// of the one that Fairway runs in.
func secretsByName(chosen []*Object, now Good, absent func(string) error) func(string) (Secret, error) {
	named := map[string][]*Object{}
	for _, o := range chosen {
		if o.Kind == KindSecret {
			named[o.Name] = append(named[o.Name], o)
		}
	}
	return func(name string) (Secret, error) {
		switch found := named[name]; len(found) {
		case 0:
			return nil, absent(name)
		case 1:
			if s, ok := now[found[0].Key].(Secret); ok {
				return s, nil
			}
			return nil, errUnreadable
		default:
			return nil, fmt.Errorf("is in the namespaces %q and %q: leave one in the input", found[0].Namespace, found[1].Namespace)
		}
	}
}

// Lists are the values of each kind, sorted by namespace and name.
type Lists struct {
	Subnets []*Subnet
	// Vlans has the provider network of each Vlan; nil without any.
	Vlans map[string]string
	Nodes []Node
	Pods  []routes.Pod
	Peers []policy.Peer
}

// Nodes gives the Nodes among the values, sorted by name.
func (g Good) Nodes() []Node {
	var nodes []Node
	for _, v := range g {
		if n, ok := v.(Node); ok {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes
}

// Lists gives the values by kind.
func (g Good) Lists() Lists {
	subnets := 0
	for k := range g {
		if k.Kind == KindSubnet {
			subnets++
		}
	}
	d := Lists{Subnets: slices.Grow([]*Subnet(nil), subnets)}
	for _, k := range slices.SortedFunc(maps.Keys(g), Key.Compare) {
		switch v := g[k].(type) {
		case *Subnet:
			d.Subnets = append(d.Subnets, v)
		case Vlan:
			if d.Vlans == nil {
				d.Vlans = map[string]string{}
			}
			d.Vlans[k.Name] = string(v)
		case Node:
			d.Nodes = append(d.Nodes, v)
		case []routes.Pod:
			d.Pods = append(d.Pods, v...)
		case policy.Peer:
			d.Peers = append(d.Peers, v)
		}
	}
	return d
}

// Snapshot gives the lists as they are, as an API server has them.
func (d Lists) Snapshot(settings routes.Settings) policy.Snapshot {
	s := policy.Snapshot{Peers: d.Peers}
	s.Settings, s.Pods, s.Vlans = settings, routes.PodsOf(d.Pods...), d.Vlans
	s.Nodes, s.Subnets = slices.Grow(s.Nodes, len(d.Nodes)), slices.Grow(s.Subnets, len(d.Subnets))
	for i := range d.Nodes {
		s.Nodes = append(s.Nodes, d.Nodes[i].Node)
	}
	for i := range d.Subnets {
		s.Subnets = append(s.Subnets, &d.Subnets[i].Subnet)
	}
	return s
}

// Compare sorts by kind, namespace and name.
func (k Key) Compare(l Key) int {
	if c := strings.Compare(k.Kind, l.Kind); c != 0 {
		return c
	}
	return cmp.Or(strings.Compare(k.Namespace, l.Namespace), strings.Compare(k.Name, l.Name))
}

func ignored(batches []Batch) []string {
	count := map[string]int{}
	for _, b := range batches {
		for _, o := range b.Objects {
			if o.Ignored != "" {
				count[o.Ignored]++
			}
		}
	}
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%s: %d", kind, count[kind]))
	}
	return out
}
