package kube

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// assembly is what the objects in force come to: the lists of a Snapshot, kept from one
// pass to the next. An object that changes costs the same among 10,000 as among ten, but
// for a copy of the list that it is in: who was given the list before keeps it as it was.
// The zero value is of no objects.
type assembly struct {
	// good has the last version that converted of each object that is no BGPPeer and
	// does not convert as it is in force, and of each Secret.
	good map[objects.Key]*stored
	// few has the BGPPeers and Secrets in force. unsettled is true while what they come
	// to together is not known.
	few       map[objects.Key]*stored
	unsettled bool
	// peers are the last good sessions; known has all that those in force come to.
	peers map[objects.Key]goodPeer
	known []policy.Peer
	// identities tell the BGPPeers in force from others of their names.
	identities map[string]PeerIdentity
	// problems are those of each object that has any. retold is true where they have
	// changed.
	problems map[objects.Key][]objects.Problem
	retold   bool

	subnets []*routes.Subnet
	nodes   []routes.Node
	pods    routes.Pods
	vlans   map[string]string
	// uids are those of the Subnets in force, by name.
	uids []subnetUID
	wants
}

// wants is what Subnets in force ask to be followed, by the names of those that do.
type wants struct {
	// pods are in mode pods by their own annotations, typos have annotations that do not
	// parse, and vlans ask which provider network they are in.
	pods, typos, vlans map[string]bool
}

// goodPeer is the last good session of a BGPPeer, and the object that it was made of.
type goodPeer struct {
	policy.Peer
	made goodText
}

type subnetUID struct {
	name string
	uid  types.UID
}

// changes are what becomes of lists in one pass.
type changes struct {
	subnets    []change[*routes.Subnet]
	nodes      []change[routes.Node]
	uids       []change[subnetUID]
	vlans      []change[string]
	gone, came []routes.Pod
}

// change is what becomes of what has a name in a list; there is false where it goes.
type change[T any] struct {
	name  string
	value T
	there bool
}

// merged gives a list that is sorted by name after changes, of which no two have one
// name. The list is not changed.
func merged[T any](list []T, changes []change[T], name func(T) string) []T {
	if len(changes) == 0 {
		return list
	}
	slices.SortFunc(changes, func(a, b change[T]) int { return strings.Compare(a.name, b.name) })
	out := make([]T, 0, len(list)+len(changes))
	for _, c := range changes {
		i, found := slices.BinarySearchFunc(list, c.name, func(v T, n string) int { return strings.Compare(name(v), n) })
		out = append(out, list[:i]...)
		if list = list[i:]; found {
			list = list[1:]
		}
		if c.there {
			out = append(out, c.value)
		}
	}
	if out = append(out, list...); len(out) == 0 {
		return nil
	}
	return out
}

// newAssembly gives that of a last-known state: good are the versions that gave the values
// of the objects in force, peers the last good sessions.
func newAssembly(force, good map[objects.Key]*stored, peers map[objects.Key]goodPeer, settings routes.Settings) assembly {
	a := assembly{
		good: map[objects.Key]*stored{}, few: map[objects.Key]*stored{}, peers: peers, problems: map[objects.Key][]objects.Problem{},
		wants: wants{pods: map[string]bool{}, typos: map[string]bool{}, vlans: map[string]bool{}},
	}
	var c changes
	before := make(map[objects.Key]*stored, len(force))
	for k := range force {
		s := good[k]
		if before[k] = s; s == nil {
			continue
		}
		if k.Kind == objects.KindSecret {
			a.good[k] = s
		}
		c.add(k, nil, s.Value)
	}
	a.apply(c)
	a.take(force, before, settings)
	return a
}

// take brings the lists up to date with what came into force, went out of it, or
// changed, and was as in before. BGPPeers and Secrets are left to settle.
func (a *assembly) take(force, before map[objects.Key]*stored, settings routes.Settings) {
	var c changes
	for k, was := range before {
		o := force[k]
		if k.Kind == objects.KindSubnet {
			a.want(k.Name, o, settings)
			c.uids = append(c.uids, a.uidOf(k.Name, o)...)
		}
		if k.Kind == objects.KindBGPPeer || k.Kind == objects.KindSecret {
			a.takeFew(k, o)
			continue
		}
		last := cmp.Or(a.good[k], was)
		c.add(k, last.value(), a.settleAlone(k, o, last).value())
	}
	a.apply(c)
}

