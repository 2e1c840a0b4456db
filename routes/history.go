package routes

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// History is what one node announced, and saw, until the moment of the decision.
// It is an input of the decision, which gives the next one with its answer: so a
// time (a second for others to announce, seconds of quiet) is a moment in a
// value, and a daemon that is started again in the middle decides as if it had
// not been away. The zero History knows nothing.
type History struct {
	// Known is whether Subnets has all that the node announced. It is false where
	// nobody told: then what depends on it says so.
	Known bool `json:"known,omitempty"`
	// Subnets is by name. It has the selected ones.
	Subnets ByName[SubnetHistory] `json:"subnets,omitempty"`
	// RouterID is the BGP identifier that the node's speaker runs with; the zero
	// Addr where none does.
	RouterID netip.Addr `json:"routerID,omitzero"`
	// DrainSince is when the node was first seen to be drained; zero where it is not.
	DrainSince time.Time `json:"drainSince,omitzero"`
}

// SubnetHistory is what was seen of one Subnet.
type SubnetHistory struct {
	// NAT is whether spec.natOutgoing was true last, NATEnded when it was seen to
	// become false; that is zero again once it does not matter any more.
	NAT      bool      `json:"nat,omitempty"`
	NATEnded time.Time `json:"natEnded,omitzero"`
	// Prefixes is by the Subnet's CIDR, also in mode pods. A CIDR that is not among
	// them is new to the Subnet, unless Prefixes is nil.
	Prefixes PrefixHistories `json:"prefixes,omitempty"`
}

