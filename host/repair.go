package host

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// Repair is all that this host shall have of ours.
type Repair struct {
	Openings []Opening
	// Sets are the networks of our ipsets by name, of those that openings name.
	Sets    map[string][]netip.Prefix
	Sysctls []SysctlChange
	// Refused are the drops that are not opened.
	Refused []Refusal
	// Unsaid counts the networks that rules cannot name, for want of the program ipset.
	Unsaid int
}

// SysctlChange sets a path below /proc/sys to a value.
type SysctlChange struct{ Key, Value string }

// Means are how the Enforcer may reach its end.
type Means struct {
	// NoTrack allows keeping packets of the networks from conntrack, so that no rule finds
	// them INVALID. It breaks NodePort replies with externalTrafficPolicy Local, which need
	// their connection's entry.
	NoTrack bool
	// First puts accepts at the head of their base chains, where they overrule whatever
	// others have decided.
	First bool
}

// Rules name up to FewNetworks one by one, so that what iptables-save prints of them loads
// without our ipset; more are in it. Without the program ipset they name up to
// ManyNetworks.
const (
	FewNetworks  = 8
	ManyNetworks = 48
)

// PlanRepair says what the Want asks for. An empty Want asks for nothing: then
// everything of ours goes, sysctls aside.
func PlanRepair(f Facts, w Want, m Means) Repair {
	repair := Repair{Sets: map[string][]netip.Prefix{}, Sysctls: sysctlChanges(f, w)}
	for _, six := range []bool{false, true} {
		if !w.has(six) {
			continue
		}
		p := newPlan(&f, w, m, six)
		repair.Refused = append(repair.Refused, p.all.refused...)
		repair.say(&f.Filter, w, six, p.all.drops)
		repair.untrack(&f.Filter, w, m, six)
	}
	return repair
}

// say puts openings into words: those of one place into one chain.
func (r *Repair) say(f *Filter, w Want, six bool, drops []opened) {
	groups := grouped(drops)
	var all []netip.Prefix // that the set has, if it is needed
	for _, g := range groups {
		if len(g.networks) > len(all) {
			all = g.networks
		}
	}
	for _, g := range groups {
		rules := r.rules(f, six, all, g.networks, func(m ownMatch) []string { return g.rule(m, w.Overlay) })
		i := slices.IndexFunc(r.Openings, func(o Opening) bool { return o.At == g.at })
		if i < 0 {
			r.Openings = append(r.Openings, Opening{At: g.at, Own: r.name(g.at)})
			i = len(r.Openings) - 1
		}
		r.Openings[i].Rules = append(r.Openings[i].Rules, rules...)
	}
	r.Openings = slices.DeleteFunc(r.Openings, func(o Opening) bool { return len(o.Rules) == 0 })
}

// rules are the rules for networks: one for each, or one for the set of all.
func (r *Repair) rules(f *Filter, six bool, all, networks []netip.Prefix, rule func(ownMatch) []string) [][]string {
	var out [][]string
	switch {
	case len(networks) > FewNetworks && f.SetTool && slices.Equal(networks, all):
		r.Sets[SetName(six)] = all
		return [][]string{rule(ownMatch{set: SetName(six)})}
	case len(networks) > ManyNetworks:
		r.Unsaid = max(r.Unsaid, len(networks)-ManyNetworks)
		networks = networks[:ManyNetworks]
	}
	for _, n := range networks {
		out = append(out, rule(ownMatch{flag: n.String()}))
	}
	return out
}

// group are openings that differ in their networks alone.
type group struct {
	opened
	networks []netip.Prefix
}

// grouped are openings by place and by what they ask, in a constant order.
func grouped(drops []opened) []group {
	var out []group
	for _, o := range drops {
		i := slices.IndexFunc(out, func(g group) bool {
			return g.at == o.at && g.inbound == o.inbound && slices.Equal(g.matches, o.matches)
		})
		if i < 0 {
			out = append(out, group{opened: o})
			i = len(out) - 1
		}
		out[i].networks = append(out[i].networks, o.network)
	}
	for i := range out {
		slices.SortFunc(out[i].networks, netip.Prefix.Compare)
		out[i].networks = slices.Compact(out[i].networks)
	}
	slices.SortStableFunc(out, func(a, b group) int { return strings.Compare(a.order(), b.order()) })
	return out
}

func (g group) order() string {
	return fmt.Sprintf("%s %s %s %012d %v %v", g.at.Backend, g.at.Table, g.at.Chain, g.at.Before, g.matches, g.inbound)
}

// name is a name for one more chain of ours: FAIRWAY-FORWARD, FAIRWAY-FORWARD-2.
func (r *Repair) name(at netfilter.Place) string {
	n := 1
	for _, o := range r.Openings {
		if o.At.Backend == at.Backend && o.At.Family == at.Family && o.At.Table == at.Table && o.At.Chain == at.Chain {
			n++
		}
	}
	if n == 1 {
		return OwnChains + at.Chain
	}
	return fmt.Sprintf("%s%s-%d", OwnChains, at.Chain, n)
}

