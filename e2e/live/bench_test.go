package live

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// tries is how often each way is measured at least.
const tries = 50

// BenchmarkAnnotateToRoute measures from the API server's answer to the request
// that annotates a Subnet until the router's kernel tells of the route, and the
// same for the annotation's removal.
func BenchmarkAnnotateToRoute(b *testing.B) {
	b.Run("BIRD", func(b *testing.B) {
		w := newWorld(b)
		annotateToRoute(b, w, w.startBIRD("a", 1))
	})
	b.Run("FRR", func(b *testing.B) {
		w := newWorld(b, "a")
		annotateToRoute(b, w, w.routers["a"])
	})
}

func annotateToRoute(b *testing.B, w *world, a *router) {
	w.run()
	w.peer("a", "")
	w.subnet("blue", "10.1.0.0/16", "")
	a.has("10.1.0.0/16")
	seen := a.follow()
	resource, err := kubetest.Resource(w.server.Config(), subnets())
	if err != nil {
		b.Fatal(err)
	}
	annotate := func(value string) time.Duration {
		body := fmt.Sprintf(`{"metadata":{"annotations":{"fairway.dev/advertise":%s}}}`, value)
		if _, err := resource.Patch(b.Context(), "blue", types.MergePatchType, []byte(body), metav1.PatchOptions{}); err != nil {
			b.Fatal(err)
		}
		answered := time.Now()
		select {
		case e := <-seen:
			if e.comes != (value != "null") {
				b.Fatalf("annotated %s, and the kernel tells of the opposite", value)
			}
			return max(0, e.at.Sub(answered)) // the route may be faster than the answer
		case <-time.After(patience):
			b.Fatalf("no route event: %s", w.log.last(20))
		}
		return 0
	}
	var gone, come []time.Duration
	for b.Loop() {
		gone = append(gone, annotate("null"))
		come = append(come, annotate(`"true"`))
	}
	for len(come) < tries {
		gone = append(gone, annotate("null"))
		come = append(come, annotate(`"true"`))
	}
	report(b, "come", come)
	report(b, "gone", gone)
	b.ReportMetric(0, "ns/op")
}

// report gives median and maximum in milliseconds.
func report(b *testing.B, what string, all []time.Duration) {
	slices.Sort(all)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(all[len(all)/2]), what+"-median-ms")
	b.ReportMetric(ms(all[len(all)*9/10]), what+"-p90-ms")
	b.ReportMetric(ms(all[len(all)-1]), what+"-max-ms")
}

// routeEvent is a moment at which the kernel tells of a BGP route.
type routeEvent struct {
	at    time.Time
	comes bool
}

// follow gives what the kernel tells of BGP routes.
func (r *router) follow() <-chan routeEvent {
	r.Helper()
	updates, done := make(chan netlink.RouteUpdate, 4096), make(chan struct{})
	if err := netlink.RouteSubscribeAt(r.handle, updates, done); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { close(done) })
	events := make(chan routeEvent, 4096)
	go func() {
		for u := range updates {
			if u.Dst != nil && u.Protocol == r.origin {
				events <- routeEvent{time.Now(), u.Type == unix.RTM_NEWROUTE}
			}
		}
	}()
	return events
}

// BenchmarkManySubnets measures the daemon's resident memory, and the time from
// its start to all routes in the router's kernel.
func BenchmarkManySubnets(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, "a")
			a := w.routers["a"]
			w.peer("a", "")
			w.manySubnets(n)
			for b.Loop() {
				began := time.Now()
				w.run()
				w.within(3*time.Minute, "all routes", func() string {
					return lack(strings.Count(a.routes(), " ")+1 == n)
				})
				b.ReportMetric(time.Since(began).Seconds(), "start-to-routes-s")
				b.ReportMetric(w.rss(), "RSS-MiB")
				time.Sleep(10 * time.Second)
				b.ReportMetric(w.rss(), "RSS-after-10s-MiB")
				w.stop(9)
				w.until("the routes are gone", func() string { return lack(a.routes() == "") })
			}
		})
	}
}

