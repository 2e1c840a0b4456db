package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// reportLease is the Lease by which the reporter is elected.
const reportLease = "fairway-reporter"

// Bounds of the reporter.
const (
	// reportEvery is the time between two looks at the whole cluster, so that what
	// mends itself at once is no news. A look at what did not change costs nothing.
	reportEvery = 5 * time.Second
	// reportAfter is how long what is wrong must have stood to be told: a Subnet that
	// has just been made is not formatted, and a moment later it is.
	reportAfter = 30 * time.Second
	// mostMessage bounds an Event's message, by what events.k8s.io takes for a note.
	mostMessage = 1024
	// mostUnsent is how many nodes an Event names that have not sent a Subnet.
	mostUnsent = 3
	// mostReported is how many Subnets, and how many BGPPeers, one look tells of; the others' turn comes with
	// the looks after it. A lost BGPPeer can change ten thousand at once.
	mostReported = 20
)

// Reporter tells of Subnets and BGPPeers, for the whole cluster: which Subnets no node
// announces and why, and which are announced again; of each BGPPeer, in its status and
// in Events, how many sessions are up and which are not. One daemon is elected for it,
// and only for it. It plans for every node from the objects, and reads in the Speakers
// what has become of it. Where it may not read those, its words say "by the plan".
type Reporter struct {
	Cluster *kube.Cluster
	// Objects are the daemon's own.
	Objects *kube.Live
	Node    string
	Herald  *kube.Herald
	Log     *logrus.Entry
}

// Run stands for election until ctx ends, and reports while elected.
func (r Reporter) Run(ctx context.Context) error {
	return kube.NewElection(r.Cluster, reportLease, r.Node, r.Log).Run(ctx, r.report)
}

func (r Reporter) report(ctx context.Context) {
	speakers, stop := r.listen(ctx)
	defer stop()
	statuses := kube.NewPeerStatuses(r.Cluster, r.Log)
	var reports reported
	var peers peerNews
	var now outlook
	var last scene
	var planned plans
	for every := reportEvery; sleep(ctx, every); {
		v, ok := r.Objects.Latest()
		stale := slices.ContainsFunc(v.Lapses, clusterWide)
		if stale {
			speakers.deafAt = time.Now()
		}
		if !ok || stale {
			continue
		}
		seen, ok := speakers.scene(ctx, v.Serial)
		if !ok {
			continue
		}
		news := !seen.same(last)
		if news {
			began := time.Now()
			if last.serial != seen.serial {
				planned = plansOf(v.Snapshot)
			}
			now, last = outlookOf(v, planned, seen.said), seen
			// A large cluster is looked at less often.
			every = max(reportEvery, 10*time.Since(began))
		}
		statuses.Write(ctx, now.peers, mostReported)
		if news || reports.waits {
			for _, e := range reports.next(now.subnets, len(v.Snapshot.Nodes), mostReported, time.Now()) {
				r.Herald.Tell(kube.Event{Kind: objects.KindSubnet, Name: e.about, UID: v.SubnetUID(e.about), Warning: e.warning, Reason: e.reason, Message: e.message})
			}
			if !reports.waits {
				now.subnets = nil // reports has them
			}
		}
		for _, e := range peers.next(now.peers, mostReported, time.Now()) {
			r.Herald.Tell(kube.Event{Kind: objects.KindBGPPeer, Name: e.about, UID: v.Peers[e.about].UID, Warning: e.warning, Reason: e.reason, Message: e.message})
		}
	}
}

// clusterWide reports whether what is not followed concerns other nodes. Of Pods and
// Secrets a daemon follows its own node's alone, and may lack the right for ever.
func clusterWide(l kube.Lapse) bool { return l.Kind != objects.KindPod && l.Kind != objects.KindSecret }

// reported is what has been reported. The zero value is of a reporter that has not.
type reported struct {
	// last is by the Subnets' names, what was reported last of each.
	last map[string]verdict
	// since is when what is wrong was first seen: a warning, that a Subnet is withheld
	// or not sent (without a detail), or why.
	since map[policy.Warning]time.Time
	// begun is true after the first look, at which only what is wrong is news.
	begun bool
	// arriving has the Subnets that were not announced at the first look, and of which
	// nothing has been told since: a reporter that begins while ten thousand routes are on
	// their way, as after a restart, has no news of each.
	arriving map[string]bool
	// waits is whether the same verdicts may be news at a later look: something has not
	// stood for long, or there was too much to tell.
	waits bool
}

