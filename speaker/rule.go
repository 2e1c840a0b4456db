package speaker

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/osrg/gobgp/v4/api"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// Names of GoBGP's policies. Both reject what none of their statements accepts.
const (
	importPolicy = "fairway-import"
	exportPolicy = "fairway-export"
)

// ownLocalPref is LOCAL_PREF of an internal path that the wish leaves unset.
const ownLocalPref = 100

// ruleKey identifies an export rule inside GoBGP: neighbours are known by their
// address there.
type ruleKey struct {
	class routes.Class
	peer  netip.Addr
}

func (k ruleKey) compare(l ruleKey) int {
	return cmp.Or(cmp.Compare(k.class, l.class), k.peer.Compare(l.peer))
}

// name is that of the rule's statement.
func (k ruleKey) name() string { return k.class.String() + ">" + k.peer.String() }

// rule is what an export does to a path, in a form that compares: two rules are
// equal exactly if a peer cannot tell them apart.
type rule struct {
	// communities and large are sorted, in numbers, separated by blanks.
	communities, large string
	nextHop            netip.Addr
	// med and localPref are -1 where the path's own stays: no MED, LOCAL_PREF 0
	// (pathOf), which external peers never see.
	med, localPref int64
	prepend        uint8
	// asn is what is prepended; 0 where nothing is.
	asn uint32
}

// rulesOf gives the export rules of a wish for the sessions given.
func rulesOf(exports []policy.Export, sessions []policy.Session) map[ruleKey]rule {
	byName := map[string]policy.Session{}
	for _, s := range sessions {
		byName[s.Peer] = s
	}
	out := make(map[ruleKey]rule, len(exports))
	for _, e := range exports {
		if s, ok := byName[e.Peer]; ok {
			out[ruleKey{e.Class, s.Address.WithZone("")}] = ruleOf(e.Attributes, s)
		}
	}
	return out
}

func ruleOf(a policy.Attributes, s policy.Session) rule {
	r := rule{
		communities: numbers(a.Communities, func(c routes.Community) string { return fmt.Sprintf("%d:%d", c>>16, c&0xFFFF) }),
		large:       numbers(a.LargeCommunities, routes.LargeCommunity.String),
		nextHop:     a.NextHop,
		med:         -1,
		localPref:   -1,
	}
	if a.MED != nil {
		r.med = int64(*a.MED)
	}
	if s.Internal() {
		// AS_PATH stays empty inside an AS (RFC 4271 section 5.1.2): with our own
		// number in it the peer would take the route for a loop and drop it.
		r.localPref = ownLocalPref
		if a.LocalPref != nil {
			r.localPref = int64(*a.LocalPref)
		}
		if r.localPref == 0 {
			// GoBGP has no action for 0, and needs none.
			r.localPref = -1
		}
		return r
	}
	if a.ASPathPrepend > 0 {
		r.prepend, r.asn = a.ASPathPrepend, s.LocalASN
	}
	return r
}

func numbers[T comparable](values []T, text func(T) string) string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		out = append(out, text(v))
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

// statement is the rule as GoBGP takes it.
func (r rule) statement(k ruleKey) *api.Statement {
	a := &api.Actions{
		RouteAction: api.RouteAction_ROUTE_ACTION_ACCEPT,
		// An empty list removes all; so the mark of the class never leaves.
		Community:      &api.CommunityAction{Type: api.CommunityAction_TYPE_REPLACE, Communities: strings.Fields(r.communities)},
		LargeCommunity: &api.CommunityAction{Type: api.CommunityAction_TYPE_REPLACE, Communities: strings.Fields(r.large)},
	}
	if r.nextHop.IsValid() {
		a.Nexthop = &api.NexthopAction{Address: r.nextHop.String()}
	}
	if r.med >= 0 {
		a.Med = &api.MedAction{Type: api.MedAction_TYPE_REPLACE, Value: r.med}
	}
	if r.localPref > 0 {
		a.LocalPref = &api.LocalPrefAction{Value: uint32(r.localPref)}
	}
	if r.prepend > 0 {
		a.AsPrepend = &api.AsPrependAction{Asn: r.asn, Repeat: uint32(r.prepend)}
	}
	return &api.Statement{
		Name: k.name(),
		Conditions: &api.Conditions{
			// Evaluated first, and cheaper than the regular expression of a
			// community set.
			NeighborSet:       &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: k.peer.String()},
			LargeCommunitySet: &api.MatchSet{Type: api.MatchSet_TYPE_ANY, Name: k.class.String()},
		},
		Actions: a,
	}
}

