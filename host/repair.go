package host

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// Repair is what is to be done to the host, in this order. An empty one says
// that all is as it should be.
//
// The order keeps traffic flowing at each step: a set is filled before a rule
// names it, and destroyed after the last rule that does is gone, for the kernel
// neither takes a rule that names a missing set nor destroys one that is named.
type Repair struct {
	// Sets is an input for `ipset restore` that adds what rules will name.
	Sets string
	// Restores replace chains, each in one transaction.
	Restores []Restore
	// NftRemovals is an input for nft that takes our chains out of tables that
	// iptables-nft cannot handle any more.
	NftRemovals string
	// Leftovers is an input for `ipset restore` that removes what no rule names
	// any more.
	Leftovers string
	Sysctls   []SysctlChange
}

// Restore is an input for iptables-restore --noflush.
type Restore struct {
	Backend netfilter.Backend
	Family  netfilter.Family
	Input   string
	// Into are the positions that get a jump and whose base chain may not be there
	// yet: iptables-save prints base chains that are not.
	Into []Position
}

// SysctlChange sets a path below /proc/sys to a value.
type SysctlChange struct{ Key, Value string }

// Empty reports whether there is nothing to do.
func (r Repair) Empty() bool {
	return r.Sets == "" && len(r.Restores) == 0 && r.NftRemovals == "" && r.Leftovers == "" && len(r.Sysctls) == 0
}

// Position is a chain of iptables that we put a jump into, and our own chain that
// it leads to: filter FORWARD and FAIRWAY-FORWARD.
type Position struct {
	Table, Chain, Own string
	// only narrows the accept; target is what our rules do.
	only, target string
}

// Positions are where an accept can help. Never inside OVN-* or KUBE-*: those are
// rewritten by their owners every few seconds.
func Positions() []Position {
	return []Position{
		{"filter", "FORWARD", "FAIRWAY-FORWARD", "", "ACCEPT"},
		// Kube-OVN drops RSTs in state INVALID there (pkg/daemon/gateway_linux.go).
		{"mangle", "POSTROUTING", "FAIRWAY-POSTROUTING", " -p tcp -m conntrack --ctstate INVALID -m tcp --tcp-flags RST RST", "ACCEPT"},
	}
}

// Untracking is where packets of the CIDRs can be kept from conntrack, so that no
// rule finds them INVALID. It breaks NodePort replies with externalTrafficPolicy
// Local, which need their connection's entry.
func Untracking() Position {
	return Position{"raw", "PREROUTING", "FAIRWAY-PREROUTING", "", "CT --notrack"}
}

// Means are how the Enforcer may reach its end.
type Means struct {
	// NoTrack allows untracking.
	NoTrack bool
}

// PlanRepair says what is missing for the Want. It looks only at what we own: our
// chains, our sets, and the sysctls that forwarding needs. An empty Want gives the
// Repair that takes everything of ours away, sysctls aside.
func PlanRepair(f Facts, w Want, m Means) Repair {
	var repair Repair
	for _, six := range []bool{false, true} {
		networks := w.prefixes(six)
		inUse := false // of our rules
		for _, b := range []netfilter.Backend{netfilter.IptablesLegacy, netfilter.IptablesNft} {
			r, holds := f.Filter.restore(b, six, w, m, networks)
			inUse = inUse || holds
			if r.Input != "" {
				repair.Restores = append(repair.Restores, r)
			}
		}
		removals, holds := f.Filter.nftRemovals(six, networks)
		repair.NftRemovals += removals
		if !f.Filter.SetTool || !inUse && !holds {
			networks = nil
		}
		before, after := readOwnSet(six, f.Filter.of(six).Sets).changes(networks)
		repair.Sets, repair.Leftovers = repair.Sets+before, repair.Leftovers+after
	}
	repair.Sysctls = sysctlChanges(f, w)
	return repair
}

