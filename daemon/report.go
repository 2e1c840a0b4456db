package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/kube"
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
	// mostReported is how many Subnets one look tells of; the others' turn comes with
	// the looks after it. A lost BGPPeer can change ten thousand at once.
	mostReported = 20
)

// Reporter tells of Subnets, for the whole cluster: which no node announces and
// why, and which are announced again. One daemon is elected for it, and only
// for it. It plans for every node from the objects alone, so that what only a
// node knows (its datapath, its Pods, whether a daemon runs there) is in that
// node's Speaker and not in here; its words say "by the plan". To read all the
// Speakers would be one more right for every daemon, and load that grows with the
// cluster.
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
	var now map[string]verdict
	var reports reported
	var lastSerial uint64
	for every := reportEvery; sleep(ctx, every); {
		v, ok := r.Objects.Latest()
		if !ok || len(v.Lapses) > 0 {
			continue
		}
		if v.Serial != lastSerial {
			began := time.Now()
			lastSerial = v.Serial
			now = verdicts(v.Snapshot)
			// A large cluster is looked at less often.
			every = max(reportEvery, 10*time.Since(began))
		}
		for _, e := range reports.next(now, len(v.Snapshot.Nodes), mostReported, time.Now()) {
			r.Herald.Tell(kube.Event{Kind: "Subnet", Name: e.subnet, UID: v.UIDs[e.subnet], Warning: e.warning, Reason: e.reason, Message: e.message})
		}
	}
}

// reported is what has been reported. The zero value is of a reporter that has not.
type reported struct {
	// last is by the Subnets' names, what was reported last of each.
	last map[string]verdict
	// since is when what is wrong was first seen: a warning, that a Subnet is withheld
	// (without a detail), or why.
	since map[policy.Warning]time.Time
	// begun is true after the first look, at which only what is wrong is news.
	begun bool
}

// next gives what is new, of as many Subnets as may be told of now. What is left
// over stays as it was told last, and so is news at the next look too.
func (r *reported) next(now map[string]verdict, nodes, most int, at time.Time) []report {
	var out []report
	now = r.settled(now, at)
	last := make(map[string]verdict, len(now))
	subnets := 0
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, known := r.last[name]
		news := reportsOf(name, was, now[name], known, r.begun, nodes)
		if len(news) > 0 {
			subnets++
		}
		switch {
		case len(news) == 0 || subnets <= most:
			out = append(out, news...)
			last[name] = now[name]
		case known:
			last[name] = was
		}
	}
	r.last, r.begun = last, true
	return out
}

// settled gives what has stood long enough to be told. Until then a Subnet is as
// it was told last; it is left out where nothing was told of it.
func (r *reported) settled(now map[string]verdict, at time.Time) map[string]verdict {
	since := map[policy.Warning]time.Time{}
	stood := func(what policy.Warning) bool {
		begin, known := r.since[what]
		if !known {
			begin = at
		}
		since[what] = begin
		return at.Sub(begin) >= reportAfter
	}
	out := make(map[string]verdict, len(now))
	for name, v := range now {
		was, known := r.last[name]
		v.warnings = slices.DeleteFunc(slices.Clone(v.warnings), func(w policy.Warning) bool {
			return !stood(w) && !slices.Contains(was.warnings, w)
		})
		if v.withheld() {
			all, why := stood(policy.Warning{Subnet: name}), stood(policy.Warning{Subnet: name, Detail: v.why})
			switch {
			case known && was.withheld() && !why, known && !all:
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
	// nodes is how many announce some of it; where none does, why says what the
	// first of those says that have more to say than NotGateway.
	nodes int
	why   string
	// own is true where a node alone knows whether it announces some of it: its Pods,
	// or what it announced before.
	own      bool
	warnings []policy.Warning
}

// verdicts plans for every node.
func verdicts(s policy.Snapshot) map[string]verdict {
	out := map[string]verdict{}
	gateway := map[string]bool{}
	for _, n := range s.Nodes {
		plan := policy.Make(s, n.Name)
		announced := map[string]bool{}
		for _, a := range plan.Adverts {
			// Of Pods only those on the reporter's own node are known.
			if a.Role != routes.RolePod {
				announced[a.Subnet] = true
			} else {
				ownOf(out, a.Subnet)
			}
		}
		for name := range announced {
			v := out[name]
			v.nodes++
			out[name] = v
		}
		for _, w := range plan.Withheld {
			if w.Reason == routes.NoPods || w.Undecided {
				ownOf(out, w.Subnet)
				continue
			}
			v := out[w.Subnet]
			if v.why == "" || !gateway[w.Subnet] && w.Reason != routes.NotGateway {
				v.why = fmt.Sprintf("%s: %s", w.Reason, w.Detail)
				if w.Reason == routes.InvalidAnnotation {
					v.why += " (nodes that announced it before keep doing so)"
				}
				gateway[w.Subnet] = w.Reason != routes.NotGateway
			}
			out[w.Subnet] = v
		}
		for _, w := range plan.Warnings {
			if v, ok := out[w.Subnet]; ok && w.Subnet != "" && !slices.Contains(v.warnings, w) {
				v.warnings = append(v.warnings, w)
				out[w.Subnet] = v
			}
		}
	}
	return out
}

// report is one thing to tell about a Subnet.
type report struct {
	subnet          string
	warning         bool
	reason, message string
}

// ownOf notes that only the nodes know whether some of a Subnet is announced.
func ownOf(verdicts map[string]verdict, subnet string) {
	v := verdicts[subnet]
	v.own = true
	verdicts[subnet] = v
}

// withheld reports whether no node announces any of it, as far as the objects say.
func (v verdict) withheld() bool { return v.nodes == 0 && !v.own }

// reportsOf gives what is new about a Subnet; known is false if nothing was told of
// it, and begun at the first look of all.
func reportsOf(name string, was, is verdict, known, begun bool, nodes int) []report {
	var out []report
	switch {
	case is.withheld() && (!known || !was.withheld() || was.why != is.why):
		out = append(out, report{name, true, "Withheld", "by the plan no node announces it: " + columns.Cut(is.why, mostMessage)})
	case is.nodes > 0 && begun && (!known || was.withheld()):
		out = append(out, report{name, false, "Announced", fmt.Sprintf("by the plan %d of %d nodes announce it", is.nodes, nodes)})
	}
	for _, w := range is.warnings {
		if !slices.Contains(was.warnings, w) {
			out = append(out, report{name, true, string(w.Reason), columns.Cut(w.Detail, mostMessage)})
		}
	}
	return out
}
