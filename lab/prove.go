package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// proofBound is how long a proof waits for what it expects to become true.
const proofBound = 30 * time.Second

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
				return context.Cause(ctx)
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

// WaitForVisit visits a Pod until a visit is as wanted: HTTP 200, the client's
// own address seen, and no complaint by accept, which gives "" or what is
// missing. Every visit is a new connection, which ECMP may send by another node.
func (l *Lab) WaitForVisit(ctx context.Context, station string, to netip.Addr, accept func(Visit) string) (Visit, error) {
	return l.waitForVisit(ctx, station, to, func(v Visit) string {
		if v.Seen != v.From {
			return "client " + v.From.String() + " seen by " + to.String()
		}
		return accept(v)
	})
}

// WaitForVisitAs visits until the other end sees the client under a given
// address.
func (l *Lab) WaitForVisitAs(ctx context.Context, station string, to, seen netip.Addr) (Visit, error) {
	return l.waitForVisit(ctx, station, to, func(v Visit) string {
		if v.Seen != seen {
			return "client " + seen.String() + " seen by " + to.String()
		}
		return ""
	})
}

func (l *Lab) waitForVisit(ctx context.Context, station string, to netip.Addr, missing func(Visit) string) (Visit, error) {
	var v Visit
	err := until(ctx, proofBound, func() (err error) {
		if v, err = l.Visit(ctx, station, to); err != nil {
			return &disproof{fmt.Sprintf("an answer from %s to %s", to, station), "an error, " + err.Error()}
		}
		if v.Status != 200 {
			return &disproof{"HTTP 200 from " + to.String(), fmt.Sprintf("HTTP %d", v.Status)}
		}
		if m := missing(v); m != "" {
			return &disproof{m, fmt.Sprintf("%q, in by %s, out by %s", v.answer(), v.In, v.Out)}
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
			return err
		}
	}
	for _, pod := range []struct{ from, addr string }{{outsideSpace, webPod4}, {outsideSpace, webPod6}, {"n1", insidePod4}} {
		_, err := l.WaitForVisit(ctx, pod.from, netip.MustParseAddr(pod.addr), func(Visit) string { return "" })
		if err != nil {
			return err
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

// whileAllRun is ctx until one of the lab's processes ends; its cause says which
// and shows that one's last words. It keeps nobody waiting for what cannot come.
func (l *Lab) whileAllRun(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	for _, p := range l.running {
		go func() {
			select {
			case <-p.done:
				cancel(&disproof{p.name + " running", "its end: " + l.lastWords(p.name)})
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}

// lastWords is the end of a process's log.
func (l *Lab) lastWords(name string) string {
	text, err := os.ReadFile(l.logFile(name))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

// explained prints what a failed proof expected, what is there, and where the
// logs are: in a copy, because the lab with its state folder is about to go.
func (l *Lab) explained(out io.Writer, err error) error {
	var not *disproof
	if errors.As(err, &not) {
		fmt.Fprintf(out, "\n   NOT PROVED\n   expected: %s\n   there is: %s\n", not.expected, not.there)
	}
	kept, keepErr := os.MkdirTemp("", "fairway-lab-")
	if keepErr == nil {
		keepErr = os.CopyFS(kept, os.DirFS(filepath.Join(l.State, "log")))
	}
	if keepErr != nil {
		return errors.Join(err, fmt.Errorf("keep the logs: %w", keepErr))
	}
	fmt.Fprintf(out, "   logs:     %s\n", kept)
	return err
}
