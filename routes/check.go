package routes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Case is one (Subnet, CIDR) on one node, on its way through the chain.
type Case struct {
	Snapshot *Snapshot
	Subnet   *Subnet
	// Node is nil while only the Subnet is in question.
	Node *Node
	// Prefix is the zero Prefix where the CIDR does not parse; Text is the CIDR
	// as it is shown.
	Prefix  netip.Prefix
	Text    string
	CIDRErr error
	// Tuning is meaningless where TuningErr is set.
	Tuning    Tuning
	TuningErr error
	// Kept is set where the annotations do not parse and the last good ones are
	// in force instead.
	Kept error
	// Past is what was done about the CIDR so far, with what is seen now. The zero
	// value, also while only the Subnet is in question, is of one never announced.
	Past PrefixHistory

	reach Reach
	nodes map[string]*Node
	// gone is whether the Node does not exist.
	gone      bool
	natEnded  time.Time
	carriage  carriage
	readiness readiness
	drain     leave
	// verdict, translated and downNow are refusals, "" for none.
	verdict, translated, downNow string
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

// Cases gives one Case for each CIDR of each selected Subnet, by Subnet name.
// A Subnet whose CIDRs do not all parse gives a Case for each part of the text.
// node is nil where only the Subnets are in question; reach is nil where peers
// are not known.
func Cases(s *Snapshot, node *Node, reach Reach) []Case {
	base := Case{Snapshot: s, Node: node, reach: reach, nodes: make(map[string]*Node, len(s.Nodes))}
	for i := range s.Nodes {
		base.nodes[s.Nodes[i].Name] = &s.Nodes[i]
	}
	base.gone = node != nil && base.nodes[node.Name] == nil
	order := make([]*Subnet, len(s.Subnets))
	for i := range s.Subnets {
		order[i] = &s.Subnets[i]
	}
	slices.SortStableFunc(order, func(a, b *Subnet) int { return strings.Compare(a.Name, b.Name) })
	cases := make([]Case, 0, len(order))
	for _, subnet := range order {
		cases = appendCases(cases, base, subnet)
	}
	return cases
}

func appendCases(cases []Case, base Case, subnet *Subnet) []Case {
	s := base.Snapshot
	base.Subnet = subnet
	annotations := subnet.Annotations
	base.Tuning, base.TuningErr = subnet.Tuning, subnet.TuningErr
	if good, ok := s.LastGood[subnet.Name]; ok && base.TuningErr != nil {
		if t, err := tuningOf(subnet, good); err == nil {
			annotations, base.Tuning, base.Kept, base.TuningErr = good, t, base.TuningErr, nil
		}
	}
	if !Selected(annotations, s.Settings) {
		return cases
	}
	if subnet.CIDRErr != nil {
		return append(cases, unparsed(base, subnet.CIDRErr)...)
	}
	base.natEnded = s.History.Subnets[subnet.Name].seenNow(subnet, s.At).NATEnded
	for _, p := range subnet.CIDRs {
		c := base
		c.Prefix, c.Text = p, p.String()
		if c.Node != nil {
			c.Past = c.past()
			c.judge()
		}
		cases = append(cases, c)
	}
	return cases
}

// judge answers what several questions ask.
func (c *Case) judge() {
	c.leaving, c.wakes = time.Time{}, nil
	c.verdict, c.translated = c.judgeVerdict(), c.judgeTranslation()
	c.carriage = c.judgeCarriage()
	c.readiness = c.judgeReadiness()
	c.drain = c.judgeDrain()
	c.downNow = c.judgeDatapath()
}

// Assuming gives the Case as it would be if the node announced the CIDR already.
func (c Case) Assuming(role Role) Case {
	c.Past.Role, c.Past.Leaving = role, time.Time{}
	if c.Node != nil && c.CIDRErr == nil {
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
		c.Text, c.CIDRErr = text, err
		cases = append(cases, c)
	}
	return cases
}

// Role says as what the node carries the Subnet; it is empty where it does not.
func (c *Case) Role() Role { return c.carriage.role }

// Prefixes gives what the node announces for a Case that passed: the CIDR, or in
// mode pods the node's Pods in it, aggregated.
func (c *Case) Prefixes() []netip.Prefix {
	if c.Tuning.Mode != ModePods {
		return []netip.Prefix{c.Prefix}
	}
	return c.pods()
}

// pods gives the aggregated addresses of the Subnet's live Pods on the node.
func (c *Case) pods() []netip.Prefix {
	var addrs []netip.Addr
	for i := range c.Snapshot.Pods {
		p := &c.Snapshot.Pods[i]
		if p.Subnet != c.Subnet.Name || p.Node != c.Node.Name {
			continue
		}
		for _, a := range p.Addresses {
			if c.Prefix.Contains(a) {
				addrs = append(addrs, a)
			}
		}
	}
	return Aggregate(addrs)
}

// says makes a Fact or Mend of a fixed sentence.
func says(s string) func(*Case) string { return func(*Case) string { return s } }

// detail gives s where bad, else "".
func detail(bad bool, format string, args ...any) string {
	if !bad {
		return ""
	}
	return fmt.Sprintf(format, args...)
}
