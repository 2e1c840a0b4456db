package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// proofBound is how long a proof waits for what it expects to become true.
const proofBound = 10 * time.Second

// until looks again and again until look has no complaint, and gives the last
// complaint when time is up.
func until(ctx context.Context, bound time.Duration, look func() error) error {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return err
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// ErrNotProved is in every error that says that something is not as it should
// be, as opposed to a lab that could not be played.
var ErrNotProved = errors.New("not proved")

// disproof is a proof that failed.
type disproof struct {
	expected, there string
}

// Is makes every disproof an ErrNotProved.
func (d *disproof) Is(target error) bool { return target == ErrNotProved }

func (d *disproof) Error() string { return "expected " + d.expected + "; there is " + d.there }

// WaitForRoute waits until a station's kernel reaches exactly this prefix by
// exactly these next hops; by none means that there is no such route.
func (l *Lab) WaitForRoute(ctx context.Context, station string, prefix netip.Prefix, hops ...netip.Addr) error {
	want := slices.SortedFunc(slices.Values(hops), netip.Addr.Compare)
	return until(ctx, proofBound, func() error {
		have, err := l.NextHops(station, prefix)
		if err != nil {
			return err
		}
		if !slices.Equal(have, want) {
			return &disproof{routeText(station, prefix, want), routeText(station, prefix, have)}
		}
		return nil
	})
}

func routeText(station string, prefix netip.Prefix, hops []netip.Addr) string {
	if len(hops) == 0 {
		return fmt.Sprintf("no route to %s in %s", prefix, station)
	}
	texts := make([]string, 0, len(hops))
	for _, h := range hops {
		texts = append(texts, h.String())
	}
	return fmt.Sprintf("a route to %s in %s by %s", prefix, station, strings.Join(texts, ", "))
}

// WaitForVisit visits a Pod until a visit is as wanted; accept gives "" for one
// that is, else what is missing. Every visit is a new connection, which ECMP may
// send by another node.
func (l *Lab) WaitForVisit(ctx context.Context, station string, to netip.Addr, accept func(Visit) string) (Visit, error) {
	var v Visit
	err := until(ctx, proofBound, func() (err error) {
		if v, err = l.Visit(ctx, station, to); err != nil {
			return &disproof{fmt.Sprintf("HTTP 200 from %s", to), "an error, " + err.Error()}
		}
		if v.Status != 200 || v.Seen != v.From {
			return &disproof{fmt.Sprintf("HTTP 200 from %s, which sees client %s", to, v.From), fmt.Sprintf("HTTP %d, and it sees %s", v.Status, v.Seen)}
		}
		if missing := accept(v); missing != "" {
			return &disproof{missing, fmt.Sprintf("in by %s, out by %s", v.In, v.Out)}
		}
		return nil
	})
	return v, err
}

// WaitUntilReady waits until the Pods run and the router has the routes of the
// first YAML: the Subnet "routed", by every node, in both families.
func (l *Lab) WaitUntilReady(ctx context.Context) error {
	for _, p := range prefixes(routed4, routed6) {
		if err := l.WaitForRoute(ctx, routerSpace, p, NodeAddresses(p.Addr().Is6())...); err != nil {
			return l.explain(err)
		}
	}
	for _, pod := range []struct{ from, addr string }{{outsideSpace, webPod4}, {outsideSpace, webPod6}, {"n1", insidePod4}} {
		_, err := l.WaitForVisit(ctx, pod.from, netip.MustParseAddr(pod.addr), func(Visit) string { return "" })
		if err != nil {
			return l.explain(err)
		}
	}
	return nil
}

// The objects of the first YAML (cluster/*.yaml) that proofs are about.
const (
	routed4, routed6 = "10.166.0.0/16", "fd00:10:166::/64"
	webPod4, webPod6 = "10.166.0.10", "fd00:10:166::10"
	nat4             = "10.167.0.0/16"
	insidePod4       = "10.167.0.10"
)

// explain adds to a failure which of the lab's processes have ended, for that is
// mostly the cause.
func (l *Lab) explain(err error) error {
	if err == nil {
		return nil
	}
	var gone []string
	for _, p := range l.running {
		if p.ended() {
			gone = append(gone, p.name)
		}
	}
	if len(gone) > 0 {
		return fmt.Errorf("%w (ended: %s)", err, strings.Join(gone, ", "))
	}
	return err
}
