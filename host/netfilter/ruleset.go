package netfilter

import (
	"net/netip"
	"slices"
)

// This file has what all backends' rules are turned into, so that one walk judges
// them: tables, chains, rules, and rules' statements.

// Backend is who keeps a table. The kernel runs all of them: a packet that
// iptables-nft accepts may be dropped by a forgotten table of iptables-legacy.
type Backend string

// The backends. IptablesNft are tables of nftables that iptables-nft owns.
const (
	IptablesLegacy Backend = "iptables-legacy"
	IptablesNft    Backend = "iptables-nft"
	Nft            Backend = "nft"
)

// Family is the packets that a table sees.
type Family string

// Families, by nft's names.
const (
	IPv4 Family = "ip"
	IPv6 Family = "ip6"
	Inet Family = "inet"
	// Netdev and Bridge tables see packets of both at links, and at bridges' ports.
	Netdev Family = "netdev"
	Bridge Family = "bridge"
	// ARP tables see ARP and nothing else.
	ARP Family = "arp"
)

func (f Family) sees(p *Packet) bool {
	switch f {
	case IPv4, IPv6:
		return !p.ARP && (f == IPv6) == p.is6()
	case ARP:
		return p.ARP
	case Inet: // also at its ingress, which takes nothing else (nft_do_chain_inet_ingress)
		return !p.ARP
	}
	return true
}

// Hook is a point on a packet's way through the kernel at which chains run
// (linux/netfilter.h, nft(8) ADDRESS FAMILIES).
type Hook string

// The hooks of a forwarded packet in its order, and those that packets to and from the
// node itself pass in place of forward.
const (
	Ingress     Hook = "ingress"
	Prerouting  Hook = "prerouting"
	Forward     Hook = "forward"
	Postrouting Hook = "postrouting"
	Egress      Hook = "egress"
	Input       Hook = "input"
	Output      Hook = "output"
)

// Priorities by which chains of a hook are ordered (netfilter_ipv4.h).
const (
	priorityRaw       = -300
	priorityConntrack = -200
	priorityMangle    = -150
	priorityDNAT      = -100
	priorityFilter    = 0
	prioritySecurity  = 50
	prioritySNAT      = 100
)

// Ruleset is everything that can drop or change a packet on its way.
type Ruleset struct {
	Tables []*Table
	// Sets are the kernel's ipsets by name.
	Sets IPSets
	// Local are this node's own addresses, which addrtype and fib ask.
	Local []netip.Addr
	// RoutesByMark are the marks by which rules of ip-rule(8) choose another way.
	RoutesByMark []MarkRule
	// PostroutingBlind is set for kernels that may not tell postrouting by which link a
	// packet came in: those before 5.7 do not.
	PostroutingBlind bool
	// IPsec is whether the kernel has, or may have, policies of IPsec.
	IPsec bool
	// Links are the node's links by name. Of one that is not there it is not known what
	// lies below it.
	Links map[string]Link
}

// MarkRule is the fwmark VALUE/MASK of a rule of ip-rule(8).
type MarkRule struct{ Value, Mask uint32 }

// reroutes is whether a packet with this mark may go another way than one without a
// mark.
func (rs *Ruleset) reroutes(m mark) bool {
	unmarked := mark{known: ^uint32(0)}
	for _, r := range rs.RoutesByMark {
		if m.equals(r.Value, r.Mask) != unmarked.equals(r.Value, r.Mask) {
			return true
		}
	}
	return false
}

// Link is what lies below a link: a packet passes the hooks ingress and egress there
// too.
type Link struct {
	// Bridge is whether it is a bridge of the kernel's.
	Bridge bool
	// Below are ports of a bridge or a bond, and the link that a VLAN is on.
	Below []string
	// Group is that of ip-link(8), Type what its frames are, as netlink calls it: "ether".
	Group uint32
	Type  string
}