// next gives what is new, of as many Subnets as may be told of now. What is left
// over stays as it was told last, and so is news at the next look too.
func (r *reported) next(now map[string]verdict, nodes, most int, at time.Time) []report {
	var out []report
	r.waits = false
	r.await(now)
	now = r.settled(now, at)
	subnets := 0
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, known := r.last[name]
		if r.arrives(name, now[name].state()) {
			was, known = verdict{sent: now[name].sent, byPlan: now[name].byPlan, nodes: now[name].nodes}, true
		}
		news := reportsOf(name, was, now[name], known, r.begun, nodes)
		if len(news) > 0 {
			subnets++
		}
		switch {
		case len(news) == 0 || subnets <= most:
			out = append(out, news...)
			continue
		case known:
			now[name] = was
		default:
			delete(now, name)
		}
		r.waits = true
	}
	r.last, r.begun = now, true
	return out
}

// await notes what is not announced yet at the first look, and forgets what is gone.
func (r *reported) await(now map[string]verdict) {
	if r.begun {
		maps.DeleteFunc(r.arriving, func(name string, _ bool) bool { _, there := now[name]; return !there })
		return
	}
	r.arriving = map[string]bool{}
	for name, v := range now {
		if v.state() != isAnnounced {
			r.arriving[name] = true
		}
	}
}

// arrives reports whether a Subnet that is awaited is announced now. One that is told of
// as wrong is awaited no longer.
func (r *reported) arrives(name, state string) bool {
	awaited := r.arriving[name]
	if state != isUnknown {
		delete(r.arriving, name)
	}
	return awaited && state == isAnnounced
}

// settled gives, in a map of its own, what has stood long enough to be told. Until then a
// Subnet is as it was told last; it is left out where nothing was told of it.
func (r *reported) settled(now map[string]verdict, at time.Time) map[string]verdict {
	since := map[policy.Warning]time.Time{}
	stood := func(what policy.Warning) bool {
		begin, known := r.since[what]
		if !known {
			begin = at
		}
		since[what] = begin
		long := at.Sub(begin) >= reportAfter
		r.waits = r.waits || !long
		return long
	}
	out := make(map[string]verdict, len(now))
	for name, v := range now {
		was, known := r.last[name]
		v.warnings = slices.DeleteFunc(slices.Clone(v.warnings), func(w policy.Warning) bool {
			return !stood(w) && !slices.Contains(was.warnings, w)
		})
		state := v.state()
		if state == isUnknown && known && was.state() == isAnnounced {
			v.nodes, v.sent, v.own = was.nodes, was.sent, was.own
		}
		if bad(state) {
			key := policy.Warning{Subnet: name, Reason: routes.Reason(state)}
			all, why := stood(key), state == isNotSent || stood(policy.Warning{Subnet: name, Reason: key.Reason, Detail: v.why})
			switch {
			case known && was.state() == state && !why, known && !all:
				v = was
			case !all:
				continue
			}
		}
		out[name] = v
	}
	r.since = since
	return out
}

// verdict is what becomes of one selected Subnet in the whole cluster.
type verdict struct {
	// nodes is how many are to announce some of it; where none is, why says what the
	// first of those says that have more to say than NotGateway.
	nodes int
	why   string
	// sent is how many nodes have sent some of it to a router, and unsent the first of
	// those that have not, with the reason.
	sent   int
	unsent []string
	// own is true where a node alone knows whether it announces some of it: its Pods,
	// what it announced before, or what its Speaker is too short for.
	own bool
	// byPlan is true where the nodes cannot be asked what they have sent.
	byPlan   bool
	warnings []policy.Warning
}

