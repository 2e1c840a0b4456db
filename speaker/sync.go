package speaker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/osrg/gobgp/v4/api"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// prepare brings rules and paths to the wish; peers come later (addPeers). peers are
// those that GoBGP has.
//
// The order matters. GoBGP asks the export policy about a path's old version to
// find out whether a peer is owed a withdrawal (pkg/server/server.go,
// filterpath): so rules come before the paths that need them, and go after.
func (s *server) prepare(ctx context.Context, wish policy.Wish, peers map[netip.Addr]*api.Peer) error {
	rules, err := s.rulesNow(ctx)
	if err != nil {
		return err
	}
	rib, err := s.ribNow()
	if err != nil {
		return err
	}
	want := rulesOf(wish.Exports, wish.Sessions)
	during := maps.Clone(rules)
	maps.Copy(during, want)
	if err := s.setRules(ctx, rules, during); err != nil {
		return err
	}
	pathErr := s.setPaths(routes.Diff(rib, wish.RIB))
	if pathErr == nil {
		// With a path left behind, its rule is still needed.
		if err := s.setRules(ctx, during, want); err != nil {
			return err
		}
	}
	return errors.Join(pathErr, s.refresh(ctx, stalePeers(rules, want, rib, wish.RIB), peers))
}

// stalePeers gives the peers for which a rule changed of paths that themselves
// stayed: GoBGP does not evaluate those again by itself.
func stalePeers(have, want map[ruleKey]rule, before, after routes.RIB) []netip.Addr {
	if maps.Equal(have, want) {
		return nil
	}
	stayed := map[routes.Class]bool{}
	for _, r := range after {
		if path, there := before.Of(r.Prefix); there && path == r.Path {
			stayed[path.Class] = true
		}
	}
	stale := map[netip.Addr]bool{}
	for k := range want {
		if old, ok := have[k]; stayed[k.class] && (!ok || old != want[k]) {
			stale[k.peer] = true
		}
	}
	for k := range have {
		if _, ok := want[k]; !ok && stayed[k.class] {
			stale[k.peer] = true
		}
	}
	return slices.SortedFunc(maps.Keys(stale), netip.Addr.Compare)
}

// refresh sends each of the peers its paths anew, and withdraws what it is no
// longer to have. Peers that have just been added, or are not up, need none.
func (s *server) refresh(ctx context.Context, stale []netip.Addr, peers map[netip.Addr]*api.Peer) error {
	var errs []error
	for a := range peers {
		if !slices.Contains(stale, a.WithZone("")) {
			continue
		}
		r := &api.ResetPeerRequest{Address: a.String(), Soft: true, Direction: api.ResetPeerRequest_DIRECTION_OUT}
		if err := s.ResetPeer(ctx, r); err != nil {
			errs = append(errs, fmt.Errorf("send peer %s its paths anew: %w", a, err))
		}
	}
	return errors.Join(errs...)
}

// rulesNow reads the export rules back from GoBGP.
func (s *server) rulesNow(ctx context.Context) (map[ruleKey]rule, error) {
	out := map[ruleKey]rule{}
	var errs []error
	err := s.ListPolicy(ctx, &api.ListPolicyRequest{Name: exportPolicy}, func(p *api.Policy) {
		for _, st := range p.Statements {
			k, r, err := parseStatement(st)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			out[k] = r
		}
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("read export rules: %w", err)
	}
	return out, nil
}

// setRules loads the rules if they differ from what GoBGP has. It takes the
// whole policy in one step, under the lock that evaluating it needs.
func (s *server) setRules(ctx context.Context, have, want map[ruleKey]rule) error {
	if maps.Equal(have, want) {
		return nil
	}
	if err := s.SetPolicies(ctx, policiesOf(want)); err != nil {
		return fmt.Errorf("load %d export rules: %w", len(want), err)
	}
	return nil
}

// assignPolicies makes the two policies those of the global table, for all peers.
func (s *server) assignPolicies(ctx context.Context) error {
	if err := s.SetPolicies(ctx, policiesOf(nil)); err != nil {
		return err
	}
	for name, direction := range map[string]api.PolicyDirection{
		importPolicy: api.PolicyDirection_POLICY_DIRECTION_IMPORT,
		exportPolicy: api.PolicyDirection_POLICY_DIRECTION_EXPORT,
	} {
		err := s.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
			Name: "global", Direction: direction, Policies: []*api.Policy{{Name: name}},
			DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT,
		}})
		if err != nil {
			return err
		}
	}
	return nil
}
