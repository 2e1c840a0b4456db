package daemon

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

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
	// mostReported is how many Events one look may lead to; what is beyond is only
	// logged. A lost BGPPeer can change ten thousand Subnets at once.
	mostReported = 20
)

// Reporter tells of Subnets, for the whole cluster: which no node announces and
// why, and which are announced again. One daemon is elected for it, and only
// for it. It plans for every node from the objects alone, so that what only a
// node knows (its datapath, its Pods) is in that node's Speaker and not in here.
type Reporter struct {
	Cluster *kube.Cluster
	// Objects are the daemon's own; the reporter adds all Nodes.
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
	nodes := kube.NewNodes(r.Cluster, r.Log)
	following := make(chan error, 1)
	go func() { following <- nodes.Run(ctx) }()
	defer func() { <-following }()
	var before map[string]verdict
	var last policy.Snapshot
	var lastSerial uint64
	for every := reportEvery; sleep(ctx, every); {
		v, ok := r.Objects.Latest()
		all, followed := nodes.Latest()
		if !ok || !followed || len(v.Lapses) > 0 || v.Serial == lastSerial && reflect.DeepEqual(all, last.Nodes) {
			continue
		}
		began := time.Now()
		last, lastSerial = v.Snapshot, v.Serial
		last.Nodes = all
		now := verdicts(last)
		r.tell(reports(before, now, len(all)), v)
		before = now
		// A large cluster is looked at less often.
		every = max(reportEvery, 10*time.Since(began))
	}
}

func (r Reporter) tell(list []report, v kube.LiveView) {
	for i, e := range list {
		if i == mostReported {
			r.Log.Warnf("%d more Subnets changed at once: no Events about them", len(list)-i)
			return
		}
		r.Herald.Tell(kube.Event{Kind: "Subnet", Name: e.subnet, UID: v.UIDs[e.subnet], Warning: e.warning, Reason: e.reason, Message: e.message})
	}
}

// verdict is what becomes of one selected Subnet in the whole cluster.
type verdict struct {
	// nodes is how many announce some of it; where none does, why says what the
	// first of those says that have more to say than NotGateway.
	nodes    int
	why      string
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
			}
		}
		for name := range announced {
			v := out[name]
			v.nodes++
			out[name] = v
		}
		for _, w := range plan.Withheld {
			if w.Reason == routes.NoPods {
				continue
			}
			v := out[w.Subnet]
			if v.why == "" || !gateway[w.Subnet] && w.Reason != routes.NotGateway {
				v.why = fmt.Sprintf("%s: %s", w.Reason, w.Detail)
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

// reports gives what is new, by Subnet; before is nil at the first look, at which
// only what is wrong is news.
func reports(before, now map[string]verdict, nodes int) []report {
	var out []report
	for _, name := range slices.Sorted(maps.Keys(now)) {
		was, known := before[name]
		is := now[name]
		switch {
		case is.nodes == 0 && (!known || was.nodes > 0 || was.why != is.why):
			out = append(out, report{name, true, "Withheld", "no node announces it: " + cut(is.why, mostMessage)})
		case is.nodes > 0 && before != nil && was.nodes == 0:
			out = append(out, report{name, false, "Announced", fmt.Sprintf("announced by %d of %d nodes", is.nodes, nodes)})
		}
		for _, w := range is.warnings {
			if !slices.Contains(was.warnings, w) {
				out = append(out, report{name, true, string(w.Reason), cut(w.Detail, mostMessage)})
			}
		}
	}
	return out
}