// manySubnets makes n Subnets, some at a time.
func (w *world) manySubnets(n int) {
	w.Helper()
	resource, err := kubetest.Resource(w.server.Config(), subnets())
	if err != nil {
		w.Fatal(err)
	}
	numbers := make(chan int)
	var working sync.WaitGroup
	for range 16 {
		working.Go(func() {
			for i := range numbers {
				o := subnets()
				o.SetName(fmt.Sprintf("s%d", i))
				o.SetAnnotations(map[string]string{"fairway.dev/advertise": "true"})
				at := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
				o.Object["spec"] = map[string]any{"cidrBlock": at.String() + "/24", "vpc": "ovn-cluster", "provider": "ovn", "gatewayType": "distributed"}
				if _, err := resource.Create(w.ctx(), o, metav1.CreateOptions{}); err != nil {
					w.Error(err)
					continue
				}
				body := `{"status":{"conditions":[{"type":"Validated","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"},{"type":"Ready","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`
				if _, err := resource.Patch(w.ctx(), o.GetName(), types.MergePatchType, []byte(body), metav1.PatchOptions{}, "status"); err != nil {
					w.Error(err)
				}
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	working.Wait()
}

// rss gives the daemon's resident memory in MiB.
func (w *world) rss() float64 {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", w.daemon.Process.Pid))
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kib float64
		if _, err := fmt.Sscanf(s.Text(), "VmRSS: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}

// BenchmarkIdle counts what the elected daemon, which reports besides, asks of the
// API server in a minute in which nothing happens.
func BenchmarkIdle(b *testing.B) {
	w := newWorld(b, "a")
	// The API server watches and writes things itself.
	time.Sleep(10 * time.Second)
	before, watches := w.requests(), w.watches()
	time.Sleep(time.Minute)
	own := sum(w.requests(), before)
	w.run()
	w.peer("a", "")
	w.subnet("blue", "10.1.0.0/16", "")
	w.routers["a"].has("10.1.0.0/16")
	for b.Loop() {
		// What a start brings with it is over.
		time.Sleep(10 * time.Second)
		before := w.requests()
		time.Sleep(time.Minute)
		b.ReportMetric(sum(w.requests(), before)-own, "requests/min")
		b.ReportMetric(w.watches()-watches, "watches")
	}
}

func sum(after, before map[string]float64) float64 {
	total := 0.0
	for what, n := range after {
		total += n - before[what]
	}
	return total
}

// metrics gives the API server's own counters with the given name.
func (w *world) metrics(name string) map[string]float64 {
	w.Helper()
	c, err := rest.HTTPClientFor(w.server.Config())
	if err != nil {
		w.Fatal(err)
	}
	answer, err := c.Get(w.server.URL() + "/metrics")
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	out := map[string]float64{}
	for s := bufio.NewScanner(answer.Body); s.Scan(); {
		line := s.Text()
		i := strings.LastIndexByte(line, ' ')
		if !strings.HasPrefix(line, name+"{") || i < 0 {
			continue
		}
		var n float64
		if _, err := fmt.Sscan(line[i+1:], &n); err == nil {
			out[line[:i]] = n
		}
	}
	return out
}

// requests counts the API server's requests for what the daemon touches.
func (w *world) requests() map[string]float64 {
	out := map[string]float64{}
	for line, n := range w.metrics("apiserver_request_total") {
		for _, resource := range []string{"subnets", "bgppeers", "speakers", "nodes", "pods", "secrets", "leases", "events"} {
			if strings.Contains(line, fmt.Sprintf(`resource=%q`, resource)) {
				out[line] = n
			}
		}
	}
	return out
}

// watches counts the watches that are open on what the daemon reads.
func (w *world) watches() float64 {
	total := 0.0
	for line, n := range w.metrics("apiserver_longrunning_requests") {
		for _, resource := range []string{"subnets", "bgppeers", "nodes", "secrets", "pods"} {
			if strings.Contains(line, fmt.Sprintf(`resource=%q`, resource)) && strings.Contains(line, `verb="WATCH"`) {
				total += n
			}
		}
	}
	return total
}
