package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// Planner plans for one node time and again, and asks only about Subnets of which the
// answer may be another than last time: those that changed, those that wait for
// something, and their rivals for a prefix. On all others it stays with what was decided.
// Where what all Subnets have in common changes, or a Snapshot does not carry on from the
// plan before (its History and LastGood are not what that left), it asks about all.
//
// What it gives is what Make gives of the same Snapshot. Its plans share what they have in
// common, and nobody changes it.
type Planner struct {
	node   string
	around *around
	// at is the moment of the last Snapshot, live what the node knew of itself at the last
	// plan, and pods the addresses of its Pods then.
	at   time.Time
	live routes.Live
	pods map[string]*routes.PodAddresses
	// history and good are what a Snapshot has that carries on.
	history routes.ByName[routes.SubnetHistory]
	good    routes.ByName[routes.Good]
	// subnets are those of the last Snapshot, by name, and subjects the same with what was
	// decided on them. gone is what was decided on Subnets that have gone since.
	subnets  []*routes.Subnet
	subjects []*subject
	gone     []outcome
	// due are those to be asked about; all is whether every one is.
	due map[*subject]bool
	all bool
	// claims are nil where they are to be made anew, and so is selected, which are their
	// prefixes.
	claims   claims
	selected []netip.Prefix
	exports  exportsByClass
	plan     Plan
}

// subject is a Subnet and what was decided on it.
type subject struct {
	subnet *routes.Subnet
	// cidrs are those that it has in claims.
	cidrs []netip.Prefix
	outcome
}

// NewPlanner gives a Planner that has not planned yet.
func NewPlanner(node string) *Planner { return &Planner{node: node} }

// Make decides. A node that the Snapshot does not have is planned for as one that is
// not Ready.
func (p *Planner) Make(s Snapshot) Plan {
	p.follow(&s)
	p.followNode(&s)
	asked := p.asked(&s.Snapshot)
	subnets := make([]*routes.Subnet, len(asked))
	for i, of := range asked {
		subnets[i] = of.subnet
	}
	v := viewOf(&s, p.around, subnets)
	now, answers := v.outcomes(asked, p.exports)
	p.take(asked, now, answers, v.byPrefix)
	p.plan.history.Known, p.plan.history.RouterID, p.plan.history.DrainSince = true, p.around.routerID, s.DrainSince(p.around.node)
	p.history, p.good = p.plan.history.Subnets, p.plan.good
	return p.plan
}

// SelectedCIDRs gives the CIDRs of all selected Subnets that parse, sorted.
func (p *Planner) SelectedCIDRs(s Snapshot) []netip.Prefix {
	p.follow(&s)
	if p.selected == nil {
		p.index(&s.Snapshot)
		p.selected = p.claims.prefixes()
	}
	return p.selected
}

// Translating gives the CIDRs of which it matters whether this node still translates
// them.
func (p *Planner) Translating(s Snapshot) []netip.Prefix {
	p.follow(&s)
	var subnets []*routes.Subnet
	for _, of := range p.asked(&s.Snapshot) {
		subnets = append(subnets, of.subnet)
	}
	return s.Translating(subnets)
}

// follow finds out what of a Snapshot is new.
func (p *Planner) follow(s *Snapshot) {
	carriesOn := routes.SameList(s.History.Subnets, p.history) && routes.SameList(s.LastGood, p.good) && !s.At.Before(p.at)
	if in := inputsOf(s); p.around == nil || !carriesOn || !p.around.equal(&in) {
		p.begin(s)
	}
	p.at = s.At
	if slices.Equal(p.subnets, s.Subnets) {
		return
	}
	if !p.all {
		p.index(&s.Snapshot) // by the Subnets before
	}
	if changed, only := p.changes(s.Subnets); only {
		p.followChanges(&s.Snapshot, nil, changed)
		return
	}
	p.followSubnets(s, routes.SubnetsByName(s.Subnets))
}

// begin forgets what was decided, and looks at what all Subnets have in common.
func (p *Planner) begin(s *Snapshot) {
	a := lookAround(s, p.node)
	*p = Planner{node: p.node, around: a, history: s.History.Subnets, good: s.LastGood, all: true, due: map[*subject]bool{}, exports: exportsByClass{}, plan: Plan{
		Node: p.node, Sessions: a.sessions, RouterID: a.routerID,
		Adverts: []*Advert{}, Withheld: []Withheld{}, Forwards: []Forward{}, Warnings: routes.SortedSet(a.warnings, compareWarnings),
		rib: routes.RIB{}, exports: []Export{}, good: routes.ByName[routes.Good]{}, history: routes.History{Subnets: routes.ByName[routes.SubnetHistory]{}},
	}}
}

// changes takes over Subnets that have the names of those before, in the same order, and
// gives those that changed; only is false where there are others.
func (p *Planner) changes(now []*routes.Subnet) (changed []*subject, only bool) {
	if len(now) != len(p.subnets) {
		return nil, false
	}
	for i, sub := range now {
		if sub != p.subnets[i] && sub.Name != p.subnets[i].Name {
			return nil, false
		}
	}
	for i, sub := range now {
		if sub != p.subnets[i] {
			p.subnets[i], p.subjects[i].subnet = sub, sub
			changed = append(changed, p.subjects[i])
		}
	}
	return changed, true
}

