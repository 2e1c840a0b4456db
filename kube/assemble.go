package kube

import (
	"cmp"
	"errors"
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

// file is one file of the input.
type file struct {
	// root is the path by which it was asked for: its own, or its folder's.
	root, name string
	// digest tells two versions apart; zero for one that has no text.
	digest [32]byte
	// parsed is what this version holds, objects what counts of it.
	parsed, objects []object
	// problems are those with the file itself.
	problems []Problem
	// lack says why the version is not whole; empty if it is.
	lack string
	// ended is true if the text ends with a line end, or a good version of it did.
	ended bool
	// unread is true if something is missing that nothing stands in for.
	unread bool
}

// standing holds the values that Contents were made of, so that the next ones
// can fall back on them: a subnetDraft, vlan, nodeDraft, []routes.Pod, secret or
// policy.Peer, with its password, each.
type standing map[key]any

// assemble makes one picture of the files, without the Snapshot, and gives the
// values for it. An object that does not convert keeps the value it had last.
func assemble(files []file, last standing) (Contents, standing) {
	return assembleFrom(files, last, notInFiles)
}

// notInFiles is what a BGPPeer is told of a Secret that no file has.
func notInFiles(string) error {
	return errors.New("is not in the input: add it, or take passwordSecretRef away")
}

// assembleFrom is assemble with the source's own words for a missing Secret.
func assembleFrom(files []file, last standing, absent func(secret string) error) (Contents, standing) {
	files = copyObjects(files)
	chosen := choose(files)
	now := standing{}
	for _, o := range chosen {
		if o.kind == kindBGPPeer {
			continue
		}
		v := o.value
		if v == nil {
			v = last.fallback(o)
		}
		if v != nil {
			now[o.key] = v
		}
	}
	maps.Copy(now, settlePeers(chosen, now, last, absent))

	var c Contents
	c.Ignored = ignored(files)
	for _, f := range files {
		c.Problems = append(c.Problems, f.problems...)
		for _, o := range f.objects {
			c.Problems = append(c.Problems, o.problems...)
		}
		if f.unread {
			c.Unread = append(c.Unread, f.name)
		}
	}
	slices.Sort(c.Unread)
	return c, now
}

// copyObjects lets assemble add problems to objects without touching the files.
func copyObjects(files []file) []file {
	files = slices.Clone(files)
	for i := range files {
		files[i].objects = slices.Clone(files[i].objects)
		for j := range files[i].objects {
			o := &files[i].objects[j]
			o.problems = slices.Clone(o.problems)
		}
	}
	return files
}

// choose gives the object that counts for each key: the first one. An object
// that is only kept gives way to one that is there.
func choose(files []file) []*object {
	first := map[key]*object{}
	var chosen []*object
	each := func(visit func(o *object)) {
		for i := range files {
			for j := range files[i].objects {
				if o := &files[i].objects[j]; o.kind != "" {
					visit(o)
				}
			}
		}
	}
	each(func(o *object) {
		if o.kept {
			return
		}
		if f, ok := first[o.key]; ok {
			o.add(Problem{Severity: Wrong, Message: fmt.Sprintf("is in %s too, and that one counts: remove one of them", f.where)})
			return
		}
		first[o.key] = o
		chosen = append(chosen, o)
	})
	each(func(o *object) {
		if !o.kept {
			return
		}
		if _, ok := first[o.key]; ok {
			o.problems = nil
			return
		}
		first[o.key] = o
		chosen = append(chosen, o)
	})
	return chosen
}

// add puts a problem with the object as a whole, or from a report, to it.
func (o *object) add(p Problem) {
	p.Where, p.Object = o.where, o.key.String()
	o.problems = append(o.problems, p)
}

// fallback gives the last value of an object that has none now, or nil, and says
// so in the last of its problems.
func (s standing) fallback(o *object) any {
	v, ok := s[o.key]
	if !ok {
		return nil
	}
	for i := len(o.problems) - 1; i >= 0; i-- {
		if o.problems[i].Severity == Wrong {
			o.problems[i].Message += "; its last good version stays in force"
			break
		}
	}
	return v
}

// settlePeers gives the BGPPeers that can have a session. Of two with one
// address for the same nodes only the one in force can, then the first by
// creation, then by name: where only the node shows that they meet, the core
// decides.
func settlePeers(chosen []*object, now, last standing, absent func(string) error) standing {
	find := secretsByName(chosen, now, absent)
	type candidate struct {
		*object
		peer policy.Peer
	}
	var candidates []candidate
	for _, o := range chosen {
		if o.kind != kindBGPPeer {
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
		return cmp.Or(last.newcomer(a.key, a.peer)-last.newcomer(b.key, b.peer),
			a.peer.Created.Compare(b.peer.Created), strings.Compare(a.name, b.name))
	})
	settled := standing{}
	var losers []candidate
	var winners []policy.Peer
	for _, c := range candidates {
		if w := rival(winners, c.peer); w != "" {
			c.add(Problem{Severity: Wrong, Field: "spec.peerAddress", Value: c.peer.Address.String(), Message: fmt.Sprintf(
				"is the address of BGPPeer %s too, for the same nodes, and one session is all there can be: remove one, or tell them apart by nodeSelector", w)})
			losers = append(losers, c)
			continue
		}
		settled[c.key] = c.peer
		winners = append(winners, c.peer)
	}
	for _, c := range losers {
		old, ok := last[c.key].(policy.Peer)
		if ok && rival(winners, old) == "" {
			last.fallback(c.object)
			settled[c.key] = old
			winners = append(winners, old)
		}
	}
	return settled
}

// newcomer is 0 for a peer that has its address for its nodes already, else 1.
func (s standing) newcomer(k key, p policy.Peer) int {
	if old, ok := s[k].(policy.Peer); ok && rivals(old, p) {
		return 0
	}
	return 1
}

// rivals reports whether two peers have one address for the same nodes.
func rivals(p, q policy.Peer) bool {
	return p.Address == q.Address && sameSelector(p.Nodes, q.Nodes)
}

// rival names the peer that has the same address for the same nodes.
func rival(peers []policy.Peer, p policy.Peer) string {
	for _, q := range peers {
		if rivals(q, p) {
			return q.Name
		}
	}
	return ""
}

// resolve completes a draft with its password.
func resolve(o *object, find func(string) (secret, error)) (policy.Peer, bool) {
	draft, ok := o.value.(peerDraft)
	if !ok {
		return policy.Peer{}, false
	}
	r := &report{object: o.key.String()}
	draft.Password = draft.password(find, r)
	for _, p := range r.problems {
		o.add(p)
	}
	return draft.Peer, r.usable()
}

// secretsByName finds Secrets in whatever namespace they are: files say nothing
// of the one that Fairway runs in.
func secretsByName(chosen []*object, now standing, absent func(string) error) func(string) (secret, error) {
	named := map[string][]*object{}
	for _, o := range chosen {
		if o.kind == kindSecret {
			named[o.name] = append(named[o.name], o)
		}
	}
	return func(name string) (secret, error) {
		switch found := named[name]; len(found) {
		case 0:
			return nil, absent(name)
		case 1:
			if s, ok := now[found[0].key].(secret); ok {
				return s, nil
			}
			return nil, errUnreadable
		default:
			return nil, fmt.Errorf("is in the namespaces %q and %q: leave one in the input", found[0].namespace, found[1].namespace)
		}
	}
}

// drafts are the values of each kind, sorted by namespace and name.
type drafts struct {
	subnets []subnetDraft
	// vlans has the provider network of each Vlan; nil without any.
	vlans map[string]string
	nodes []nodeDraft
	pods  []routes.Pod
	peers []policy.Peer
}

func (s standing) drafts() drafts {
	var d drafts
	for _, k := range slices.SortedFunc(maps.Keys(s), key.compare) {
		switch v := s[k].(type) {
		case subnetDraft:
			d.subnets = append(d.subnets, v)
		case vlan:
			if d.vlans == nil {
				d.vlans = map[string]string{}
			}
			d.vlans[k.name] = string(v)
		case nodeDraft:
			d.nodes = append(d.nodes, v)
		case []routes.Pod:
			d.pods = append(d.pods, v...)
		case policy.Peer:
			d.peers = append(d.peers, v)
		}
	}
	return d
}

func (k key) compare(l key) int {
	return cmp.Or(strings.Compare(k.kind, l.kind), strings.Compare(k.namespace, l.namespace), strings.Compare(k.name, l.name))
}

func ignored(files []file) []string {
	count := map[string]int{}
	for _, f := range files {
		for _, o := range f.objects {
			if o.ignored != "" {
				count[o.ignored]++
			}
		}
	}
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%s: %d", kind, count[kind]))
	}
	return out
}