// FamilyOf is the family by its name.
func FamilyOf(six bool) netfilter.Family {
	if six {
		return netfilter.IPv6
	}
	return netfilter.IPv4
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

// ownSet is our ipset of a family as it is.
type ownSet struct {
	name, ipsetFamily string
	exists            bool
	members           []string
}

func readOwnSet(six bool, sets netfilter.IPSets) ownSet {
	m := ownSet{name: SetName(six), ipsetFamily: "inet"}
	if six {
		m.ipsetFamily = "inet6"
	}
	if s := sets[m.name]; s != nil {
		m.exists, m.members = true, s.Members()
	}
	return m
}

// SetName is our ipset of a family.
func SetName(six bool) string {
	if six {
		return "fairway6"
	}
	return "fairway4"
}

// changes gives what brings the set to the wanted networks: what is added before
// the rules change, and what is removed after.
func (m ownSet) changes(wanted []netip.Prefix) (added, removed string) {
	want := make(map[string]bool, len(wanted))
	for _, p := range wanted {
		want[memberText(p)] = true
	}
	if len(want) == 0 {
		if m.exists {
			removed = "destroy " + m.name + "\n"
		}
		return "", removed
	}
	var add, del strings.Builder
	if !m.exists {
		fmt.Fprintf(&add, "create %s hash:net family %s maxelem 1048576\n", m.name, m.ipsetFamily)
	}
	for _, p := range wanted {
		if !slices.Contains(m.members, memberText(p)) {
			fmt.Fprintf(&add, "add %s %s\n", m.name, memberText(p))
		}
	}
	for _, h := range m.members {
		// An exception ("nomatch") is replaced by what is added under its name.
		if net, _, _ := strings.Cut(h, " "); !want[net] {
			fmt.Fprintf(&del, "del %s %s\n", m.name, net)
		}
	}
	return add.String(), del.String()
}

// memberText is a network as ipset prints it: a single address without length.
func memberText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// restore gives the input that brings one backend's chains into order, "" where
// they are, and whether any of ours belongs there.
func (f *Filter) restore(b netfilter.Backend, six bool, w Want, m Means, networks []netip.Prefix) (r Restore, holds bool) {
	rules := f.of(six)
	r = Restore{Backend: b, Family: FamilyOf(six)}
	for _, p := range append(Positions(), Untracking()) {
		t := rules.Find(b, r.Family, p.Table)
		wanted := []string{}
		if len(networks) > 0 && f.isUseful(p, b, six, w, m, t) {
			wanted, holds = p.rules(six, w, f.SetTool, networks), true
		}
		body := p.restoreLines(t, wanted)
		if body == "" {
			continue
		}
		r.Input += fmt.Sprintf("*%s\n%sCOMMIT\n", p.Table, body)
		if len(wanted) > 0 && (t == nil || t.Chains[p.Chain].Empty()) {
			r.Into = append(r.Into, p)
		}
	}
	return r, holds
}

// isUseful is whether a position is of use now. A table without rules drops nothing
// and stays untouched, and none is made where there is none.
func (f *Filter) isUseful(p Position, b netfilter.Backend, six bool, w Want, m Means, t *netfilter.Table) bool {
	switch p.Table {
	case "filter":
		return t != nil && !t.Empty()
	case "mangle":
		return w.asymmetric(six) && t != nil && t.Chains[p.Chain] != nil && len(t.Chains[p.Chain].Rules) > 0
	}
	if b == netfilter.IptablesNft && f.mixed(six, p.Table) != nil {
		return false
	}
	// Untracking once is enough; nftables' backend comes first.
	first := netfilter.IptablesNft
	if f.of(six).Find(first, FamilyOf(six), "filter") == nil && f.of(six).Find(netfilter.IptablesLegacy, FamilyOf(six), "filter") != nil {
		first = netfilter.IptablesLegacy
	}
	return m.NoTrack && w.asymmetric(six) && b == first
}

// rules are what our own chain of a position shall hold, much as iptables-save
// prints them. The number in a comment is a hash of the whole rule, so that the
// rules of one chain have different comments.
func (p Position) rules(six bool, w Want, sets bool, networks []netip.Prefix) []string {
	directions := []struct{ link, set, flag, what string }{{"-i " + w.Overlay, "src", "-s", "from"}, {"-o " + w.Overlay, "dst", "-d", "to"}}
	switch p.Chain {
	case "PREROUTING":
		directions[1].link = "! -i " + w.Overlay // where it goes out is not known yet
	case "POSTROUTING":
		directions = directions[:1] // a refusal comes out of the overlay
		directions[0].link = ""
	}
	var out []string
	for _, d := range directions {
		matches := []string{fmt.Sprintf("-m set --match-set %s %s", SetName(six), d.set)}
		if !sets {
			matches = nil
			for _, n := range networks {
				matches = append(matches, d.flag+" "+n.String())
			}
		}
		for _, match := range matches {
			words := strings.TrimSpace(strings.Join(strings.Fields(match+" "+d.link+p.only), " "))
			h := fnv.New32a()
			h.Write([]byte(words + p.target))
			out = append(out, fmt.Sprintf(`-A %s %s -m comment --comment "%s %s announced Subnets (%08x)" -j %s`, p.Own, words, commentStart, d.what, h.Sum32(), p.target))
		}
	}
	return out
}

// commentStart begins the comment of every rule of ours.
const commentStart = "fairway:"

func (p Position) jump() string {
	return fmt.Sprintf(`%s -m comment --comment "%s announced Subnets first" -j %s`, p.Chain, commentStart, p.Own)
}

// restoreLines gives the lines for iptables-restore that make jump and chain as
// wanted; "" where they are.
func (p Position) restoreLines(t *netfilter.Table, wanted []string) string {
	var own *netfilter.Chain
	var jumps []*netfilter.Rule
	inPlace := false
	if t != nil {
		own = t.Chains[p.Own]
		if c := t.Chains[p.Chain]; c != nil {
			for i, r := range c.Rules {
				if r.Jumps(p.Own) {
					jumps = append(jumps, r)
					inPlace = inPlace || i == 0
				}
			}
		}
	}
	switch {
	case len(wanted) == 0 && own == nil:
		return ""
	case len(wanted) > 0 && inPlace && len(jumps) == 1 && own != nil && sameRule(jumps[0].Text, "-A "+p.jump()) && sameRules(own, wanted):
		return ""
	}
	var out strings.Builder
	fmt.Fprintf(&out, ":%s - [0:0]\n", p.Own) // made, or emptied
	for _, r := range jumps {
		fmt.Fprintf(&out, "-D %s\n", strings.TrimPrefix(r.Text, "-A "))
	}
	if len(wanted) == 0 {
		fmt.Fprintf(&out, "-X %s\n", p.Own)
		return out.String()
	}
	for _, r := range wanted {
		out.WriteString(r + "\n")
	}
	chain, rest, _ := strings.Cut(p.jump(), " ")
	fmt.Fprintf(&out, "-I %s 1 %s\n", chain, rest)
	return out.String()
}

func sameRules(c *netfilter.Chain, wanted []string) bool {
	return slices.EqualFunc(c.Rules, wanted, func(r *netfilter.Rule, want string) bool { return sameRule(r.Text, want) })
}

// sameRule compares rules as text, but for what versions of iptables-save print
// in different ways: the order of what is asked, and which module asks.
func sameRule(a, b string) bool { return slices.Equal(sortedOptions(a), sortedOptions(b)) }

// sortedOptions are the options of a rule, each with its values: "! -i ovn0". The
// modules (-m) are left out, for which of them asks differs between versions.
func sortedOptions(rule string) []string {
	var out []string
	negated := false
	for _, word := range strings.Fields(strings.ReplaceAll(rule, `"`, "")) {
		switch option := strings.HasPrefix(word, "-"); {
		case word == "!":
			negated = true
			continue
		case option && negated:
			out = append(out, "! "+word)
		case option:
			out = append(out, word)
		case len(out) > 0:
			out[len(out)-1] += " " + word
		}
		negated = false
	}
	out = slices.DeleteFunc(out, func(p string) bool { return strings.HasPrefix(p, "-m ") })
	slices.Sort(out)
	return out
}

// sysctlChanges are the settings to change: forwarding, and strict reverse path
// filters to loose.
func sysctlChanges(f Facts, w Want) []SysctlChange {
	var out []SysctlChange
	for _, six := range []bool{false, true} {
		if !w.has(six) {
			continue
		}
		for _, key := range f.forwardingMissing(w, six) {
			out = append(out, f.keepLearning(key)...)
			out = append(out, SysctlChange{key, "1"})
		}
	}
	for _, link := range f.strictLinks(w) {
		out = append(out, SysctlChange{rpFilterKey(link), "2"})
	}
	return out
}

// keepLearning keeps links learning their default route from router
// advertisements, which IPv6 forwarding would end (ip-sysctl.rst, accept_ra).
func (f *Facts) keepLearning(key string) []SysctlChange {
	var out []SysctlChange
	if !strings.HasPrefix(key, "net/ipv6/") {
		return nil
	}
	for _, link := range f.Datapath.Learning {
		if f.Sysctls[acceptRA(link)].Value == "1" {
			out = append(out, SysctlChange{acceptRA(link), "2"})
		}
	}
	return out
}

// nftRemovals gives the input for nft that takes our chains out of mixed tables,
// and whether any is left in them: what is there works on, and cannot be mended.
func (f *Filter) nftRemovals(six bool, networks []netip.Prefix) (input string, holds bool) {
	for _, t := range f.MixedOf(six) {
		for _, p := range append(Positions(), Untracking()) {
			switch {
			case t.Name != p.Table:
			case len(networks) == 0:
				input += p.nftRemoval(t)
			case t.Chains[p.Own] != nil:
				holds = true
			}
		}
	}
	return input, holds
}

// nftRemoval gives the input for nft that takes our chain out of a table, and all
// jumps to it, by handle: iptables' own text of a rule means nothing to nft.
func (p Position) nftRemoval(t *netfilter.Table) string {
	if t.Chains[p.Own] == nil {
		return ""
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t.Chains)) {
		for _, r := range t.Chains[name].Rules {
			if r.Jumps(p.Own) {
				fmt.Fprintf(&out, "delete rule %s %s %s handle %d\n", t.Family, t.Name, name, r.Handle)
			}
		}
	}
	fmt.Fprintf(&out, "flush chain %[1]s %[2]s %[3]s\ndelete chain %[1]s %[2]s %[3]s\n", t.Family, t.Name, p.Own)
	return out.String()
}