// followSubnets goes through the Subnets before and those now, which are sorted by name.
func (p *Planner) followSubnets(s *Snapshot, now []*routes.Subnet) {
	before, subjects := p.subjects, make([]*subject, len(now))
	room := make([]subject, max(0, len(now)-len(before)))
	var gone, changed []*subject
	for i, sub := range now {
		for len(before) > 0 && before[0].subnet != sub && before[0].subnet.Name < sub.Name {
			gone, before = append(gone, before[0]), before[1:]
		}
		if len(before) > 0 && (before[0].subnet == sub || before[0].subnet.Name == sub.Name) {
			subjects[i], before = before[0], before[1:]
		} else if len(room) > 0 {
			subjects[i], room = &room[0], room[1:]
		} else {
			subjects[i] = &subject{}
		}
		if of := subjects[i]; of.subnet != sub {
			of.subnet, changed = sub, append(changed, of)
		}
	}
	p.subnets, p.subjects = slices.Clone(now), subjects
	p.followChanges(&s.Snapshot, append(gone, before...), changed)
}

// many is the part of all Subnets from which on all are asked about: to find the rivals
// of so many would take longer.
const many = 4

// followChanges notes who is to be asked about: what changed, and who was a rival of
// what changed or has gone. Who is one now is found when they are asked.
func (p *Planner) followChanges(s *routes.Snapshot, gone, changed []*subject) {
	for _, of := range gone {
		p.gone = append(p.gone, of.outcome)
		delete(p.due, of)
	}
	for _, of := range changed {
		p.due[of] = true
	}
	if p.all = p.all || many*(len(gone)+len(changed)) > len(p.subjects); p.all {
		p.claims, p.selected = nil, nil
		return
	}
	for _, of := range gone {
		p.claim(of, nil)
	}
	for _, of := range changed {
		p.claim(of, s.SelectedCIDRs(of.subnet))
	}
}

// index makes the claims where there are none.
func (p *Planner) index(s *routes.Snapshot) {
	if p.claims == nil {
		p.claims = claimsOf(s, p.subjects)
	}
}

// claim lets a subject claim CIDRs in the place of those before.
func (p *Planner) claim(of *subject, cidrs []netip.Prefix) {
	if slices.Equal(of.cidrs, cidrs) {
		return
	}
	p.claims = p.claims.without(of)
	for _, cidr := range of.cidrs {
		p.claims.rivals(cidr, func(rival *subject) { p.due[rival] = true })
	}
	of.cidrs = cidrs
	p.claims, p.selected = p.claims.with(of), nil
}

// followNode notes who is to be asked about because the node knows other things of them.
func (p *Planner) followNode(s *Snapshot) {
	var live routes.Live
	if s.Live != nil {
		live = routes.Live{DatapathDown: maps.Clone(s.Live.DatapathDown), HostNotReady: maps.Clone(s.Live.HostNotReady), Translated: maps.Clone(s.Live.Translated)}
	}
	if p.all {
		p.live, p.pods = live, s.Pods.On(p.node)
		return
	}
	turned := func(prefix netip.Prefix) {
		p.index(&s.Snapshot)
		for i := p.claims.from(prefix); i < len(p.claims) && p.claims[i].prefix == prefix; i++ {
			p.due[p.claims[i].of] = true
		}
	}
	differing(p.live.DatapathDown, live.DatapathDown, turned)
	differing(p.live.HostNotReady, live.HostNotReady, turned)
	differing(p.live.Translated, live.Translated, turned)
	pods := s.Pods.On(p.node)
	differing(p.pods, pods, func(subnet string) {
		if i, there := slices.BinarySearchFunc(p.subnets, subnet, func(s *routes.Subnet, name string) int { return strings.Compare(s.Name, name) }); there {
			p.due[p.subjects[i]] = true
		}
	})
	p.live, p.pods = live, pods
}

// differing calls do with each key that two maps do not have alike.
func differing[K, V comparable](a, b map[K]V, do func(K)) {
	for k, v := range a {
		if w, there := b[k]; !there || v != w {
			do(k)
		}
	}
	for k := range b {
		if _, there := a[k]; !there {
			do(k)
		}
	}
}

// asked gives those to be asked about, by name: those that are due, their rivals, and
// so on.
func (p *Planner) asked(s *routes.Snapshot) []*subject {
	if p.all || many*len(p.due) > len(p.subjects) {
		return p.subjects
	}
	p.index(s)
	asked := slices.Collect(maps.Keys(p.due))
	for i := 0; i < len(asked); i++ {
		for _, cidr := range asked[i].cidrs {
			p.claims.rivals(cidr, func(rival *subject) {
				if !p.due[rival] {
					p.due[rival] = true
					asked = append(asked, rival)
				}
			})
		}
	}
	slices.SortFunc(asked, func(a, b *subject) int { return strings.Compare(a.subnet.Name, b.subnet.Name) })
	return asked
}

// take puts what is decided on those asked about in the place of what was before, in the
// plan too. answers are all those of the outcomes, and byPrefix their places by prefix.
func (p *Planner) take(asked []*subject, now []outcome, answers []answer, byPrefix []int) {
	x := exchangeFor(now, answers)
	for i := range p.gone {
		x.outcome(&p.gone[i], &outcome{})
	}
	none, was := &answer{}, make([]*answer, 0, len(answers))
	for i, of := range asked {
		x.outcome(&of.outcome, &now[i])
		for k := range now[i].answers {
			if k < len(of.answers) {
				was = append(was, &of.answers[k])
			} else {
				was = append(was, none)
			}
		}
	}
	for _, i := range byPrefix {
		x.answer(was[i], &answers[i])
	}
	p.plan = x.apply(p.plan, p.exports)
	p.plan.Next = time.Time{}
	p.gone, p.all = nil, false
	clear(p.due)
	for i, of := range asked {
		of.outcome = now[i]
		p.plan.Next = sooner(p.plan.Next, of.next)
		if !of.calm {
			p.due[of] = true
		}
	}
}
