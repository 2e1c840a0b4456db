package speaker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// batch is how many paths go to GoBGP in one operation, during which it does
// nothing else.
const batch = 1000

// setPaths applies changes: first what is set, then what is withdrawn.
func (s *server) setPaths(c routes.Changes) error {
	var errs []error
	now, common := time.Now(), common{}
	for part := range slices.Chunk(c.Set, batch) {
		paths := make([]*apiutil.Path, len(part))
		for i, change := range part {
			paths[i] = common.pathOf(change.Prefix, change.Path, now)
		}
		errs = append(errs, eachAfterFailure(paths, func(p []*apiutil.Path) error {
			_, err := s.AddPath(apiutil.AddPathRequest{Paths: p})
			return err
		}))
	}
	for part := range slices.Chunk(c.Withdraw, batch) {
		paths := make([]*apiutil.Path, len(part))
		for i, prefix := range part {
			paths[i] = common.pathOf(prefix, routes.Path{}, now)
			paths[i].Withdrawal = true
		}
		errs = append(errs, eachAfterFailure(paths, func(p []*apiutil.Path) error {
			return s.DeletePath(apiutil.DeletePathRequest{Paths: p})
		}))
	}
	return errors.Join(errs...)
}

// eachAfterFailure repeats a failed batch path by path: GoBGP does not say which
// one it was, and one must not stop the others.
func eachAfterFailure(paths []*apiutil.Path, do func([]*apiutil.Path) error) error {
	if do(paths) == nil {
		return nil
	}
	var errs []error
	for _, p := range paths {
		if err := do([]*apiutil.Path{p}); err != nil {
			errs = append(errs, fmt.Errorf("prefix %s: %w", p.Nlri, err))
		}
	}
	return errors.Join(errs...)
}

// common has the attributes that paths have in common, which GoBGP shares as it does those
// of the prefixes of an UPDATE: so many paths cost little more than their prefixes.
type common map[routes.Path][]bgp.PathAttributeInterface

// pathOf gives a local path: origin, next hop and the mark of its class. The
// unspecified next hop becomes each session's own local address (GoBGP
// internal/pkg/table/path.go, UpdatePathAttrs). LOCAL_PREF 0 is there because
// an export rule can set any other value; external peers never see it.
func (c common) pathOf(prefix netip.Prefix, p routes.Path, now time.Time) *apiutil.Path {
	family := nativeFamily(policy.FamilyOf(prefix))
	// The prefix is valid and masked where it comes from; GoBGP checks again.
	nlri, _ := bgp.NewIPAddrPrefix(prefix)
	attributes := c[p]
	if attributes == nil {
		attributes = slices.Clip([]bgp.PathAttributeInterface{
			bgp.NewPathAttributeOrigin(bgp.BGP_ORIGIN_ATTR_TYPE_IGP),
			bgp.NewPathAttributeLocalPref(0),
			bgp.NewPathAttributeLargeCommunities([]*bgp.LargeCommunity{{ASN: 0, LocalData1: uint32(p.Class >> 32), LocalData2: uint32(p.Class)}}),
		})
		c[p] = attributes
	}
	return &apiutil.Path{Family: family, Nlri: nlri, Age: now.Unix(), Attrs: append(attributes, nextHopAttribute(family, nlri, p.NextHop))}
}

func nextHopAttribute(family bgp.Family, nlri bgp.NLRI, hop netip.Addr) bgp.PathAttributeInterface {
	if family == bgp.RF_IPv4_UC && (!hop.IsValid() || hop.Is4()) {
		if !hop.IsValid() {
			hop = netip.IPv4Unspecified()
		}
		a, _ := bgp.NewPathAttributeNextHop(hop)
		return a
	}
	if !hop.IsValid() {
		hop = netip.IPv6Unspecified()
	}
	a, _ := bgp.NewPathAttributeMpReachNLRI(family, []bgp.PathNLRI{{NLRI: nlri}}, hop)
	return a
}

// ribNow reads the paths back from GoBGP. Nothing else is in its table: what
// peers send is rejected.
func (s *server) ribNow() (routes.RIB, error) {
	out := routes.RIB{}
	for _, family := range []bgp.Family{bgp.RF_IPv4_UC, bgp.RF_IPv6_UC} {
		r := apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: family}
		err := s.ListPath(r, func(nlri bgp.NLRI, paths []*apiutil.Path) {
			if p, ok := nlri.(*bgp.IPAddrPrefix); ok && len(paths) > 0 {
				out = append(out, &routes.Route{Prefix: p.Prefix, Path: parsePath(paths[0])})
			}
		})
		if err != nil {
			return nil, fmt.Errorf("read the RIB: %w", err)
		}
	}
	slices.SortFunc(out, func(a, b *routes.Route) int { return a.Prefix.Compare(b.Prefix) })
	return out, nil
}

func parsePath(p *apiutil.Path) routes.Path {
	var out routes.Path
	for _, a := range p.Attrs {
		switch a := a.(type) {
		case *bgp.PathAttributeNextHop:
			out.NextHop = a.Value
		case *bgp.PathAttributeMpReachNLRI:
			out.NextHop = a.Nexthop
		case *bgp.PathAttributeLargeCommunities:
			for _, c := range a.Values {
				if c.ASN == 0 {
					out.Class = routes.Class(uint64(c.LocalData1)<<32 | uint64(c.LocalData2))
				}
			}
		}
	}
	if out.NextHop.IsUnspecified() {
		out.NextHop = netip.Addr{}
	}
	return out
}
