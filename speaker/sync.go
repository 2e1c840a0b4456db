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
func (s *server) prepare(ctx context.Context, wish policy.Wish, peers map[netip.Addr]*api.Peer) error {
	err := s.bring(ctx, wish, peers)
	if err != nil {
		s.known = nil // what GoBGP has taken of it is not known
	}
	return err
}

// bring changes what differs from what GoBGP is known to have, and looks from time to
// time whether it has that.
func (s *server) bring(ctx context.Context, wish policy.Wish, peers map[netip.Addr]*api.Peer) error {
	want := rulesOf(wish.Exports, wish.Sessions)
	idle := false
	if s.known != nil {
		var err error
		if idle, err = s.change(ctx, want, wish.RIB, peers); err != nil {
			return err
		}
	}
	if s.known != nil && !s.known.isOld(idle) {
		return nil
	}
	if err := s.readBack(ctx); err != nil {
		return err
	}
	_, err := s.change(ctx, want, wish.RIB, peers)
	return err
}

// change sets the rules and paths that differ from what is known; idle is whether none does.
//
// The order matters. GoBGP asks the export policy about a path's old version to
// find out whether a peer is owed a withdrawal (pkg/server/server.go,
// filterpath): so rules come before the paths that need them, and go after.
func (s *server) change(ctx context.Context, want map[ruleKey]rule, rib routes.RIB, peers map[netip.Addr]*api.Peer) (idle bool, err error) {
	have, paths := s.known.rules, routes.Diff(s.known.rib, rib)
	if maps.Equal(have, want) {
		if paths.Empty() {
			s.known.rib = rib // the same routes, and from now on the same pointers
			return true, nil
		}
		err := s.setPaths(paths)
		s.note(want, rib, paths)
		return false, err
	}
	during := maps.Clone(have)
	maps.Copy(during, want)
	if err := s.setRules(ctx, have, during, rib); err != nil {
		return false, err
	}
	pathErr := s.setPaths(paths)
	if pathErr == nil {
		// With a path left behind, its rule is still needed.
		if err := s.setRules(ctx, during, want, rib); err != nil {
			return false, err
		}
	}
	s.note(want, rib, paths)
	return false, errors.Join(pathErr, s.refresh(ctx, s.known.stalePeers(have, paths), peers))
}

// readBack asks GoBGP what it has.
func (s *server) readBack(ctx context.Context) error {
	rules, err := s.rulesNow(ctx)
	if err != nil {
		return err
	}
	rib, err := s.ribNow()
	if err != nil {
		return err
	}
	s.known = newKnown(rules, rib)
	s.tally.Store(s.known.tally())
	return nil
}

// note takes rules and paths for what GoBGP has, after changes.
func (s *server) note(rules map[ruleKey]rule, rib routes.RIB, paths routes.Changes) {
	s.known.rules = rules
	s.known.note(rib, paths)
	s.tally.Store(s.known.tally())
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

// setRules loads the rules, for the paths of a RIB, if they differ from what GoBGP has. It
// takes the whole policy in one step, under the lock that evaluating it needs.
func (s *server) setRules(ctx context.Context, have, want map[ruleKey]rule, rib routes.RIB) error {
	if maps.Equal(have, want) {
		return nil
	}
	if err := s.SetPolicies(ctx, policiesOf(want, rib)); err != nil {
		return fmt.Errorf("load %d export rules: %w", len(want), err)
	}
	return nil
}

// assignPolicies makes the two policies those of the global table, for all peers.
func (s *server) assignPolicies(ctx context.Context) error {
	if err := s.SetPolicies(ctx, policiesOf(nil, nil)); err != nil {
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
