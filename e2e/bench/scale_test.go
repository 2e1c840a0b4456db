package bench

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// scaleSubnets is how many distributed Subnets each node announces.
const scaleSubnets = 100

// fleet is a cluster whose nodes each have a daemon, and one router for all of them.
type fleet struct {
	*cluster
	tor     *router
	client  kubernetes.Interface
	nodes   []fleetNode
	daemons []*daemon
}

// fleetNode is one node: its namespace, and the flags of its daemon.
type fleetNode struct {
	name, space string
	flags       []string
}

// BenchmarkScale measures what docs/scale.md counts with: what ever more daemons ask of the API
// server and of a router, at rest, at a change, and when all start at once.
func BenchmarkScale(b *testing.B) {
	l := newLab(b)
	describe(b)
	f := &fleet{cluster: newCluster(l), tor: l.torForMany()}
	var err error
	if f.client, err = kubernetes.NewForConfig(f.server.Config()); err != nil {
		b.Fatal(err)
	}
	f.manySubnets(0, scaleSubnets)
	f.apply("{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: %s, peerASN: %d, localASN: %d}}", f.tor.far, routerASN, nodeASN)
	own := f.takenAtRest()
	for _, n := range either([]int{1, 10, 50}, []int{1, 5}) {
		f.grow(n)
		f.restWith(n, own)
		f.nodeChanges(n)
		f.subnetChanges(n)
	}
	f.storm()
	b.ReportMetric(0, "ns/op")
}

// torForMany starts FRR for any number of nodes on one network.
func (l *lab) torForMany() *router {
	l.Helper()
	r := l.frr("tor", true)
	must.Run(l, "ip", "-n", r.space, "link", "add", "rack", "type", "bridge")
	must.Run(l, "ip", "-n", r.space, "addr", "add", "172.29.0.1/16", "dev", "rack")
	must.Run(l, "ip", "-n", r.space, "link", "set", "rack", "up")
	r.far = "172.29.0.1"
	must.Run(l, "vtysh", "--vty_socket", r.vty, "-d", "bgpd", "-c", "configure terminal", "-c", fmt.Sprintf("router bgp %d", routerASN),
		"-c", "neighbor nodes peer-group", "-c", fmt.Sprintf("neighbor nodes remote-as %d", nodeASN),
		"-c", "bgp listen limit 5000", "-c", "bgp listen range 172.29.0.0/16 peer-group nodes",
		"-c", "address-family ipv4 unicast", "-c", "maximum-paths 64")
	return r
}

// grow starts daemons until there are n, each on a node of its own, and notes what a start reads.
func (f *fleet) grow(n int) {
	f.Helper()
	for i := len(f.nodes); i < n; i++ {
		name := fmt.Sprintf("n%d", i+1)
		space, address := f.space(name), fmt.Sprintf("172.29.1.%d", i+1)
		port := fmt.Sprintf("p%d", i+1)
		must.Run(f, "ip", "-n", space, "link", "add", "uplink", "type", "veth", "peer", "name", port, "netns", f.tor.space)
		must.Run(f, "ip", "-n", space, "addr", "add", address+"/16", "dev", "uplink")
		must.Run(f, "ip", "-n", space, "link", "set", "uplink", "up")
		must.Run(f, "ip", "-n", f.tor.space, "link", "set", port, "master", "rack", "up")
		f.nodes = append(f.nodes, fleetNode{name, space, inCluster(f.newNode(name, space, address))})
		f.furnish(name)
	}
	before, more := f.down.Load(), n-len(f.daemons)
	for _, node := range f.nodes[len(f.daemons):] {
		f.daemons = append(f.daemons, f.run(node.name, node.space, node.flags...))
	}
	f.established(n)
	f.quiet()
	f.say(n, "tor/bgpd-rss", "MB", f.tor.bgpd.rss(f))
	f.say(n, "start/bytes", "B/daemon", float64(f.down.Load()-before)/float64(more))
}

// furnish gives a Node what makes those of real clusters large: the images on its disk
// (k8s.io/kubernetes pkg/kubelet/nodestatus, at most 50), conditions, and capacities.
func (f *fleet) furnish(name string) {
	f.Helper()
	node, err := f.client.CoreV1().Nodes().Get(f.ctx(), name, metav1.GetOptions{})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 30 {
		image := fmt.Sprintf("registry.example.com/team-%d/some-service-%d", i%7, i)
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{SizeBytes: 100_000_000, Names: []string{image + "@sha256:" + strings.Repeat("ab", 32), image + ":v1.2.3"}})
	}
	node.Status.Conditions = conditions(time.Now())
	if _, err := f.client.CoreV1().Nodes().UpdateStatus(f.ctx(), node, metav1.UpdateOptions{}); err != nil {
		f.Fatal(err)
	}
}

