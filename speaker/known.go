package speaker

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// How often GoBGP is asked for the rules and paths that it has, which takes it 15 ms for
// 10,000 paths. A change is not held up for that: the look comes when there is nothing else
// to do, and under constant change after it, more seldom.
const (
	lookEvery   = 55 * time.Second
	lookAtLeast = 2 * time.Minute
)

// known is what one GoBGP has: what was last seen in it, with each change that it has
// acknowledged since. A wish is compared with that, so that one path among ten thousand
// costs one path. It is still what is there, for nobody but Sync writes into GoBGP (its
// gRPC API only looks) and nothing is noted before GoBGP has taken it; after any error, at a
// start and every so often it is read from GoBGP again, and what had gone astray is mended.
type known struct {
	rules map[ruleKey]rule
	rib   routes.RIB
	// paths counts rib by kind.
	paths map[kind]int
	// seen is when that was read from GoBGP; zero where it has to be read first.
	seen time.Time
}

// kind is what paths have in common that leave by the same sessions.
type kind struct {
	class  routes.Class
	family policy.Family
}

func kindOf(r *routes.Route) kind {
	return kind{r.Class, policy.FamilyOf(r.Prefix)}
}

// newKnown takes what was read from GoBGP.
func newKnown(rules map[ruleKey]rule, rib routes.RIB) *known {
	k := &known{rules: rules, rib: rib, paths: map[kind]int{}, seen: time.Now()}
	for _, r := range rib {
		k.paths[kindOf(r)]++
	}
	return k
}

// isOld is whether GoBGP is to be asked again; idle is whether there was nothing to change.
func (k *known) isOld(idle bool) bool {
	age := time.Since(k.seen)
	return age >= lookAtLeast || idle && age >= lookEvery
}

// note takes changes that GoBGP has acknowledged, and the RIB after them.
func (k *known) note(rib routes.RIB, c routes.Changes) {
	for _, r := range c.Set {
		k.forget(r.Prefix)
		k.paths[kindOf(r)]++
	}
	for _, prefix := range c.Withdraw {
		k.forget(prefix)
	}
	k.rib = rib
}

// forget no longer counts the path that there was for a prefix.
func (k *known) forget(prefix netip.Prefix) {
	old, there := k.rib.Of(prefix)
	if !there {
		return
	}
	was := kindOf(&routes.Route{Prefix: prefix, Path: old})
	if k.paths[was]--; k.paths[was] == 0 {
		delete(k.paths, was)
	}
}

// ofClass counts the paths of a class.
func (k *known) ofClass(c routes.Class) int {
	return k.paths[kind{c, policy.IPv4Unicast}] + k.paths[kind{c, policy.IPv6Unicast}]
}

// stalePeers gives the peers that were sent paths by a rule that is no more, or for which
// a rule changed of paths that themselves stayed, from the rules before to those now. last
// are the changes noted last. GoBGP does not evaluate such paths again by itself.
func (k *known) stalePeers(before map[ruleKey]rule, last routes.Changes) []netip.Addr {
	set := map[routes.Class]int{}
	for _, r := range last.Set {
		set[r.Class]++
	}
	stale := map[netip.Addr]bool{}
	for key, now := range k.rules {
		if was, ok := before[key]; (!ok || was != now) && k.ofClass(key.class) > set[key.class] {
			stale[key.peer] = true
		}
	}
	for key := range before {
		if _, ok := k.rules[key]; !ok && k.ofClass(key.class) > 0 {
			stale[key.peer] = true
		}
	}
	return slices.SortedFunc(maps.Keys(stale), netip.Addr.Compare)
}

// tally is how many prefixes GoBGP has, and how many of each family its rules let pass to
// a peer, which it has sent to it if it can: AddPath returns when that is in the session's
// queue, and a session that comes up begins with all of it. GoBGP's own count evaluates
// the rules for each path and peer. A tally is never changed.
type tally struct {
	originated int
	passing    map[netip.Addr]map[policy.Family]int
}

func (k *known) tally() *tally {
	t := &tally{originated: len(k.rib), passing: map[netip.Addr]map[policy.Family]int{}}
	for key := range k.rules {
		of := t.passing[key.peer]
		if of == nil {
			of = map[policy.Family]int{}
			t.passing[key.peer] = of
		}
		for _, f := range []policy.Family{policy.IPv4Unicast, policy.IPv6Unicast} {
			of[f] += k.paths[kind{key.class, f}]
		}
	}
	return t
}

// sent counts the prefixes of some families that a peer has been sent.
func (t *tally) sent(peer netip.Addr, families []policy.Family) int {
	n := 0
	for _, f := range families {
		n += t.passing[peer.WithZone("")][f]
	}
	return n
}