// Table is one table of one backend.
type Table struct {
	Backend Backend
	Family  Family
	Name    string
	Chains  map[string]*Chain
	// Flagged is whether nft's JSON gives the table a flag. It cannot say which:
	// nft 1.0.6 prints a single one from memory that it has freed, most often as
	// the table's name. See ReadListing.
	Flagged bool
	// dormant tables are not in the kernel's hooks.
	dormant bool
	// order has the chains' names as they were printed.
	order []string
	sets  map[string]*nftSet
	// hooked caches hooks.
	hooked []string
}

// Chain is a list of rules. A base chain has a Hook; others are only jumped to.
type Chain struct {
	Name     string
	Hook     Hook
	Priority int
	// Devices are the links that a chain of hook ingress or egress is on; none where
	// that is not known.
	Devices []string
	// NAT chains see only the first packet of a connection.
	NAT bool
	// Drops is whether the base chain's policy is to drop.
	Drops bool
	Rules []*Rule
	// touched is what its rules touch; nil where it must be worked out.
	touched *touches
}

// Rule is one rule.
type Rule struct {
	// Number is the position in its chain, from 1.
	Number int
	// Handle is nft's, 0 elsewhere.
	Handle int
	// Text is as its backend prints it.
	Text    string
	Comment string

	statements []statement
	// leading are the matches before the first change or verdict.
	leading []match
	// beyondIptables is set for a rule of nft's that iptables-nft did not make.
	beyondIptables bool
}

// decision is what a rule does with a packet that matched.
type decision struct {
	kind  decisionKind
	chain string
	// to is what an address is rewritten to; zero where that is not known.
	to addrRange
}

type decisionKind uint8

const (
	// goOn goes on with the next rule: nft's continue.
	goOn decisionKind = iota
	accept
	drop
	reject
	jump
	goTo
	// returnToCaller is RETURN: back behind the jump, in a base chain to the policy.
	returnToCaller
	rewriteSource
	rewriteDestination
	// rewritePort is NAT that leaves the address.
	rewritePort
	// unknownTarget is a target that is not known ("-j NFQUEUE"): anything may come
	// of it.
	unknownTarget
)

// chain gives the named chain, made if it is not there.
func (t *Table) chain(name string) *Chain {
	if c := t.Chains[name]; c != nil {
		return c
	}
	c := &Chain{Name: name}
	t.Chains[name] = c
	t.order = append(t.order, name)
	return c
}

func (c *Chain) add(r *Rule) {
	r.Number = len(c.Rules) + 1
	for _, s := range r.statements {
		m, is := s.does.(match)
		if !is {
			break
		}
		r.leading = append(r.leading, m)
	}
	c.Rules = append(c.Rules, r)
}

// Empty reports whether the table does nothing: no rule, and no policy that
// drops.
func (t *Table) Empty() bool {
	for _, c := range t.Chains {
		if !c.Empty() {
			return false
		}
	}
	return true
}

// Empty reports whether the chain does nothing; one that is not there does not.
func (c *Chain) Empty() bool { return c == nil || !c.Drops && len(c.Rules) == 0 }

// decisions are what the rule's verdict may decide; a rule without a verdict decides nothing.
func (r *Rule) decisions() []decision {
	for _, s := range r.statements {
		if v, ok := s.does.(verdict); ok {
			return v.decisions()
		}
	}
	return nil
}

// Jumps reports whether the rule sends packets to the named chain.
func (r *Rule) Jumps(chain string) bool {
	return slices.ContainsFunc(r.decisions(), func(d decision) bool { return (d.kind == jump || d.kind == goTo) && d.chain == chain })
}

// Drops reports whether the rule drops packets for being in the state; what else it asks
// of them is not looked at.
func (r *Rule) Drops(state State) bool {
	return slices.ContainsFunc(r.statements, func(s statement) bool { return asksState(s.does, state) }) &&
		slices.ContainsFunc(r.decisions(), func(d decision) bool { return d.kind == drop })
}

// Find gives the table of a backend and family, or nil.
func (rs *Ruleset) Find(b Backend, f Family, name string) *Table {
	for _, t := range rs.Tables {
		if t.Backend == b && t.Family == f && t.Name == name {
			return t
		}
	}
	return nil
}