// takeFew notes a BGPPeer or Secret; o is nil where it is gone.
func (a *assembly) takeFew(k objects.Key, o *stored) {
	a.unsettled = true
	if o != nil {
		a.few[k] = o
		return
	}
	delete(a.few, k)
	delete(a.good, k)
	a.tell(k, nil)
}

// settleAlone gives the version of an object that gives its value: this one or, where that
// does not convert, the last one that gave a value.
func (a *assembly) settleAlone(k objects.Key, o, last *stored) *stored {
	delete(a.good, k)
	switch {
	case o == nil:
		a.tell(k, nil)
		return nil
	case o.Value != nil:
		a.tell(k, o.Problems)
		return o
	}
	settled := o.Object
	settled.Problems = slices.Clone(o.Problems)
	settled.Settled(last.value())
	a.tell(k, settled.Problems)
	if last.value() == nil {
		return nil
	}
	a.good[k] = last
	return last
}

// tell notes the problems of an object.
func (a *assembly) tell(k objects.Key, problems []objects.Problem) {
	if len(problems) == 0 && len(a.problems[k]) == 0 {
		return
	}
	a.retold = true
	if a.problems[k] = problems; len(problems) == 0 {
		delete(a.problems, k)
	}
}

// add notes what becomes of the value of an object; nil is none.
func (c *changes) add(k objects.Key, before, after any) {
	switch k.Kind {
	case objects.KindSubnet:
		was, _ := before.(*objects.Subnet)
		is, there := after.(*objects.Subnet)
		if was == is {
			return
		}
		next := change[*routes.Subnet]{name: k.Name, there: there}
		if there {
			next.value = &is.Subnet
		}
		c.subnets = append(c.subnets, next)
	case objects.KindNode:
		if is, there := after.(objects.Node); !reflect.DeepEqual(before, after) {
			c.nodes = append(c.nodes, change[routes.Node]{k.Name, is.Node, there})
		}
	case objects.KindVlan:
		if is, there := after.(objects.Vlan); before != after {
			c.vlans = append(c.vlans, change[string]{k.Name, string(is), there})
		}
	case objects.KindPod:
		was, _ := before.([]routes.Pod)
		is, _ := after.([]routes.Pod)
		if !reflect.DeepEqual(was, is) {
			c.gone, c.came = append(c.gone, was...), append(c.came, is...)
		}
	}
}

// apply makes the next lists.
func (a *assembly) apply(c changes) {
	a.subnets = merged(a.subnets, c.subnets, func(s *routes.Subnet) string { return s.Name })
	a.nodes = merged(a.nodes, c.nodes, func(n routes.Node) string { return n.Name })
	a.uids = merged(a.uids, c.uids, func(u subnetUID) string { return u.name })
	if len(c.gone)+len(c.came) > 0 {
		a.pods = a.pods.Changed(c.gone, c.came)
	}
	if len(c.vlans) > 0 {
		a.vlans = mapped(a.vlans, c.vlans)
	}
}

