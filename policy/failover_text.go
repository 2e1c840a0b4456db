package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/routes"
)

// text tells a fail-over in sentences: how long, what it waits for, and what
// would make it shorter.
func (f Failover) text() string {
	out := fmt.Sprintf("%s, %s.", f.kind(), Span{f.UpTo, f.UpTo}.upTo())
	for _, sentence := range []string{f.requestsText(), f.repliesText(), f.advice(), f.rebootText()} {
		if sentence != "" {
			out += " " + sentence
		}
	}
	return out
}

func (s Span) upTo() string { return "up to " + Span{s.Most, s.Most}.String() }

func (f Failover) kind() string {
	switch {
	case f.Role == routes.RoleActive && f.Standby:
		return "centralized with standby"
	case f.Role == routes.RoleActive:
		return "centralized"
	case f.Role == routes.RoleECMP:
		return "centralized with ECMP"
	case f.Role == routes.RolePod:
		return "mode pods"
	}
	return string(f.Role)
}

// requestsText says when requests reach a node that is alive.
func (f Failover) requestsText() string {
	hold := fmt.Sprintf("until the hold time is over, %s (%s)", f.holdTime(), f.routers())
	switch {
	case f.NextHop.IsValid():
		return fmt.Sprintf("Requests go where %s is: that it moves is not counted here.", f.NextHop)
	case len(f.Routers) == 0:
		return ""
	case f.Role == routes.RoleActive && f.Standby:
		return "Routers prefer the dead path " + hold + "; the standby's is there already."
	case f.Role == routes.RoleActive:
		return "Routers keep the dead path " + hold + "; the new gateway announces as soon as Kube-OVN has made it one."
	}
	return "A router sends a share to the dead " + hold + "; the other paths are there already."
}

// routers names the peers that wait longest.
func (f Failover) routers() string {
	var names []string
	for _, r := range f.Routers {
		if r.Drops.Most == f.holdTime().Most {
			names = append(names, r.Peer)
		}
	}
	return columns.First(mostNodes, names)
}

// repliesText says when replies leave by a node that is alive.
func (f Failover) repliesText() string {
	switch {
	case f.Replies.Most == 0:
		return "Replies leave by the Pods' own nodes."
	case f.Role == routes.RoleECMP:
		return fmt.Sprintf("OVN sends a share of the replies to the dead for %s (node-monitor-grace-period, or before where Kube-OVN's ping of spec.gatewayNode fails).", f.Replies)
	}
	return fmt.Sprintf("Replies follow OVN, which moves after %s (node-monitor-grace-period).", f.Replies)
}

// advice says which term counts, and how far the other helps.
func (f Failover) advice() string {
	switch {
	case f.Dominant == TermNodeGrace && len(f.Routers) > 0 && f.Requests.Most > 0:
		return "Kubernetes decides, not BGP."
	case f.Dominant != TermHoldTime:
		return ""
	case f.Replies.Most > 0:
		return fmt.Sprintf("The hold time decides: a shorter spec.holdTime helps down to %d s.", f.Replies.Most/time.Second)
	}
	return "A shorter spec.holdTime helps."
}

// rebootText says what graceful restart adds, which is not for the dead.
func (f Failover) rebootText() string {
	restart := f.gracefulRestart()
	if restart == 0 || f.NextHop.IsValid() {
		return ""
	}
	var names []string
	for _, r := range f.Routers {
		if r.GracefulRestart == restart {
			names = append(names, r.Peer)
		}
	}
	return fmt.Sprintf("Graceful restart (%s) does not lengthen the hold time; but a machine that boots within it, and has no Fairway yet, keeps its routes for %d s more.",
		columns.First(mostNodes, names), restart/time.Second)
}

// OutlookText gives the last lines of a plan for all nodes: what hangs on one
// node, and how long routers keep what a dead one announced; empty where there is
// nothing to say.
func OutlookText(s Snapshot, plans []Plan) string {
	if len(s.Nodes) < 2 {
		return ""
	}
	var b strings.Builder
	if hanging := OnOneNode(s, plans); len(hanging) > 0 {
		columns.Wrap(&b, "", "    ", hangingText(hanging, plural(len(oncePerSubnet(hanging)), "hangs", "hang")+" on one node"))
	}
	var sessions []Session
	for _, p := range plans {
		if len(p.Adverts) > 0 {
			sessions = append(sessions, p.Sessions...)
		}
	}
	if f := FailoverOf(Loss{Role: routes.RoleDistributed, Sessions: sessions}); f.UpTo > 0 {
		columns.Wrap(&b, "", "    ", fmt.Sprintf("A node that dies keeps its routes %s (hold time of %s)", f.Requests.upTo(), f.routers()))
	}
	return b.String()
}
