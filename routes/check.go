package routes

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Case is one (Subnet, CIDR) on one node, on its way through the chain.
type Case struct {
	Snapshot *Snapshot
	Subnet   *Subnet
	Node     *Node
	// Prefix is the zero Prefix where the CIDR does not parse.
	Prefix  netip.Prefix
	CIDRErr error
	// Tuning is meaningless where TuningErr is set.
	Tuning    *Tuning
	TuningErr error
	// Kept is set where the annotations do not parse and the last good ones are
	// in force instead.
	Kept error
	// Past is what was done about the CIDR so far, with what is seen now. The zero
	// value is of one never announced.
	Past PrefixHistory

	// Package policy, which knows the BGPPeers, answers what follows before it asks the
	// questions. Peers are the names of those that the CIDR goes to, sorted; NoPeer says
	// why there are none, Unsafe why nobody may announce the CIDR, and Lost which Subnet
	// keeps it, each "" where that is not so.
	Peers                []string
	NoPeer, Unsafe, Lost string
	// Whole are those of Peers, sorted, that get the CIDR in the place of Prefixes, which
	// are too many for them: in mode pods alone.
	Whole []string

	*Scene
	// text is the CIDR as it is shown where it does not parse.
	text string
	// gateways are the names of the Subnet's gateways, where it is not distributed.
	gateways []string
	// prefixes are what the node announces for a Case that passed.
	prefixes []netip.Prefix
	natEnded time.Time
	// down is what the node itself knows against its way to the CIDR, or "".
	down      string
	carriage  carriage
	readiness readiness
	drain     leave
	// verdict, translated and datapath are refusals, "" for none.
	verdict, translated, datapath string
	// leaving is since when another node is seen to be the one to announce it; wakes
	// are the moments at which time alone may change the answer.
	leaving time.Time
	wakes   []time.Time
}

// Check is one question of the chain. Refuse gives the detail of a refusal, or
// "" to let the Case pass on.
type Check struct {
	Reason Reason
	// When says in one line in which case the reason is given, for the docs.
	When string
	// Refuse must not change the Case.
	Refuse func(*Case) string
	// Fact says, for a Case that passed, what was found.
	Fact func(*Case) string
	// Mend says what to change, for a Case that was refused.
	Mend func(*Case) string
}

// Cases gives one Case for each CIDR of those of the Subnets that are selected, in
// their order. A Subnet whose CIDRs do not all parse gives a Case for each part of the
// text.
func Cases(s *Snapshot, around *Scene, subnets []*Subnet) []Case {
	cases := make([]Case, 0, len(subnets))
	pods := s.Pods.On(around.node.Name)
	for _, sub := range subnets {
		cases = appendCases(cases, Case{Snapshot: s, Node: around.node, Scene: around}, sub, pods)
	}
	return cases
}

// SubnetsByName gives the Subnets in the order of their names.
func SubnetsByName(subnets []*Subnet) []*Subnet {
	compare := func(a, b *Subnet) int { return strings.Compare(a.Name, b.Name) }
	if slices.IsSortedFunc(subnets, compare) {
		return subnets
	}
	return slices.SortedStableFunc(slices.Values(subnets), compare)
}

// appendCases adds the Cases of a Subnet to base, which has what all have in common.
func appendCases(cases []Case, base Case, subnet *Subnet, pods map[string]*PodAddresses) []Case {
	s := base.Snapshot
	f := s.inForce(subnet)
	if !Selected(f.annotations, s.Settings) {
		return cases
	}
	base.Subnet, base.Tuning, base.TuningErr, base.Kept = subnet, f.tuning, f.err, f.kept
	if subnet.CIDRErr != nil {
		return append(cases, unparsed(base, subnet.CIDRErr)...)
	}
	past, _ := s.History.Subnets.Of(subnet.Name)
	base.natEnded = past.seenNow(subnet, s.At).NATEnded
	if subnet.GatewayType != Distributed {
		base.gateways = Gateways(subnet, s.Nodes)
	}
	for i, p := range subnet.CIDRs {
		cases = append(cases, base)
		c := &cases[len(cases)-1]
		c.Prefix, c.prefixes = p, subnet.CIDRs[i:i+1:i+1]
		if c.Tuning.Mode == ModePods {
			c.prefixes = pods[subnet.Name].In(p)
		}
		c.down = c.judgeDown()
		c.Past = c.past(past)
		c.judge()
	}
	return cases
}