// untrack adds, where it is allowed, the chain that keeps asymmetric networks from
// conntrack. Once is enough; nftables' backend comes first.
func (r *Repair) untrack(f *Filter, w Want, m Means, six bool) {
	if !m.NoTrack || !w.asymmetric(six) {
		return
	}
	o := Opening{At: untracking(f, six), Own: OwnChains + "PREROUTING"}
	networks := w.prefixes(six)
	for _, d := range []struct {
		flag, side, what string
		link             []string
	}{{"-s", "src", "from", []string{"-i", w.Overlay}}, {"-d", "dst", "to", []string{"!", "-i", w.Overlay}}} {
		o.Rules = append(o.Rules, r.rules(f, six, networks, networks, func(by ownMatch) []string {
			words := []string{d.flag, by.flag}
			if by.set != "" {
				words = []string{"-m", "set", "--match-set", by.set, d.side}
			}
			return slices.Concat(words, d.link, []string{"-m", "comment", "--comment", fmt.Sprintf("%s %s announced Subnets", commentStart, d.what), "-j", "CT", "--notrack"})
		})...)
	}
	r.Openings = append(r.Openings, o)
}

// untracking is where packets are kept from conntrack.
func untracking(f *Filter, six bool) netfilter.Place {
	at := netfilter.Place{Backend: netfilter.IptablesNft, Family: FamilyOf(six), Table: "raw", Chain: "PREROUTING", Before: 1}
	rules := f.of(six)
	if rules.Find(netfilter.IptablesNft, at.Family, "filter") == nil && rules.Find(netfilter.IptablesLegacy, at.Family, "filter") != nil {
		at.Backend = netfilter.IptablesLegacy
	}
	return at
}

// OthersKey stands for all rules of iptables that forwarded packets may meet and that are
// not ours: the same rules have the same key.
func (f *Filter) OthersKey() string {
	return f.key(func(rs *netfilter.Ruleset) *netfilter.Ruleset { return rs.WithoutChains(OwnChains).Forwarding() })
}

// key stands for some of the rules.
func (f *Filter) key(some func(*netfilter.Ruleset) *netfilter.Ruleset) string {
	h := sha256.New()
	for _, six := range []bool{false, true} {
		for _, t := range some(f.writable(six)).Tables {
			fmt.Fprintln(h, t.Backend, t.Family, t.Name)
			for _, name := range slices.Sorted(maps.Keys(t.Chains)) {
				c := t.Chains[name]
				fmt.Fprintln(h, name, c.Drops)
				for _, r := range c.Rules {
					fmt.Fprintln(h, r.Text)
				}
			}
		}
	}
	return string(h.Sum(nil))
}

// FamilyOf is the family by its name.
func FamilyOf(six bool) netfilter.Family {
	if six {
		return netfilter.IPv6
	}
	return netfilter.IPv4
}

// SetName is our ipset of a family.
func SetName(six bool) string {
	if six {
		return "fairway6"
	}
	return "fairway4"
}

// prefixes are the announced networks of a family, sorted.
func (w Want) prefixes(six bool) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range w.Networks {
		if n.Prefix.Addr().Is6() == six {
			out = append(out, n.Prefix.Masked())
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// sysctlChanges are the settings to change: forwarding, and strict reverse path
// filters to loose.
func sysctlChanges(f Facts, w Want) []SysctlChange {
	var out []SysctlChange
	for _, six := range []bool{false, true} {
		if !w.has(six) {
			continue
		}
		for _, key := range f.forwardingWrites(w, six) {
			out = append(out, f.keepLearning(key)...)
			out = append(out, SysctlChange{key, "1"})
		}
	}
	for _, link := range f.strictLinks(w) {
		out = append(out, SysctlChange{rpFilterKey(link), "2"})
	}
	return out
}

// forwardingWrites are the settings to write 1 to, so that a family is forwarded: of the
// links on its way alone where that does, for those of everything change each link's. IPv4
// asks the link that a packet comes in by (IN_DEV_FORWARD in net/ipv4/route.c); IPv6 asks
// that of everything, or since Linux 6.17 the link's force_forwarding (ip6_forward in
// net/ipv6/ip6_output.c).
func (f *Facts) forwardingWrites(w Want, six bool) []string {
	if f.forwards(w, six) {
		return nil
	}
	own, all := func(link string) string { return forwardingKey(link, false) }, ipForward
	if six {
		own, all = forceForwardingKey, allForwarding
	}
	var out []string
	for _, link := range f.onTheWay(w, six) {
		s, there := f.Sysctls[own(link)]
		if !there || s.Err != nil {
			return []string{all}
		}
		if !isOne(s.Value) && !slices.Contains(out, own(link)) {
			out = append(out, own(link))
		}
	}
	return out
}

// keepLearning keeps links learning their default route from router
// advertisements, which IPv6 forwarding would end (ip-sysctl.rst, accept_ra).
func (f *Facts) keepLearning(key string) []SysctlChange {
	var out []SysctlChange
	if key != allForwarding {
		return nil
	}
	for _, link := range f.Datapath.Learning {
		if f.Sysctls[acceptRA(link)].Value == "1" {
			out = append(out, SysctlChange{acceptRA(link), "2"})
		}
	}
	return out
}
