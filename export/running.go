package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// running is what a router's own configuration says of BGP, as far as Fairway's
// exports go: who may open a session, and what each may bring. What is not read
// here is not judged either; where it could change the answer, it is in strange.
type running struct {
	asn uint32
	// peers are neighbours by their address, and groups by their name.
	peers  map[string]*runningPeer
	ranges []runningRange
	// lists are prefix lists by family and name.
	lists map[listKey][]listEntry
	// maps are route maps by name.
	maps map[string][]*mapEntry
	// filters are lists of ASes by name.
	filters map[string]asSpec
	// limit is how many nodes may come by ranges, 0 where the router says nothing.
	limit int
}

type listKey struct {
	v6   bool
	name string
}

// runningPeer is a neighbour or a group. What a neighbour does not say, its group
// says.
type runningPeer struct {
	name, group string
	as          asSpec
	// asList names a list of ASes of Junos.
	asList      string
	password    string
	ttlSecurity bool
	multihop    bool
	shutdown    bool
	families    [2]runningFamily // IPv4, IPv6
}

// runningFamily is what a neighbour may bring in one family.
type runningFamily struct {
	on *bool
	in string
	// maps are route maps that judge what comes in.
	maps []string
	// limit is how many prefixes it may bring, 0 for any number.
	limit int
	// strange is a statement that judges what comes in and is not read here.
	strange string
}

// asSpec is which ASes a neighbour may be in: those named, or any but the router's
// own, or just that. The zero value says nothing.
type asSpec struct {
	ranges             [][2]uint32
	external, internal bool
}

func (a asSpec) said() bool { return len(a.ranges) > 0 || a.external || a.internal }

// has reports whether a neighbour in asn may come to a router in own.
func (a asSpec) has(asn, own uint32) bool {
	if a.external && asn != own || a.internal && asn == own {
		return true
	}
	return slices.ContainsFunc(a.ranges, func(r [2]uint32) bool { return r[0] <= asn && asn <= r[1] })
}

// String names them for a sentence.
func (a asSpec) String() string {
	switch {
	case a.external:
		return "any AS but the router's own"
	case a.internal:
		return "the router's own AS"
	case !a.said():
		return "no AS"
	}
	var out []string
	for _, r := range a.ranges {
		if r[0] == r[1] {
			out = append(out, fmt.Sprint(r[0]))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", r[0], r[1]))
		}
	}
	return "AS " + strings.Join(out, ", ")
}

// add takes one more AS, range of them, or word for them.
func (a *asSpec) add(word string) {
	switch word {
	case "external":
		a.external = true
		return
	case "internal":
		a.internal = true
		return
	}
	from, to, isRange := strings.Cut(strings.TrimSuffix(word, ","), "-")
	if !isRange {
		to = from
	}
	if r := [2]uint32{number(from), number(to)}; r[0] != 0 {
		a.ranges = append(a.ranges, r)
	}
}

// runningRange is a network from which anybody may open a session as a member of a
// group.
type runningRange struct {
	network netip.Prefix
	group   string
	as      asSpec
	filter  string
}

// listEntry is one line of a prefix list: prefixes in Prefix of from to to bits.
type listEntry struct {
	permit   bool
	prefix   netip.Prefix
	from, to int
	seq      int
}

// mapEntry is one entry of a route map.
type mapEntry struct {
	permit  bool
	matches bool
}

func newRunning() *running {
	return &running{peers: map[string]*runningPeer{}, lists: map[listKey][]listEntry{}, maps: map[string][]*mapEntry{}, filters: map[string]asSpec{}}
}

// peer gives the neighbour or group of a name, and makes it where it is new.
func (r *running) peer(name string) *runningPeer {
	if a, err := netip.ParseAddr(name); err == nil {
		name = a.String()
	}
	if r.peers[name] == nil {
		r.peers[name] = &runningPeer{name: name}
	}
	return r.peers[name]
}

func (p *runningPeer) family(v6 bool) *runningFamily {
	if v6 {
		return &p.families[1]
	}
	return &p.families[0]
}

// addEntry adds a line to a prefix list. One with a number goes where that says.
func (r *running) addEntry(v6 bool, name string, e listEntry) {
	k := listKey{v6, name}
	list := r.lists[k]
	if e.seq == 0 && len(list) > 0 {
		e.seq = list[len(list)-1].seq
	}
	i := len(list)
	for i > 0 && list[i-1].seq > e.seq {
		i--
	}
	r.lists[k] = slices.Insert(list, i, e)
}