// parseStatement is the inverse of statement; GoBGP leaves empty lists out.
func parseStatement(st *api.Statement) (ruleKey, rule, error) {
	k, err := parseRuleName(st.Name)
	if err != nil {
		return k, rule{}, err
	}
	r := rule{med: -1, localPref: -1}
	a := st.Actions
	same := func(s string) string { return s }
	if a.Community != nil {
		r.communities = numbers(a.Community.Communities, same)
	}
	if a.LargeCommunity != nil {
		r.large = numbers(a.LargeCommunity.Communities, same)
	}
	if a.Nexthop != nil {
		if r.nextHop, err = netip.ParseAddr(a.Nexthop.Address); err != nil {
			return k, r, fmt.Errorf("statement %q: %w", st.Name, err)
		}
	}
	if a.Med != nil {
		r.med = a.Med.Value
	}
	if a.LocalPref != nil {
		r.localPref = int64(a.LocalPref.Value)
	}
	if a.AsPrepend != nil {
		r.prepend, r.asn = uint8(a.AsPrepend.Repeat), a.AsPrepend.Asn
	}
	return k, r, nil
}

func parseRuleName(name string) (ruleKey, error) {
	class, peer, _ := strings.Cut(name, ">")
	var k ruleKey
	var err error
	if k.class, err = parseClass(class); err != nil {
		return k, fmt.Errorf("statement %q: %w", name, err)
	}
	if k.peer, err = netip.ParseAddr(peer); err != nil {
		return k, fmt.Errorf("statement %q: %w", name, err)
	}
	return k, nil
}

// parseClass reads the mark of a class, Class.String.
func parseClass(s string) (routes.Class, error) {
	numbers, ours := strings.CutPrefix(s, "0:")
	high, low, _ := strings.Cut(numbers, ":")
	hi, errHigh := strconv.ParseUint(high, 10, 32)
	lo, errLow := strconv.ParseUint(low, 10, 32)
	if !ours || errHigh != nil || errLow != nil {
		return 0, fmt.Errorf("%q is not the mark of a class, such as 0:1:2", s)
	}
	return routes.Class(hi<<32 | lo), nil
}

// policiesOf gives GoBGP's whole routing policy for a set of rules. It tries one after the
// other, for each path and peer: so those come first that most paths of the RIB need.
func policiesOf(rules map[ruleKey]rule, rib routes.RIB) *api.SetPoliciesRequest {
	paths := map[routes.Class]int{}
	for _, r := range rib {
		paths[r.Class]++
	}
	peers, classes := map[netip.Addr]bool{}, map[routes.Class]bool{}
	export := &api.Policy{Name: exportPolicy}
	for _, k := range slices.SortedFunc(maps.Keys(rules), func(k, l ruleKey) int {
		return cmp.Or(cmp.Compare(paths[l.class], paths[k.class]), k.compare(l))
	}) {
		peers[k.peer], classes[k.class] = true, true
		export.Statements = append(export.Statements, rules[k].statement(k))
	}
	out := &api.SetPoliciesRequest{Policies: []*api.Policy{localOnly(), export}}
	for _, a := range slices.SortedFunc(maps.Keys(peers), netip.Addr.Compare) {
		out.DefinedSets = append(out.DefinedSets, &api.DefinedSet{
			DefinedType: api.DefinedType_DEFINED_TYPE_NEIGHBOR, Name: a.String(),
			List: []string{netip.PrefixFrom(a, a.BitLen()).String()},
		})
	}
	for _, c := range slices.Sorted(maps.Keys(classes)) {
		out.DefinedSets = append(out.DefinedSets, &api.DefinedSet{
			DefinedType: api.DefinedType_DEFINED_TYPE_LARGE_COMMUNITY, Name: c.String(), List: []string{c.String()},
		})
	}
	return out
}

// localOnly imports nothing from anybody. GoBGP asks it about our own paths too.
func localOnly() *api.Policy {
	return &api.Policy{Name: importPolicy, Statements: []*api.Statement{{
		Name:       "local",
		Conditions: &api.Conditions{RouteType: api.Conditions_ROUTE_TYPE_LOCAL},
		Actions:    &api.Actions{RouteAction: api.RouteAction_ROUTE_ACTION_ACCEPT},
	}}}
}