// inForce is which annotations of a Subnet count, and what they ask for.
type inForce struct {
	annotations map[string]string
	tuning      *Tuning
	// err is set where tuning is meaningless; kept where the last good annotations
	// count in place of those that the Subnet has, which do not parse.
	err, kept error
}

func (s *Snapshot) inForce(subnet *Subnet) inForce {
	now := inForce{annotations: subnet.Annotations, tuning: &subnet.Tuning, err: subnet.TuningErr}
	if now.err == nil {
		return now
	}
	good, ok := s.LastGood.Of(subnet.Name)
	if !ok || good.Annotations == nil {
		return now
	}
	t, err := tuningOf(subnet, good.Annotations)
	if err != nil {
		return now
	}
	return inForce{annotations: good.Annotations, tuning: &t, kept: now.err}
}

// SelectedCIDRs gives the CIDRs of a Subnet that is selected and parses; none else.
func (s *Snapshot) SelectedCIDRs(subnet *Subnet) []netip.Prefix {
	if !Selected(s.inForce(subnet).annotations, s.Settings) {
		return nil
	}
	return subnet.CIDRs
}

// judge answers what several questions ask.
func (c *Case) judge() {
	c.leaving, c.wakes = time.Time{}, nil
	c.verdict, c.translated = c.judgeVerdict(), c.judgeTranslation()
	c.carriage = c.judgeCarriage()
	c.readiness = c.judgeReadiness()
	c.drain = c.judgeDrain()
	c.datapath = c.judgeDatapath()
}

// Assuming gives the Case as it would be if the node announced the CIDR already.
func (c Case) Assuming(role Role) Case {
	c.Past.Role, c.Past.Leaving = role, time.Time{}
	if c.CIDRErr == nil {
		c.judge()
	}
	return c
}

// wake notes a moment at which time alone may change the answer.
func (c *Case) wake(at time.Time) { c.wakes = append(c.wakes, at) }

// Wakes gives the moments at which time alone may change what the Case is answered.
func (c *Case) Wakes() []time.Time { return c.wakes }

// Stay says why the node goes on announcing the CIDR though a rule alone would not
// let it begin, by the reason that it would give; "" where there is no such rule.
// What ends by itself in a moment is not among them.
func (c *Case) Stay() (Reason, string) {
	switch {
	case c.Past.Role == "" || !c.leaving.IsZero():
		return "", ""
	case c.Subnet.Deleting:
		return Deleting, "metadata.deletionTimestamp is set; Pods are reached until the object goes"
	case c.carriage.stay != "" && c.Subnet.ActiveGateway == "":
		return NoActiveGateway, c.carriage.stay + "; replies leave as before until one is named"
	case c.carriage.stay != "":
		return NotGateway, c.carriage.stay + "; replies leave as before until another is named"
	case c.readiness.stay != "":
		return NodeNotReady, c.readiness.stay + "; no other node would announce it"
	case c.drain.stay != "":
		return Draining, c.drain.stay + "; no other node would announce it"
	}
	return "", ""
}

// unparsed gives a Case for each part of a cidrBlock that is bad as a whole.
func unparsed(base Case, err error) []Case {
	var texts []string
	for _, part := range strings.Split(base.Subnet.CIDRBlock, ",") {
		text := strings.TrimSpace(part)
		if p, err := netip.ParsePrefix(text); err == nil {
			text = p.Masked().String()
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	cases := make([]Case, 0, len(texts))
	for _, text := range texts {
		c := base
		c.text, c.CIDRErr = text, err
		cases = append(cases, c)
	}
	return cases
}

// Text is the CIDR as it is shown, also where it does not parse.
func (c *Case) Text() string {
	if c.CIDRErr != nil {
		return c.text
	}
	return c.Prefix.String()
}

// Role says as what the node carries the Subnet; it is empty where it does not.
func (c *Case) Role() Role { return c.carriage.role }

// Prefixes gives what the node announces for a Case that passed: the CIDR, or in
// mode pods the node's Pods in it, aggregated.
func (c *Case) Prefixes() []netip.Prefix { return c.prefixes }

// says makes a Fact or Mend of a fixed sentence.
func says(s string) func(*Case) string { return func(*Case) string { return s } }
