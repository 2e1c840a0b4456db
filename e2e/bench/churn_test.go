package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// What churn is: so many Subnets, of which one changes so often, and a router that goes away
// for so long now and then.
const (
	churnSubnets = 1000
	changeEvery  = 100 * time.Millisecond
	flapEvery    = 40 * time.Second
	flapFor      = 3 * time.Second
)

// BenchmarkChurn changes Subnets for as long as FAIRWAY_CHURN says, while routers come and go,
// and looks at the daemon sixty times meanwhile. At the end what it holds must not have grown,
// and the routers must have what is planned.
func BenchmarkChurn(b *testing.B) {
	whole, err := time.ParseDuration(cmp.Or(os.Getenv("FAIRWAY_CHURN"), "2m"))
	if err != nil {
		b.Fatalf("FAIRWAY_CHURN: %v", err)
	}
	l := newLab(b)
	c := newCluster(l)
	routers := []*router{l.frr("frr", true), l.bird()}
	flags := append(inCluster(c.newNode("n1", c.node, routers[0].near)), "--state-dir="+b.TempDir())
	for _, r := range routers {
		c.apply("{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: %s}, spec: {peerAddress: %s, peerASN: %d, localASN: %d, connectRetryTime: 1s}}", r.kind, r.far, routerASN, nodeASN)
	}
	c.manySubnets(0, churnSubnets)
	d := c.run("n1", c.node, flags...)
	for _, r := range routers {
		r.kernel.until(r.kernel.expect(churnSubnets), d.words)
	}
	held := c.churn(whole, d, routers)
	held.flat()
	for _, r := range routers {
		c.equalsPlan(r, d)
	}
	b.ReportMetric(0, "ns/op")
}

// holdings are what a daemon holds, each as often as it was looked at, and how often a
// router went away meanwhile.
type holdings struct {
	rss, goroutines, descriptors *samples
	flaps                        int
}

// churn changes and flaps, and looks.
func (c *cluster) churn(whole time.Duration, d *daemon, routers []*router) holdings {
	c.Helper()
	held := holdings{
		rss:         &samples{TB: c, name: "Churn/rss", unit: "MB"},
		goroutines:  &samples{TB: c, name: "Churn/goroutines", unit: "goroutines"},
		descriptors: &samples{TB: c, name: "Churn/descriptors", unit: "descriptors"},
	}
	change, flap, look, end := time.NewTicker(changeEvery), time.NewTicker(flapEvery), time.NewTicker(whole/60), time.After(whole)
	defer func() { change.Stop(); flap.Stop(); look.Stop() }()
	random := rand.New(rand.NewPCG(1, 2))
	var back <-chan time.Time
	var away *router
	changes, before := 0, d.cpu()
	for {
		select {
		case <-change.C:
			c.changeOne(random)
			changes++
		case <-flap.C:
			if away == nil {
				away = routers[held.flaps%len(routers)]
				away.reach(false)
				held.flaps++
				back = time.After(flapFor)
			}
		case <-back:
			away.reach(true)
			away, back = nil, nil
		case <-look.C:
			held.rss.keep(d.rss(c))
			held.goroutines.keep(d.metric("go_goroutines"))
			held.descriptors.keep(float64(d.descriptors()))
		case <-d.ended:
			c.Fatalf("the daemon has ended: %s", d.words())
		case <-end:
			if away != nil {
				away.reach(true)
			}
			fmt.Fprintf(os.Stderr, "%s: %d changes, %d flaps, %.1f CPU s\n", whole, changes, held.flaps, (d.cpu() - before).Seconds())
			return held
		}
	}
}

// changeOne changes whether a Subnet is announced, or with what MED.
func (c *cluster) changeOne(random *rand.Rand) {
	c.Helper()
	annotation := []string{
		`"fairway.dev/advertise":"true"`, `"fairway.dev/advertise":null`,
		fmt.Sprintf(`"fairway.dev/med":"%d"`, random.IntN(100)),
	}[random.IntN(3)]
	body := fmt.Appendf(nil, `{"metadata":{"annotations":{%s}}}`, annotation)
	if _, err := c.subnets.Patch(c.ctx(), subnetName(random.IntN(churnSubnets)), types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		c.Fatal(err)
	}
}