// runningSession is what the router has for one neighbour.
type runningSession struct {
	runningPeer
	// by is the neighbour or range, for sentences, and of its group.
	by, of string
	// byRange is whether it comes by a range.
	byRange bool
}

// sessionWith is what the router has for a neighbour: the settings of its address,
// else those of the narrowest range that it is in.
func (r *running) sessionWith(a netip.Addr) (found runningSession, ok bool) {
	if p := r.peers[a.String()]; p != nil {
		return r.session(*p, "neighbor "+a.String(), false), true
	}
	var best *runningRange
	for i := range r.ranges {
		if n := &r.ranges[i]; n.network.Contains(a) && (best == nil || n.network.Bits() > best.network.Bits()) {
			best = n
		}
	}
	if best == nil {
		return runningSession{}, false
	}
	p := runningPeer{name: best.network.String(), group: best.group, as: best.as}
	if best.filter != "" {
		p.as = r.filters[best.filter]
	}
	return r.session(p, "listen range "+best.network.String(), true), true
}

func (r *running) session(p runningPeer, by string, byRange bool) runningSession {
	of := by
	for g := r.peers[p.group]; g != nil && of != g.name; g = r.peers[g.group] {
		of = g.name
	}
	return runningSession{r.inherited(p), by, of, byRange}
}

// inherited fills in what the group says. A group may be of another one.
func (r *running) inherited(p runningPeer) runningPeer {
	for depth := 0; p.group != "" && depth < 8; depth++ {
		g := r.peers[p.group]
		if g == nil {
			break
		}
		if !p.as.said() {
			p.as = g.as
		}
		if p.password == "" {
			p.password = g.password
		}
		p.ttlSecurity, p.multihop, p.shutdown = p.ttlSecurity || g.ttlSecurity, p.multihop || g.multihop, p.shutdown || g.shutdown
		for i := range p.families {
			p.families[i].inherit(g.families[i])
		}
		p.group = g.group
	}
	return p
}

func (f *runningFamily) inherit(from runningFamily) {
	if f.on == nil {
		f.on = from.on
	}
	if f.in == "" {
		f.in = from.in
	}
	if len(f.maps) == 0 {
		f.maps = from.maps
	}
	if f.limit == 0 {
		f.limit = from.limit
	}
	if f.strange == "" {
		f.strange = from.strange
	}
}

// passes reports whether a route map lets everything in, whatever it does to it.
func (r *running) passes(name string) bool {
	all := false
	for _, e := range r.maps[name] {
		if !e.permit {
			return false
		}
		all = all || !e.matches
	}
	return all
}

// allows reports whether a list lets in all that a rule allows.
func allows(list []listEntry, want rule) bool {
	for bits := want.Prefix.Bits(); bits <= want.longest(); bits++ {
		if !allowsLength(list, want.Prefix, bits) {
			return false
		}
	}
	return true
}

// allowsLength reports whether every prefix of that length in a network is let in:
// the first line that has any of them has them all, and permits.
func allowsLength(list []listEntry, network netip.Prefix, bits int) bool {
	for _, e := range list {
		if bits < e.from || bits > e.to || !e.prefix.Overlaps(network) {
			continue
		}
		if !e.permit {
			return false
		}
		if e.prefix.Bits() <= network.Bits() {
			return true
		}
	}
	return false
}

// newEntry reads the words behind permit or deny: a prefix, or any, and its lengths.
func newEntry(v6, permit bool, words []string) (listEntry, error) {
	e := listEntry{permit: permit}
	if len(words) == 0 {
		return e, fmt.Errorf("a line without a prefix")
	}
	text := words[0]
	if text == "any" {
		e.prefix = netip.MustParsePrefix(family{V6: v6}.All())
		e.to = e.prefix.Addr().BitLen()
		return e, nil
	}
	var err error
	if e.prefix, err = netip.ParsePrefix(text); err != nil {
		return e, fmt.Errorf("%q is not a prefix", text)
	}
	e.prefix = e.prefix.Masked()
	e.from, e.to = e.prefix.Bits(), e.prefix.Bits()
	for i := 1; i+1 < len(words); i += 2 {
		n := int(number(words[i+1]))
		switch words[i] {
		case "ge":
			e.from = n
			if e.to < n || !slices.Contains(words, "le") {
				e.to = e.prefix.Addr().BitLen()
			}
		case "le":
			e.to = n
		case "eq":
			e.from, e.to = n, n
		default:
			return e, fmt.Errorf("%q is not understood", strings.Join(words, " "))
		}
	}
	return e, nil
}

// number reads digits, 0 where there are none.
func number(s string) uint32 {
	n, err := strconv.ParseUint(strings.TrimSuffix(s, ";"), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
