package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// Difference is what a node does otherwise by one plan than by another. Lists are
// sorted and never nil.
type Difference struct {
	Node string `json:"node"`
	// Sessions are those that begin, end, are reset or have other settings, by peer.
	Sessions []SessionDifference `json:"sessions"`
	// Prefixes are by prefix, Subnet and peer.
	Prefixes []PrefixDifference `json:"prefixes"`
	// Warnings are those that only the later plan has, and Withheld the prefixes that
	// it withholds, and the earlier one neither has nor withholds for the same reason.
	Warnings []Warning  `json:"warnings"`
	Withheld []Withheld `json:"withheld"`
}

// Fate is what becomes of something.
type Fate string

// Fates of sessions and prefixes.
const (
	Added   Fate = "added"
	Removed Fate = "removed"
	Changed Fate = "changed"
	// Reset is of a session that ends and is made anew.
	Reset Fate = "reset"
)

// SessionDifference is what becomes of one session.
type SessionDifference struct {
	Peer    string     `json:"peer"`
	Address netip.Addr `json:"address"`
	// Where is the address, or where the neighbour is looked for.
	Where string `json:"-"`
	Fate  Fate   `json:"fate"`
	// Changes are the settings in which it differs; none for one that begins or ends.
	Changes []FieldChange `json:"changes"`
}

// PrefixDifference is what becomes of one prefix at one peer.
type PrefixDifference struct {
	Prefix netip.Prefix `json:"prefix"`
	Subnet string       `json:"subnet"`
	Peer   string       `json:"peer"`
	Fate   Fate         `json:"fate"`
	// Changes are its attributes that differ.
	Changes []AttributeChange `json:"changes"`
	// Reason and Detail say of one that goes why it is withheld; "" where it is not of a
	// selected Subnet any more, or only this peer is not to have it.
	Reason routes.Reason `json:"reason"`
	Detail string        `json:"detail"`
}

// AttributeChange is a path attribute that differs, in words.
type AttributeChange struct {
	Attribute string `json:"attribute"`
	From      string `json:"from"`
	To        string `json:"to"`
}

// Empty reports whether nothing differs.
func (d Difference) Empty() bool {
	return len(d.Sessions)+len(d.Prefixes)+len(d.Warnings)+len(d.Withheld) == 0
}

// Compare gives what a node does otherwise by the later of two plans.
func Compare(before, after Plan) Difference {
	return Difference{
		Node: after.Node, Sessions: sessionDifferences(before, after), Prefixes: prefixDifferences(before, after),
		Warnings: onlyIn(after.Warnings, before.Warnings), Withheld: newlyWithheld(before, after),
	}
}

// newlyWithheld leaves out what the earlier plan announces: of that the Prefixes tell.
func newlyWithheld(before, after Plan) []Withheld {
	had := map[Withheld]bool{}
	for _, h := range before.Withheld {
		h.Detail, h.Undecided = "", false
		had[h] = true
	}
	announced := map[string]bool{}
	for _, a := range before.Adverts {
		announced[a.Subnet] = true
	}
	out := []Withheld{}
	for _, h := range after.Withheld {
		key := h
		key.Detail, key.Undecided = "", false
		if !had[key] && !announced[h.Subnet] {
			out = append(out, h)
		}
	}
	return out
}

func onlyIn[T comparable](a, b []T) []T {
	out := []T{}
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// sessionDifferences takes two sessions with one address for one, as the speaker does,
// and else two of one BGPPeer.
func sessionDifferences(before, after Plan) []SessionDifference {
	out := []SessionDifference{}
	left := slices.Clone(before.Sessions)
	take := func(same func(Session) bool) (Session, bool) {
		i := slices.IndexFunc(left, same)
		if i < 0 {
			return Session{}, false
		}
		s := left[i]
		left = slices.Delete(left, i, i+1)
		return s, true
	}
	var others []Session
	pair := func(want Session, same func(Session) bool) bool {
		have, ok := take(same)
		if ok {
			out = append(out, changedSession(have, want, before.RouterID, after.RouterID)...)
		}
		return ok
	}
	for _, want := range after.Sessions {
		if !pair(want, func(s Session) bool { return s.key() == want.key() }) {
			others = append(others, want)
		}
	}
	for _, want := range others {
		if !pair(want, func(s Session) bool { return s.Peer == want.Peer }) {
			out = append(out, SessionDifference{want.Peer, want.Address, want.Where(), Added, []FieldChange{}})
		}
	}
	for _, have := range left {
		out = append(out, SessionDifference{have.Peer, have.Address, have.Where(), Removed, []FieldChange{}})
	}
	slices.SortFunc(out, func(a, b SessionDifference) int {
		return cmp.Or(strings.Compare(a.Peer, b.Peer), a.Address.Compare(b.Address))
	})
	return out
}

// changedSession gives no difference where there is none.
func changedSession(have, want Session, idBefore, idAfter netip.Addr) []SessionDifference {
	changes := FieldChanges(have, want)
	if idBefore != idAfter {
		changes = append([]FieldChange{{"routerID", addressText(idBefore), addressText(idAfter), NewOpen, "is in OPEN"}}, changes...)
	}
	if len(changes) == 0 {
		return nil
	}
	fate := Changed
	if len(Resetting(changes)) > 0 {
		fate = Reset
	}
	return []SessionDifference{{want.Peer, have.Address, have.Where(), fate, changes}}
}

// sentAs is what a peer is sent of one prefix.
type sentAs struct {
	to, subnet string
	role       routes.Role
	hop        netip.Addr
	attributes Attributes
}

// leaving gives what each peer is sent, by prefix and peer.
func leaving(p Plan) map[netip.Prefix]map[string]sentAs {
	out := map[netip.Prefix]map[string]sentAs{}
	for _, a := range p.Adverts {
		byPeer := map[string]sentAs{}
		for _, e := range p.Exports(a) {
			hop := a.NextHop
			if e.Attributes.NextHop.IsValid() {
				hop = e.Attributes.NextHop
			}
			byPeer[e.Peer] = sentAs{e.Peer, a.Subnet, a.Role, hop, e.Attributes}
		}
		out[a.Prefix] = byPeer
	}
	return out
}

func prefixDifferences(before, after Plan) []PrefixDifference {
	out := []PrefixDifference{}
	have, want := leaving(before), leaving(after)
	for prefix, peers := range want {
		for peer, now := range peers {
			old, had := have[prefix][peer]
			if !had {
				out = append(out, PrefixDifference{Prefix: prefix, Subnet: now.subnet, Peer: peer, Fate: Added, Changes: []AttributeChange{}})
			} else if changes := old.changes(now); len(changes) > 0 {
				out = append(out, PrefixDifference{Prefix: prefix, Subnet: now.subnet, Peer: peer, Fate: Changed, Changes: changes})
			}
		}
	}
	for prefix, peers := range have {
		for peer, old := range peers {
			if _, still := want[prefix][peer]; !still {
				d := PrefixDifference{Prefix: prefix, Subnet: old.subnet, Peer: peer, Fate: Removed, Changes: []AttributeChange{}}
				d.Reason, d.Detail = after.whyNot(prefix, old.subnet)
				out = append(out, d)
			}
		}
	}
	slices.SortFunc(out, func(a, b PrefixDifference) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), strings.Compare(a.Subnet, b.Subnet), strings.Compare(a.Peer, b.Peer))
	})
	return out
}