// PrefixHistory is what was done about one CIDR of a Subnet.
type PrefixHistory struct {
	// Role is that in which the node announces the CIDR, since Since; empty where it
	// does not.
	Role  Role      `json:"role,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// New is when the Subnet, known before, was seen to have got the CIDR, until it
	// is announced. VerdictThen is Subnet.ReadyAt of that moment where it was Ready: a
	// verdict that is no newer is about the CIDRs before.
	New         time.Time `json:"new,omitzero"`
	VerdictThen string    `json:"verdictThen,omitempty"`
	// Whole names the BGPPeers, sorted, with commas between, that got the CIDR in the
	// place of the node's Pods.
	Whole string `json:"whole,omitempty"`
	// Leaving is when another node was first seen to be the one that is to announce
	// it; zero where none is.
	Leaving time.Time `json:"leaving,omitzero"`
	// Down is whether the datapath was down last; it is so, or up again, since
	// Turned. Downs counts how often it went down lately.
	Down   bool      `json:"down,omitempty"`
	Turned time.Time `json:"turned,omitzero"`
	Downs  int       `json:"downs,omitempty"`
}

// PrefixHistories is what was done about each CIDR of a Subnet, sorted by CIDR: a
// Subnet has one or two.
type PrefixHistories []CIDRHistory

// CIDRHistory is what was done about a CIDR.
type CIDRHistory struct {
	CIDR netip.Prefix
	PrefixHistory
}

// Of gives what was done about a CIDR; known is false where it is not among them.
func (h PrefixHistories) Of(cidr netip.Prefix) (past PrefixHistory, known bool) {
	for i := range h {
		if h[i].CIDR == cidr {
			return h[i].PrefixHistory, true
		}
	}
	return PrefixHistory{}, false
}

// With gives the histories with that of a CIDR added or replaced; h may change.
func (h PrefixHistories) With(cidr netip.Prefix, past PrefixHistory) PrefixHistories {
	i, known := slices.BinarySearchFunc(h, cidr, func(e CIDRHistory, p netip.Prefix) int { return e.CIDR.Compare(p) })
	if known {
		h[i].PrefixHistory = past
		return h
	}
	return slices.Insert(h, i, CIDRHistory{cidr, past})
}

// MarshalJSON writes an object with the CIDRs as keys.
func (h PrefixHistories) MarshalJSON() ([]byte, error) {
	byCIDR := make(map[netip.Prefix]PrefixHistory, len(h))
	for _, e := range h {
		byCIDR[e.CIDR] = e.PrefixHistory
	}
	return json.Marshal(byCIDR)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *PrefixHistories) UnmarshalJSON(b []byte) error {
	var byCIDR map[netip.Prefix]PrefixHistory
	if err := json.Unmarshal(b, &byCIDR); err != nil {
		return err
	}
	*h = nil
	for cidr, past := range byCIDR {
		*h = h.With(cidr, past)
	}
	return nil
}

// Equal reports whether two histories are the same.
func (h History) Equal(o History) bool {
	return h.Known == o.Known && h.RouterID == o.RouterID && h.DrainSince.Equal(o.DrainSince) &&
		h.Subnets.EqualFunc(o.Subnets, SubnetHistory.Equal)
}

// Equal reports whether two histories are the same.
func (h SubnetHistory) Equal(o SubnetHistory) bool {
	return h.NAT == o.NAT && h.NATEnded.Equal(o.NATEnded) && slices.Equal(h.Prefixes, o.Prefixes)
}

// Pending reports whether some moment is remembered by which time alone may decide.
func (h SubnetHistory) Pending() bool {
	return !h.NATEnded.IsZero() || slices.ContainsFunc(h.Prefixes, func(p CIDRHistory) bool {
		return !p.New.IsZero() || !p.Leaving.IsZero() || !p.Turned.IsZero()
	})
}

// NotAfter gives the history with moments that are later than at moved to at: the clock
// was set back, and what waits since then would wait for as long as that. at is not
// zero.
func (h History) NotAfter(at time.Time) History {
	h.DrainSince = earlier(h.DrainSince, at)
	own := false
	for i, e := range h.Subnets {
		if !e.Value.after(at) {
			continue
		}
		if !own { // others read the list that was given
			h.Subnets, own = slices.Clone(h.Subnets), true
		}
		sub := e.Value
		sub.NATEnded = earlier(sub.NATEnded, at)
		sub.Prefixes = slices.Clone(sub.Prefixes)
		for i := range sub.Prefixes {
			p := &sub.Prefixes[i]
			p.Since, p.New, p.Leaving, p.Turned = earlier(p.Since, at), earlier(p.New, at), earlier(p.Leaving, at), earlier(p.Turned, at)
		}
		h.Subnets[i] = &Named[SubnetHistory]{e.Name, sub}
	}
	return h
}

// after reports whether some moment is later than at.
func (h SubnetHistory) after(at time.Time) bool {
	return h.NATEnded.After(at) || slices.ContainsFunc(h.Prefixes, func(p CIDRHistory) bool {
		return p.Since.After(at) || p.New.After(at) || p.Leaving.After(at) || p.Turned.After(at)
	})
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

// Prefix gives what was done about a CIDR of a Subnet.
func (h History) Prefix(subnet string, cidr netip.Prefix) PrefixHistory {
	past, _ := h.Subnets.Of(subnet)
	p, _ := past.Prefixes.Of(cidr)
	return p
}

// Translating gives those CIDRs of Subnets of which it matters whether this node still
// translates them: natOutgoing has just ended.
func (s *Snapshot) Translating(subnets []*Subnet) []netip.Prefix {
	var out []netip.Prefix
	for _, sub := range subnets {
		past, _ := s.History.Subnets.Of(sub.Name)
		if past.seenNow(sub, s.At).NATEnded.IsZero() {
			continue
		}
		for _, p := range past.Prefixes {
			out = append(out, p.CIDR)
		}
	}
	return SortedSet(out, netip.Prefix.Compare)
}

// Bounds of what the past decides.
const (
	// handover is how long a node goes on announcing once another one is to announce
	// instead: make before break. A change takes a router tenths of a second.
	handover = time.Second
	// verdictStands is how long a verdict must have stood beside a changed CIDR to
	// count as one about it: Kube-OVN takes 0.2 s to refuse one (measured).
	verdictStands = time.Second
	// translationEnds is how long kube-ovn-cni takes at most to take a CIDR out of the
	// set of networks to masquerade (pkg/daemon/gateway.go, a loop of 3 s).
	translationEnds = 3 * time.Second
	// firstQuiet is how long a datapath that went down for the second time must stay
	// up before it counts; each further time doubles it, up to mostQuiet. After
	// calm more it is as good as new.
	firstQuiet = 5 * time.Second
	mostQuiet  = 5 * time.Minute
	calm       = time.Minute
)

// quiet is how long the datapath must stay up after so many times down.
func quiet(downs int) time.Duration {
	if downs < 2 {
		return 0
	}
	return min(firstQuiet<<min(downs-2, 16), mostQuiet)
}

// seenNow brings what was seen of a Subnet up to the moment, without its CIDRs.
func (h SubnetHistory) seenNow(s *Subnet, at time.Time) SubnetHistory {
	ended := h.NATEnded
	switch {
	case s.NATOutgoing || !ended.IsZero() && !at.Before(ended.Add(translationEnds)):
		ended = time.Time{}
	case h.NAT:
		ended = at
	}
	return SubnetHistory{NAT: s.NATOutgoing, NATEnded: ended}
}

// SubnetHistory is what the Case leaves to the next decision about its Subnet, still
// without CIDRs.
func (c *Case) SubnetHistory() SubnetHistory {
	past, _ := c.Snapshot.History.Subnets.Of(c.Subnet.Name)
	next := past.seenNow(c.Subnet, c.Snapshot.At)
	next.Prefixes = PrefixHistories{}
	return next
}

// past gives what was done about the Case's CIDR by its Subnet's history, with what
// is seen now.
func (c *Case) past(subnet SubnetHistory) PrefixHistory {
	at := c.Snapshot.At
	p, known := subnet.Prefixes.Of(c.Prefix)
	if !known && subnet.Prefixes != nil {
		p.New = at
		if c.Subnet.Ready {
			p.VerdictThen = c.Subnet.ReadyAt
		}
	}
	if (p.Role == RolePod) != (c.Tuning.Mode == ModePods) {
		p.Role, p.Since = "", time.Time{} // other prefixes than those of the CIDR
	}
	return p.looked(c.down != "", at)
}

// looked gives the history after a look at the datapath. What was not announced
// when it went down did not flap for anybody.
func (h PrefixHistory) looked(down bool, at time.Time) PrefixHistory {
	switch {
	case down && !h.Down:
		h.Down, h.Turned = true, at
		if h.Role != "" {
			h.Downs++
		}
	case !down && h.Down:
		h.Down, h.Turned = false, at
	case !down && !at.Before(h.Turned.Add(quiet(h.Downs)+calm)):
		h.Turned, h.Downs = time.Time{}, 0
	}
	return h
}

// Next is what the Case leaves to the next decision, where the node announces it
// in a role; "" for not at all.
func (c *Case) Next(role Role) PrefixHistory {
	next := c.Past
	if next.Role != role {
		next.Role, next.Since = role, c.Snapshot.At
	}
	next.Whole = ""
	if role == "" {
		next.Since = time.Time{}
	} else {
		next.New, next.VerdictThen, next.Whole = time.Time{}, "", strings.Join(c.Whole, ",")
	}
	next.Leaving = c.leaving
	return next
}
