package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Fit says whether a router's configuration does what a plan needs.
type Fit struct {
	// Peer is the BGPPeer.
	Peer string
	// Nodes and Prefixes count what was compared.
	Nodes, Prefixes int
	// Problems are what does not fit, each a sentence with the nodes that it is about.
	Problems []string
	// Notes are what could not be compared.
	Notes []string
}

// OK reports whether all fits.
func (f Fit) OK() bool { return len(f.Problems) == 0 }

// Text is what a person reads, about a file of that name.
func (f Fit) Text(file string) string {
	var b strings.Builder
	if f.OK() {
		fmt.Fprintf(&b, "%s fits the plan of BGPPeer %s: %s, and %s\n", file, f.Peer,
			columns.Count(f.Nodes, "node has a neighbor", "nodes have a neighbor"), columns.Count(f.Prefixes, "prefix is let in", "prefixes are let in"))
	} else {
		fmt.Fprintf(&b, "%s does not fit the plan of BGPPeer %s:\n", file, f.Peer)
	}
	for _, p := range f.Problems {
		fmt.Fprintf(&b, "- %s\n", p)
	}
	for _, n := range f.Notes {
		fmt.Fprintf(&b, "  %s\n", n)
	}
	return b.String()
}

// Check compares a router's configuration with what the plans need. text is an
// export, loaded and edited or not, or what the router shows of itself in that
// language. An error means that it could not be told: a language or a text that
// cannot be read, one that has nothing of the BGPPeer, or a filter that is not
// Fairway's.
func Check(f Format, in Input, text string) (Fit, error) {
	if in.static(f) {
		return Fit{}, fmt.Errorf("static routes are not checked: they are right for one moment only; export them anew")
	}
	p, err := peeringOf(f, in)
	if err != nil {
		return Fit{}, err
	}
	if p.Unnumbered() {
		return Fit{}, fmt.Errorf("BGPPeer %s is unnumbered: its neighbors in the router are ports, and those are not compared; export it anew", p.Peer)
	}
	r, err := readRunning(f, text)
	if err != nil {
		return Fit{}, fmt.Errorf("as %s: %w", f, err)
	}
	peer, _ := choosePeer(in)
	if err := r.isOf(p); err != nil {
		return Fit{}, fmt.Errorf("as %s: %w", f, err)
	}
	c := &checker{peering: p, router: r, nodes: map[string][]string{}, shut: map[listKey][]want{}, counts: countsOf(peer, in.Plans)}
	if in.PasswordsRead {
		c.password = passwordOf(peer, in.Plans)
	}
	return c.check(wantsOf(peer, byNode(in.Plans), in.Subnets))
}

// readRunning reads a configuration in the language of a format.
func readRunning(f Format, text string) (*running, error) {
	switch f {
	case Junos, VyOS:
		return readSet(f, text)
	case BIRD:
		return readBIRD(text)
	case FRR, EOS, IOS, NXOS:
		return readLines(f, text)
	}
	return nil, fmt.Errorf("it cannot be read")
}