// conditions are those that the kubelet reports, with a heartbeat of now.
func conditions(now time.Time) []corev1.NodeCondition {
	var out []corev1.NodeCondition
	for _, kind := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeReady} {
		status := corev1.ConditionFalse
		if kind == corev1.NodeReady {
			status = corev1.ConditionTrue
		}
		out = append(out, corev1.NodeCondition{
			Type: kind, Status: status, Reason: "KubeletHasSufficient" + string(kind), Message: "kubelet has sufficient of what " + string(kind) + " is about",
			LastHeartbeatTime: metav1.NewTime(now),
		})
	}
	return out
}

// established waits until the router has a session with n nodes, and all their paths.
func (f *fleet) established(n int) {
	f.Helper()
	must.Await(f, fmt.Sprintf("%d sessions with all paths", n), func() bool {
		return strings.Count(f.tor.show("show bgp ipv4 unicast summary json"), fmt.Sprintf(`"pfxRcd":%d,`, scaleSubnets)) == n
	})
}

// quiet waits until what a start or a change brings with it is over: nothing more than heartbeats
// in three seconds.
func (f *fleet) quiet() {
	f.Helper()
	must.Await(f, "the API server has little to say", func() bool {
		before := f.down.Load()
		time.Sleep(3 * time.Second)
		return f.down.Load()-before < int64(2000*max(1, len(f.daemons)))
	})
}

// say notes a figure of n nodes.
func (f *fleet) say(n int, what, unit string, v float64) {
	f.Helper()
	one(f, fmt.Sprintf("Scale/%s/nodes=%d", what, n), unit, v)
}

// restFor is how long the fleet is watched at rest.
func restFor() time.Duration { return either(time.Minute, 20*time.Second) }

// counters are what the API server has counted so far.
type counters struct {
	requests map[string]float64
	cpu      float64
	down     int64
	at       time.Time
}

func (f *fleet) counters() counters {
	f.Helper()
	return counters{f.requests(), f.metrics("process_cpu_seconds_total")[""], f.down.Load(), time.Now()}
}

// requests gives how often each verb was asked of each kind that daemons touch.
func (f *fleet) requests() map[string]float64 {
	f.Helper()
	out := map[string]float64{}
	for labels, n := range f.metrics("apiserver_request_total") {
		for _, kind := range []string{"subnets", "bgppeers", "speakers", "nodes", "pods", "secrets", "leases", "events"} {
			if strings.Contains(labels, fmt.Sprintf("resource=%q", kind)) {
				out[label(labels, "verb")+" "+kind] += n
			}
		}
	}
	return out
}