// mapped is merged of a map, nil where nothing is left.
func mapped(values map[string]string, changes []change[string]) map[string]string {
	out := map[string]string{}
	maps.Copy(out, values)
	for _, c := range changes {
		if out[c.name] = c.value; !c.there {
			delete(out, c.name)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// uidOf gives what becomes of a Subnet's UID.
func (a *assembly) uidOf(name string, o *stored) []change[subnetUID] {
	uid, known := uidIn(a.uids, name)
	switch {
	case o == nil && known:
		return []change[subnetUID]{{name: name}}
	case o != nil && (!known || o.uid != uid):
		return []change[subnetUID]{{name, subnetUID{name, o.uid}, true}}
	}
	return nil
}

func uidIn(uids []subnetUID, name string) (types.UID, bool) {
	i, found := slices.BinarySearchFunc(uids, name, func(u subnetUID, n string) int { return strings.Compare(u.name, n) })
	if !found {
		return "", false
	}
	return uids[i].uid, true
}

// want notes what a Subnet asks to be followed; o is nil where it is gone.
func (w *wants) want(name string, o *stored, settings routes.Settings) {
	d, ok := o.value().(*objects.Subnet)
	selected := ok && routes.Selected(d.Annotations, settings)
	set(w.pods, name, selected && d.TuningErr == nil && d.Tuning.Mode == routes.ModePods)
	set(w.typos, name, ok && d.TuningErr != nil)
	// Only nodes with the Vlan's provider network carry a Subnet that has its gateway in
	// OVN and its network in a Vlan.
	set(w.vlans, name, selected && d.VLAN != "" && d.LogicalGateway)
}

func set(names map[string]bool, name string, is bool) {
	if is {
		names[name] = true
		return
	}
	delete(names, name)
}

// mostRounds bounds how often BGPPeers are settled at once. Those that have their session
// go before newcomers, so that who lost one may decide about others in the next round.
const mostRounds = 4

// settle works out what BGPPeers and Secrets come to together. read reports whether a
// Secret is followed; absent is as objects.Assemble's.
func (a *assembly) settle(read func(secret string) bool, absent func(secret string) error) {
	a.unsettled = false
	for range mostRounds {
		before := a.peers
		a.settleOnce(read, absent)
		if maps.EqualFunc(before, a.peers, func(p, q goodPeer) bool { return reflect.DeepEqual(p, q) }) {
			return
		}
	}
}

func (a *assembly) settleOnce(read func(secret string) bool, absent func(secret string) error) {
	all := a.fewObjects()
	standIns := standInSecrets(all, read)
	all = append(all, standIns...)
	chosen := make([]*objects.Object, len(all))
	for i := range all {
		chosen[i] = &all[i]
	}
	values := objects.Settle(chosen, a.fewGood(), absent)
	remembered := withoutPeersOf(standIns, all, values)
	a.known, a.identities = nil, map[string]PeerIdentity{}
	peers := map[objects.Key]goodPeer{}
	for _, o := range all[:len(all)-len(standIns)] {
		a.tell(o.Key, o.Problems)
		s := a.few[o.Key]
		if o.Kind == objects.KindSecret {
			if o.Value != nil {
				a.good[o.Key] = s
			}
			continue
		}
		a.identities[o.Name] = PeerIdentity{s.uid, s.generation}
		if peer, ok := values[o.Key].(policy.Peer); ok {
			a.known = append(a.known, peer)
		}
		if peer, ok := remembered[o.Key].(policy.Peer); ok {
			peers[o.Key] = goodPeer{peer, s.madeOf(peer, a.peers[o.Key].made)}
		}
	}
	a.peers = peers
}

// fewObjects gives the BGPPeers and Secrets in force by kind and name, as ones that
// problems can be added to.
func (a *assembly) fewObjects() []objects.Object {
	var all []objects.Object
	for _, k := range slices.SortedFunc(maps.Keys(a.few), objects.Key.Compare) {
		o := a.few[k].Object
		o.Problems = slices.Clone(o.Problems)
		all = append(all, o)
	}
	return all
}

// fewGood gives the last good values of BGPPeers and Secrets.
func (a *assembly) fewGood() objects.Good {
	good := objects.Good{}
	for k, p := range a.peers {
		good[k] = p.Peer
	}
	for k := range a.few {
		if s := a.good[k]; s != nil {
			good[k] = s.Value
		}
	}
	return good
}

// madeOf gives the object that a good session was made of: this one, or the last one.
func (s *stored) madeOf(peer policy.Peer, last goodText) goodText {
	if draft, ok := s.Value.(objects.Peer); ok {
		if draft.Password = peer.Password; reflect.DeepEqual(draft.Peer, peer) {
			return goodText{s.text, string(peer.Password)}
		}
	}
	return last
}

// allProblems gives the problems of all objects, by kind and name.
func (a *assembly) allProblems() []objects.Problem {
	var all []objects.Problem
	for _, k := range slices.SortedFunc(maps.Keys(a.problems), objects.Key.Compare) {
		all = append(all, a.problems[k]...)
	}
	return all
}