// isOf is an error unless the configuration has something of the BGPPeer: a group or
// list by a name that its exports give, or in the operator's own names a neighbour or
// range for one of its nodes.
func (r *running) isOf(p peering) error {
	var others []string
	for _, name := range r.names() {
		switch {
		case slices.Contains(p.names(), name):
			return nil
		case strings.HasPrefix(name, "FAIRWAY") && !slices.Contains(sharedNames(), name):
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("it has nothing of BGPPeer %s, but %s: it is another router's", p.Peer, some(others))
	}
	for _, g := range p.Groups {
		for _, n := range g.all() {
			if _, ok := r.sessionWith(n.Address); ok {
				return nil
			}
		}
	}
	return fmt.Errorf("it has nothing of BGPPeer %s: no group %s, no neighbor and no listen range of its nodes; is it another router's, or in another language?", p.Peer, p.Name)
}

// names are those of all groups and lists, sorted.
func (r *running) names() []string {
	var out []string
	for name := range r.peers {
		out = append(out, name)
	}
	for k := range r.lists {
		out = append(out, k.name)
	}
	return routes.SortedSet(out, strings.Compare)
}

// names are those that exports give to what is the BGPPeer's own, in any language.
func (p peering) names() []string {
	out := []string{p.Name + "-IN", p.Name + "-V4", p.Name + "-V6"}
	for _, group := range p.groupNames() {
		out = append(out, group, symbol(group, "_"))
	}
	name := symbol(p.Name, "_")
	return append(out, name+"_v4", name+"_v6")
}

// groupNames are those that its groups may have, whatever was asked for.
func (p peering) groupNames() []string {
	internal := p.Name + internalSuffix
	return []string{p.Name, p.Name + listenSuffix, internal, internal + listenSuffix}
}

// sharedNames are those that every export has.
func sharedNames() []string {
	return []string{family{}.none(), family{V6: true}.none(), "FAIRWAY-NONE", "FAIRWAY-ECMP", gshut}
}

// passwordOf is the password of the sessions, to compare with; it is not kept and not printed.
func passwordOf(peer string, plans []policy.Plan) policy.Password {
	for _, plan := range plans {
		for _, s := range plan.Sessions {
			if s.Peer == peer {
				return s.Password
			}
		}
	}
	return ""
}

// checker gathers problems, and the nodes that have each.
type checker struct {
	peering
	router   *running
	password policy.Password
	order    []string
	nodes    map[string][]string
	// shut is what each list does not let in: nodes share lists.
	shut map[listKey][]want
	// counts is how many prefixes of IPv4 and IPv6 each node announces to the router.
	counts map[string][2]int
}

// found notes a problem of a node; "" is the router's own.
func (c *checker) found(node, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if c.nodes[problem] == nil {
		c.order = append(c.order, problem)
	}
	c.nodes[problem] = append(c.nodes[problem], node)
}

// check compares the sessions first, then what they bring.
func (c *checker) check(wants []want) (Fit, error) {
	if c.router.asn != 0 && c.router.asn != c.ASN() {
		c.found("", "the router is AS %d; BGPPeer %s says %d", c.router.asn, c.Peer, c.ASN())
	}
	dynamic := 0
	for _, g := range c.Groups {
		for _, n := range g.all() {
			s, ok := c.router.sessionWith(n.Address)
			if !ok {
				c.found(n.Node, "no neighbor and no listen range for %s, AS %d", n.Address, n.ASN)
				continue
			}
			if s.byRange {
				dynamic++
			}
			c.session(n, s)
			if err := c.brings(n, s, wants); err != nil {
				return Fit{}, err
			}
		}
	}
	if limit := c.router.most(c.Format); limit > 0 && dynamic > limit {
		c.found("", "%d nodes come by listen ranges, and the router takes %d", dynamic, limit)
	}
	return c.fit(wants), nil
}

// most is how many nodes the router takes by ranges, 0 where that is not known.
func (r *running) most(f Format) int {
	switch {
	case r.limit > 0:
		return r.limit
	case f == FRR || f == IOS || f == EOS || f == VyOS:
		return listenDefault
	}
	return 0
}

// session compares what decides whether a session comes up.
func (c *checker) session(n neighbour, s runningSession) {
	switch {
	case s.shutdown:
		c.found(n.Node, "%s is shut down", s.by)
	case s.byRange && c.settings.Passive:
		c.found(n.Node, "BGPPeer %s is passive, and for a %s the router does not dial", c.Peer, s.by)
	}
	if !s.as.has(n.ASN, c.ASN()) {
		c.found(n.Node, "%s takes %s; the node is in AS %d", s.by, s.as, n.ASN)
	}
	switch {
	case c.settings.Password != "" && s.password == "":
		c.found(n.Node, "%s has no password; BGPPeer %s has one", s.of, c.Peer)
	case c.settings.Password == "" && s.password != "":
		c.found(n.Node, "%s has a password; BGPPeer %s has none", s.of, c.Peer)
	case c.otherPassword(s.password):
		c.found(n.Node, "%s has another password than BGPPeer %s", s.of, c.Peer)
	}
	switch external := n.ASN != c.ASN(); {
	case c.settings.TTLSecurity && !s.ttlSecurity && (external || c.Format != IOS && c.Format != NXOS):
		c.found(n.Node, "%s has no TTL security; BGPPeer %s has", s.of, c.Peer)
	case !c.settings.TTLSecurity && s.ttlSecurity:
		c.found(n.Node, "%s has TTL security; BGPPeer %s has none", s.of, c.Peer)
	case c.settings.EBGPMultihop && external && !s.multihop && !s.ttlSecurity:
		c.found(n.Node, "%s has no multihop; BGPPeer %s has ebgpMultihop", s.of, c.Peer)
	}
}

// otherPassword reports whether the router's password is known, and another.
func (c *checker) otherPassword(there string) bool {
	return there != "" && there != hidden && there != placeholder && c.password != "" && there != string(c.password)
}

// brings compares what the session of a node may bring. An error is a filter that
// cannot be judged.
func (c *checker) brings(n neighbour, s runningSession, wants []want) error {
	for _, f := range c.Families() {
		theirs := s.family(f.V6)
		if theirs.on == nil || !*theirs.on {
			if slices.ContainsFunc(wants, func(w want) bool { return w.Prefix.Addr().Is6() == f.V6 }) {
				c.found(n.Node, "%s does not take %s: the family is not active", s.of, familyName(f.V6))
			}
			continue
		}
		if theirs.strange != "" {
			return fmt.Errorf("%s, %s: cannot judge %q, which is not of Fairway", s.of, familyName(f.V6), theirs.strange)
		}
		for _, m := range theirs.maps {
			if !c.router.passes(m) {
				return fmt.Errorf("%s, %s: cannot judge route map %s: it lets in not everything", s.of, familyName(f.V6), m)
			}
		}
		c.filtered(n, *theirs, f.V6, s.of, wants)
	}
	c.counted(n, s)
	return nil
}

// filtered compares one family's prefix list with what is wanted.
func (c *checker) filtered(n neighbour, f runningFamily, v6 bool, of string, wants []want) {
	if f.in == anything {
		return
	}
	list, there := c.router.lists[listKey{v6, f.in}]
	switch {
	case f.in == "":
		c.found(n.Node, "%s has no filter for %s", of, familyName(v6))
		return
	case !there && f.in != (family{V6: v6}).none():
		c.found(n.Node, "%s: the filter %s for %s is not there", of, f.in, familyName(v6))
		return
	}
	key := listKey{v6, f.in}
	if _, judged := c.shut[key]; !judged {
		c.shut[key] = shutOut(list, wants, v6)
	}
	for _, w := range c.shut[key] {
		away := ""
		if w.Away {
			away = ", which is away now,"
		}
		c.found(n.Node, "%s of Subnet %s%s is filtered: %s does not permit it", w.rule, plain(w.Subnet), away, f.in)
	}
}

// shutOut gives what of one family a list does not let in.
func shutOut(list []listEntry, wants []want, v6 bool) []want {
	out := []want{}
	for _, w := range wants {
		if w.Prefix.Addr().Is6() == v6 && !allows(list, w.rule) {
			out = append(out, w)
		}
	}
	return out
}

// counted compares the router's limits with how much the node announces.
func (c *checker) counted(n neighbour, s runningSession) {
	count := c.counts[n.Node]
	if c.Format == EOS { // counts all families of a session together
		if most := s.families[0].limit; most > 0 && count[0]+count[1] > most {
			c.found(n.Node, "%s ends its session at %d prefixes; the node announces %d", s.of, most, count[0]+count[1])
		}
		return
	}
	for i, f := range s.families {
		if f.limit > 0 && count[i] > f.limit {
			c.found(n.Node, "%s ends its session at %d %s prefixes; the node announces %d", s.of, f.limit, familyName(i == 1), count[i])
		}
	}
}

// countsOf counts what each node announces to a BGPPeer, by its name as it is printed.
func countsOf(peer string, plans []policy.Plan) map[string][2]int {
	out := map[string][2]int{}
	for _, plan := range plans {
		var n [2]int
		for _, a := range plan.Adverts {
			switch {
			case !slices.Contains(a.Peers, peer):
			case a.Prefix.Addr().Is6():
				n[1]++
			default:
				n[0]++
			}
		}
		out[plain(plan.Node)] = n
	}
	return out
}

// fit sums up.
func (c *checker) fit(wants []want) Fit {
	f := Fit{Peer: c.Peer, Nodes: len(c.peering.nodes()), Prefixes: len(wants), Notes: c.leftOut}
	for _, problem := range c.order {
		nodes := routes.SortedSet(c.nodes[problem], strings.Compare)
		if nodes[0] != "" {
			problem += " (" + some(nodes) + ")"
		}
		f.Problems = append(f.Problems, problem)
	}
	return f
}