// label gives the value of a label.
func label(labels, name string) string {
	_, rest, _ := strings.Cut(labels, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// watches counts the watches on a kind.
func (f *fleet) watches(kind string) float64 {
	f.Helper()
	total := 0.0
	for labels, n := range f.metrics("apiserver_longrunning_requests") {
		if label(labels, "resource") == kind && label(labels, "verb") == "WATCH" {
			total += n
		}
	}
	return total
}

// watched are the kinds that daemons watch here.
func watched() []string { return []string{"nodes", "subnets", "bgppeers", "daemonsets", "speakers"} }

// own is what the API server does by itself.
type own struct {
	counters counters
	lasted   time.Duration
	watches  map[string]float64
}

// takenAtRest measures that.
func (f *fleet) takenAtRest() own {
	f.Helper()
	before := f.counters()
	time.Sleep(restFor())
	after := f.counters()
	o := own{counters: difference(after, before), lasted: after.at.Sub(before.at), watches: map[string]float64{}}
	for _, kind := range watched() {
		o.watches[kind] = f.watches(kind)
	}
	return o
}

// difference gives what was counted between two moments.
func difference(after, before counters) counters {
	out := counters{requests: map[string]float64{}, cpu: after.cpu - before.cpu, down: after.down - before.down, at: after.at}
	for what, n := range after.requests {
		if more := n - before.requests[what]; more > 0 {
			out.requests[what] = more
		}
	}
	return out
}

// restWith notes what n daemons ask in a minute in which nothing happens.
func (f *fleet) restWith(n int, own own) {
	f.Helper()
	before := f.counters()
	time.Sleep(restFor())
	after := f.counters()
	d, minutes := difference(after, before), after.at.Sub(before.at).Minutes()
	total := 0.0
	for what, count := range d.requests {
		count = (count - own.counters.requests[what]*minutes/own.lasted.Minutes()) / minutes
		if count > 0.5 {
			f.say(n, "rest/requests/"+strings.ReplaceAll(what, " ", "-"), "requests/min", count)
			total += count
		}
	}
	f.say(n, "rest/requests", "requests/min", total)
	f.say(n, "rest/bytes", "B/min/daemon", float64(d.down)/minutes/float64(n))
	f.say(n, "rest/apiserver-cpu", "cpu-s/min", (d.cpu/minutes)-own.counters.cpu/own.lasted.Minutes())
	f.say(n, "rest/apiserver-rss", "MB", f.metrics("process_resident_memory_bytes")[""]/1e6)
	for _, kind := range watched() {
		f.say(n, "watches/"+kind, "watches", f.watches(kind)-own.watches[kind])
	}
}

// nodeChanges notes what a Node's heartbeat, the kubelet's each five minutes, costs.
func (f *fleet) nodeChanges(n int) {
	f.Helper()
	const times = 20
	before := f.counters()
	for range times {
		body := fmt.Appendf(nil, `{"status":{"conditions":[{"type":"Ready","lastHeartbeatTime":%q}]}}`, time.Now().UTC().Format(time.RFC3339))
		if _, err := f.client.CoreV1().Nodes().Patch(f.ctx(), "n1", types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status"); err != nil {
			f.Fatal(err)
		}
		time.Sleep(1100 * time.Millisecond) // the heartbeat's resolution, or it is none
	}
	f.quiet()
	d := difference(f.counters(), before)
	f.say(n, "heartbeat/bytes", "B/daemon", float64(d.down)/times/float64(n))
	f.say(n, "heartbeat/speaker-writes", "writes", writes(d, "speakers")/times)
}

// writes counts the requests that wrote a kind.
func writes(c counters, kind string) float64 {
	return c.requests["PUT "+kind] + c.requests["PATCH "+kind] + c.requests["APPLY "+kind] + c.requests["POST "+kind]
}

// subnetChanges notes what a Subnet that is announced no more, and again, costs.
func (f *fleet) subnetChanges(n int) {
	f.Helper()
	const times = 5
	before := f.counters()
	for i := range times {
		for _, yes := range []bool{false, true} {
			f.advertise(i, yes)
			f.quiet()
		}
	}
	d := difference(f.counters(), before)
	f.say(n, "change/bytes", "B/daemon", float64(d.down)/times/2/float64(n))
	f.say(n, "change/apiserver-cpu", "cpu-ms/daemon", d.cpu*1000/times/2/float64(n))
	f.say(n, "change/speaker-writes", "writes/daemon", writes(d, "speakers")/times/2/float64(n))
}

// storm kills all daemons and starts them at once.
func (f *fleet) storm() {
	f.Helper()
	n := len(f.daemons)
	for _, d := range f.daemons {
		d.stop(syscall.SIGKILL)
	}
	must.Await(f, "no session", func() bool {
		return f.tor.show("show bgp ipv4 unicast summary json") != "" && len(f.tor.kernel.list()) == 0
	})
	before, began := f.counters(), time.Now()
	var again []*daemon
	for _, node := range f.nodes {
		again = append(again, f.run(node.name, node.space, node.flags...))
	}
	f.daemons = again
	f.established(n)
	f.say(n, "storm/established", "s", time.Since(began).Seconds())
	f.quiet()
	d := difference(f.counters(), before)
	total := 0.0
	for what, count := range d.requests {
		fmt.Fprintf(os.Stderr, "storm: %s %.0f\n", what, count)
		total += count
	}
	f.say(n, "storm/requests", "requests/daemon", total/float64(n))
	f.say(n, "storm/bytes", "B/daemon", float64(d.down)/float64(n))
	f.say(n, "storm/apiserver-cpu", "cpu-ms/daemon", d.cpu*1000/float64(n))
	f.say(n, "storm/rejected", "requests", sum(f.metrics("apiserver_flowcontrol_rejected_requests_total")))
}

func sum(m map[string]float64) float64 {
	total := 0.0
	for _, n := range m {
		total += n
	}
	return total
}