// whyNot gives the reason for which a Subnet's prefix, or the CIDR that it is part of,
// is withheld; "" for none.
func (p Plan) whyNot(prefix netip.Prefix, subnet string) (routes.Reason, string) {
	for _, h := range p.Withheld {
		cidr, err := netip.ParsePrefix(h.Prefix)
		if h.Subnet == subnet && (err != nil || cidr.Overlaps(prefix)) {
			return h.Reason, h.Detail
		}
	}
	return "", ""
}

// changes gives what differs of what a peer is sent.
func (s sentAs) changes(now sentAs) []AttributeChange {
	a, b := s.attributes, now.attributes
	var out []AttributeChange
	differ := func(name, from, to string) {
		if from != to {
			out = append(out, AttributeChange{name, from, to})
		}
	}
	differ("Subnet", s.subnet, now.subnet)
	differ("role", string(s.role), string(now.role))
	differ("next hop", hopText(s.hop), hopText(now.hop))
	differ("communities", listText(a.Communities), listText(b.Communities))
	differ("large communities", listText(a.LargeCommunities), listText(b.LargeCommunities))
	differ("MED", numberText(a.MED), numberText(b.MED))
	differ("local-pref", numberText(a.LocalPref), numberText(b.LocalPref))
	differ("AS path prepend", strconv.Itoa(int(a.ASPathPrepend)), strconv.Itoa(int(b.ASPathPrepend)))
	return out
}

func hopText(a netip.Addr) string {
	if !a.IsValid() {
		return "the session's own"
	}
	return a.String()
}

func listText[T interface{ String() string }](list []T) string {
	if len(list) == 0 {
		return "none"
	}
	return string(appendList(nil, list, appendText))
}

func numberText(n *uint32) string {
	if n == nil {
		return "none"
	}
	return strconv.FormatUint(uint64(*n), 10)
}

// Running is what is known of a node's daemon, beside its objects.
type Running struct {
	Node   string
	Memory Memory
	// Forgetful is true where the Memory may lack some of what is announced.
	Forgetful bool
	// Withheld are the prefixes that the daemon withholds for what only it sees.
	Withheld []Withheld
}

// Foresight is what a node does by objects that run, and by others.
type Foresight struct {
	// Now is the plan that the daemon has by the objects that run.
	Now Plan
	Difference
	// Undecided are prefixes of which only the daemon's whole memory would tell.
	Undecided []Withheld
}

// Foresee says what a node does otherwise once the objects are those of the later
// Snapshot, when everybody has noticed and time alone changes nothing any more.
func Foresee(r Running, before, after Snapshot, at time.Time) Foresight {
	recall := func(m Memory, s Snapshot) Snapshot {
		s = m.Recall(s, at)
		s.History.Known = !r.Forgetful
		s.Live = r.live()
		return s
	}
	before = recall(r.Memory, before)
	f := Foresight{Now: Make(before, r.Node)}
	after = recall(r.Memory.Remember(before, f.Now), after)
	then := Make(after, r.Node)
	f.Difference = Compare(settled(before, []Plan{f.Now})[0], settled(after, []Plan{then})[0])
	f.Undecided = []Withheld{}
	for _, h := range then.Withheld {
		if h.Undecided {
			f.Undecided = append(f.Undecided, h)
		}
	}
	return f
}

// live gives what only the daemon sees.
func (r Running) live() *routes.Live {
	l := routes.Live{DatapathDown: map[netip.Prefix]string{}, HostNotReady: map[netip.Prefix]string{}}
	for _, h := range r.Withheld {
		prefix, err := netip.ParsePrefix(h.Prefix)
		switch {
		case err != nil:
		case h.Reason == routes.DatapathDown:
			l.DatapathDown[prefix] = h.Detail
		case h.Reason == routes.HostNotReady:
			l.HostNotReady[prefix] = h.Detail
		}
	}
	return &l
}

// MemoryOf gives a memory of what was announced alone.
func MemoryOf(h routes.History) Memory { return Memory{history: h} }