// reach takes the router's link down, or up again.
func (r *router) reach(yes bool) {
	r.Helper()
	must.Run(r, "ip", "-n", r.space, "link", "set", fmt.Sprintf("from%d", r.number), map[bool]string{true: "up", false: "down"}[yes])
}

// flat fails where the last quarter holds more than the first. What is held while everything
// is read and the first sessions are up, the first tenth, does not count. GoBGP leaves a
// goroutine behind with a peer that is removed while something waits to be sent to it
// (pkg/server/util.go, cleanInfiniteChannel: closing wakes the sender, which is then not
// there to be emptied), and a lost peer is removed to be dialled without a rest: so one for
// each flap is no growth of Fairway's.
func (h holdings) flat() {
	for _, s := range []struct {
		*samples
		factor, more float64
	}{{h.rss, 1.1, 0}, {h.goroutines, 1, 5 + float64(h.flaps)}, {h.descriptors, 1, 5}} {
		s.Helper()
		s.say()
		v := s.values[len(s.values)/10:]
		if len(v) < 8 {
			s.Fatalf("%s: %d values are too few", s.name, len(v))
		}
		first, last := middle(v[:len(v)/4]), middle(v[len(v)-len(v)/4:])
		fmt.Fprintf(os.Stderr, "%s: first quarter %.4g, last quarter %.4g %s\n", s.name, first, last, s.unit)
		if last > first*s.factor+s.more {
			s.Errorf("%s grew from %.4g to %.4g %s", s.name, first, last, s.unit)
		}
	}
}

// middle is the median.
func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// advert is the part of the plan's JSON that a router shows.
type advert struct {
	Prefix netip.Prefix
	MED    *uint32
}

// equalsPlan waits until a router has what `fairway plan` says, and fails if it does not come
// to it. FRR tells the MED too.
func (c *cluster) equalsPlan(r *router, d *daemon) {
	c.Helper()
	want := c.plan()
	var got map[netip.Prefix]uint32
	if !must.Eventually(func() bool { got = r.table(); return same(got, want, r.kind == "frr") }) {
		c.Fatalf("%s has %d routes, %d are planned, or they differ: %s", r.kind, len(got), len(want), d.words())
	}
	fmt.Fprintf(os.Stderr, "%s has the %d routes of the plan\n", r.kind, len(got))
}

func same(got, want map[netip.Prefix]uint32, med bool) bool {
	if len(got) != len(want) {
		return false
	}
	for p, m := range want {
		if is, there := got[p]; !there || med && is != m {
			return false
		}
	}
	return true
}

// plan gives prefixes and MEDs as the program plans them for the node, as administrator.
func (c *cluster) plan() map[netip.Prefix]uint32 {
	c.Helper()
	admin, err := c.server.WriteKubeconfig(c.dir, "", c.server.AdminToken(), namespace)
	if err != nil {
		c.Fatal(err)
	}
	text, err := exec.Command(c.binary, "plan", "--kubeconfig="+admin, "--node=n1", "-o", "json").Output()
	var plan struct{ Adverts []advert }
	if json.Unmarshal(text, &plan) != nil || len(plan.Adverts) == 0 {
		c.Fatalf("plan: %v: %.200s", err, text)
	}
	out := map[netip.Prefix]uint32{}
	for _, a := range plan.Adverts {
		out[a.Prefix] = 0
		if a.MED != nil {
			out[a.Prefix] = *a.MED
		}
	}
	return out
}

// table gives what the router has: FRR's bgpd with MEDs, else the kernel.
func (r *router) table() map[netip.Prefix]uint32 {
	r.Helper()
	out := map[netip.Prefix]uint32{}
	if r.kind == "frr" {
		var table struct {
			Routes map[netip.Prefix][]struct{ Metric uint32 }
		}
		if err := json.Unmarshal([]byte(r.show("show bgp ipv4 unicast json")), &table); err != nil {
			return nil
		}
		for p, paths := range table.Routes {
			out[p] = paths[0].Metric
		}
		return out
	}
	for _, route := range r.kernel.list() {
		if one, ok := netip.AddrFromSlice(route.Dst.IP.To4()); ok {
			bits, _ := route.Dst.Mask.Size()
			out[netip.PrefixFrom(one, bits)] = 0
		}
	}
	return out
}