// addWithheld adds what a node's plan withholds.
func (o outlook) addWithheld(plan policy.Plan) {
	for _, w := range plan.Withheld {
		if w.Reason == routes.NoPods || w.Undecided {
			ownOf(o.subnets, w.Subnet)
			continue
		}
		v := o.subnets[w.Subnet]
		if v.why == "" || !o.gateway[w.Subnet] && w.Reason != routes.NotGateway {
			v.why = fmt.Sprintf("%s: %s", w.Reason, w.Detail)
			if w.Reason == routes.InvalidAnnotation {
				v.why += " (nodes that announced it before keep doing so)"
			}
			o.gateway[w.Subnet] = w.Reason != routes.NotGateway
		}
		o.subnets[w.Subnet] = v
	}
}

// addWarnings adds what a node's plan warns of that announces some Subnets.
func (o outlook) addWarnings(plan policy.Plan, announced []string) {
	for _, w := range plan.Warnings {
		v, selected := o.subnets[w.Subnet]
		if !selected {
			_, selected = slices.BinarySearch(announced, w.Subnet)
		}
		if selected && w.Subnet != "" && !slices.Contains(v.warnings, w) {
			v.warnings = append(v.warnings, w)
			o.subnets[w.Subnet] = v
		}
	}
}

// report is one thing to tell about an object.
type report struct {
	about           string
	warning         bool
	reason, message string
}

// ownOf notes that only the nodes know whether some of a Subnet is announced.
func ownOf(verdicts map[string]verdict, subnet string) {
	v := verdicts[subnet]
	v.own = true
	verdicts[subnet] = v
}

// State of a Subnet, as it is told.
const (
	isWithheld  = "Withheld"
	isNotSent   = "NotSent"
	isAnnounced = "Announced"
	isUnknown   = ""
)

// state sums a verdict up: announced is what some router has been sent. Where that is
// for the nodes alone to say, and they have not, it is unknown.
func (v verdict) state() string {
	switch {
	case v.nodes == 0 && !v.own:
		return isWithheld
	case v.sent > 0, v.byPlan:
		return isAnnounced
	case v.own:
		return isUnknown
	}
	return isNotSent
}

// bad reports whether a state is to be told as wrong.
func bad(state string) bool { return state == isWithheld || state == isNotSent }

// reportsOf gives what is new about a Subnet; known is false if nothing was told of
// it, and begun at the first look of all.
func reportsOf(name string, was, is verdict, known, begun bool, nodes int) []report {
	var out []report
	changed := !known || was.state() != is.state()
	switch state := is.state(); {
	case state == isWithheld && (changed || was.why != is.why):
		out = append(out, report{name, true, isWithheld, is.withheldText()})
	case state == isNotSent && changed:
		out = append(out, report{name, true, isNotSent, is.notSentText()})
	case state == isAnnounced && begun && changed:
		out = append(out, report{name, false, isAnnounced, is.announcedText(nodes)})
	}
	for _, w := range is.warnings {
		if !slices.Contains(was.warnings, w) {
			out = append(out, report{name, true, string(w.Reason), columns.Cut(w.Detail, mostMessage)})
		}
	}
	return out
}

// withheldText says why no node is to announce a Subnet, and that some still do.
func (v verdict) withheldText() string {
	text := "by the plan no node announces it: " + v.why
	if v.sent > 0 {
		text += fmt.Sprintf("; %s still sent to a router", columns.Count(v.sent, "node has it", "nodes have it"))
	}
	return columns.Cut(text, mostMessage)
}

// announcedText says how many nodes announce a Subnet, of those that are to.
func (v verdict) announcedText(nodes int) string {
	switch {
	case v.byPlan:
		return fmt.Sprintf("by the plan %d of %d nodes announce it", v.nodes, nodes)
	case v.nodes < v.sent:
		return "sent to a router by " + columns.Count(v.sent, "node", "nodes")
	}
	return fmt.Sprintf("sent to a router by %d of %d nodes that are to announce it", v.sent, v.nodes)
}

// notSentText says why no router has a Subnet that is planned.
func (v verdict) notSentText() string {
	why := strings.Join(v.unsent, "; ")
	if more := v.nodes - len(v.unsent); more > 0 {
		why += fmt.Sprintf("; and %d more", more)
	}
	return columns.Cut(fmt.Sprintf("%s to announce it, and no router has been sent it: %s", columns.Count(v.nodes, "node is", "nodes are"), why), mostMessage)
}
