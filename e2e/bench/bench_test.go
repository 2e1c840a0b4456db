package bench

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// settle is how long a daemon is left alone before its memory is read.
func settle() time.Duration { return either(15*time.Second, 5*time.Second) }

// many is how many Subnets a large cluster has here.
func many() int { return either(10000, 2000) }

// BenchmarkTable measures everything in the table of docs/performance.md but what Go's own
// benchmarks tell. It takes about ten minutes, or three with FAIRWAY_BENCH_QUICK.
func BenchmarkTable(b *testing.B) {
	l := newLab(b)
	describe(b)
	frr, bird, dialler := l.frr("frr", true), l.bird(), l.frr("dialler", false)
	floors(frr, bird)
	fromFiles(dialler)
	fromCluster(frr, bird)
	b.ReportMetric(0, "ns/op")
}

// hosts gives n addresses of which no two make a wider prefix.
func hosts(n int) []netip.Prefix {
	var out []netip.Prefix
	for i := range n {
		out = append(out, netip.PrefixFrom(host(i), 32))
	}
	return out
}

// host is the i-th: every other address from 10.0.0.1.
func host(i int) netip.Addr {
	i = 2*i + 1
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// cidrs gives the CIDRs of the first n Subnets.
func cidrs(n int) []netip.Prefix {
	var out []netip.Prefix
	for i := range n {
		out = append(out, cidr(i))
	}
	return out
}

// floors measures what the routers take for themselves.
func floors(frr, bird *router) {
	for _, r := range []*router{frr, bird} {
		s := newSender(r)
		single := []netip.Prefix{netip.MustParsePrefix("10.255.0.0/24")}
		repeat(r, "Floor/one/router="+r.kind+"/there=0", either(50, 12), func() time.Duration { return s.measure(0, single) })
		all := cidrs(many())
		for _, some := range [][]netip.Prefix{all[:1000], all} {
			repeat(r, fmt.Sprintf("Floor/all/router=%s/prefixes=%d", r.kind, len(some)), either(12, 5), func() time.Duration { return s.measure(0, some) })
		}
		full := r.kernel.expect(len(all))
		s.announce(all)
		r.kernel.until(full, func() string { return "the sender has announced them" })
		repeat(r, fmt.Sprintf("Floor/one/router=%s/there=%d", r.kind, len(all)), either(50, 12), func() time.Duration { return s.measure(len(all), single) })
		s.remove(0, all)
		if r == frr {
			hundred := hosts(either(100000, 20000))
			repeat(r, fmt.Sprintf("Floor/all/router=%s/prefixes=%d", r.kind, len(hundred)), either(5, 2), func() time.Duration { return s.measure(0, hundred) })
		}
		s.Close()
	}
}

// fromFiles measures a daemon that follows files, and that the router dials as soon as it listens.
func fromFiles(r *router) {
	var subnets, pods strings.Builder
	all := many()
	for i := range all {
		fmt.Fprintf(&subnets, "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: %s, annotations: {fairway.dev/advertise: \"true\"}}\nspec: {cidrBlock: %s}\n", subnetName(i), cidr(i))
	}
	hundred := either(100000, 20000)
	for i := range hundred {
		if at := i * 2; at%(1<<16) == 0 {
			fmt.Fprintf(&pods, "---\napiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: p%d, annotations: {fairway.dev/advertise: \"true\", fairway.dev/mode: pods}}\nspec: {cidrBlock: 10.%d.0.0/16}\n", at>>16, at>>16)
		}
		fmt.Fprintf(&pods, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d, namespace: default, annotations: {ovn.kubernetes.io/ip_address: %s, ovn.kubernetes.io/logical_switch: p%d}}\nspec: {nodeName: n1}\nstatus: {phase: Running}\n", i, host(i), i*2>>16)
	}
	r.startFrom("Start/files/prefixes=", all, subnets.String(), either(12, 5))
	r.startFrom("Start/pods/prefixes=", hundred, pods.String(), either(5, 2))
}

// startFrom measures from a daemon's exec, with these objects in files, until the router's
// kernel has n routes.
func (r *router) startFrom(name string, n int, stream string, times int) {
	r.Helper()
	folder := r.TempDir()
	const most = 8 << 20 // a file of more than 16 MiB is not read
	for i := 0; len(stream) > 0; i++ {
		part := stream
		if len(part) > most {
			part = part[:strings.LastIndex(part[:most], "---\n")]
		}
		must.WriteFile(r, filepath.Join(folder, fmt.Sprintf("objects-%d.yaml", i)), []byte(part))
		stream = stream[len(part):]
	}
	must.WriteFile(r, filepath.Join(folder, "node.yaml"), fmt.Appendf(nil, `
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: %s}], conditions: [{type: Ready, status: "True"}]}}
---
{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: %s, peerASN: %d, localASN: %d, passive: true}}
`, r.near, r.far, routerASN, nodeASN))
	cpu := &samples{TB: r, name: fmt.Sprintf("StartCPU/%s%d", strings.TrimPrefix(name, "Start/"), n), unit: "cpu-ms"}
	repeat(r, fmt.Sprint(name, n), times, func() time.Duration {
		all := r.kernel.expect(n)
		d := r.run("n1", r.node, "-f", folder)
		d.dialled(r)
		took := r.kernel.until(all, d.words).Sub(d.began)
		cpu.took(d.cpu())
		d.end(r)
		return took
	})
	cpu.say()
}

// fromCluster measures a daemon that follows an API server, and dials.
func fromCluster(frr, bird *router) {
	c := newCluster(frr.lab)
	flags := inCluster(c.newNode("n1", c.node, frr.near))
	start := func() *daemon { return c.run("n1", c.node, flags...) }
	c.peer(frr)
	c.idleMemory(start)
	made := 0
	for _, n := range []int{1, 1000, many()} {
		c.manySubnets(made, n)
		made = n
		if n > 1 {
			c.starts(frr, n, start)
		}
		if n == 1 || n == many() {
			c.changes(frr, n, start)
			c.changes(bird, n, start)
		}
	}
}

// idleMemory reads the memory of a daemon with nothing to announce.
func (c *cluster) idleMemory(start func() *daemon) {
	c.Helper()
	d := start()
	d.answering()
	time.Sleep(settle())
	one(c, "RSS/subnets=0", "MB", d.rss(c))
	d.stop(syscall.SIGTERM)
}

// starts measures from a daemon's exec until the router's kernel has n routes.
func (c *cluster) starts(r *router, n int, start func() *daemon) {
	c.Helper()
	cpu := &samples{TB: c, name: fmt.Sprintf("StartCPU/api/prefixes=%d", n), unit: "cpu-ms"}
	c.peer(r)
	var d *daemon
	repeat(c, fmt.Sprintf("Start/api/prefixes=%d", n), either(12, 3), func() time.Duration {
		if d != nil {
			d.end(r)
		}
		all := r.kernel.expect(n)
		d = start()
		took := r.kernel.until(all, d.words).Sub(d.began)
		cpu.took(d.cpu())
		return took
	})
	cpu.say()
	if n == many() || !quick() {
		c.rest(d, n)
	}
	d.end(r)
}

// changes measures from the API server's answer, to the request that annotates a Subnet or
// takes its annotation away, to the router's kernel.
func (c *cluster) changes(r *router, n int, start func() *daemon) {
	c.Helper()
	c.peer(r)
	all := r.kernel.expect(n)
	d := start()
	r.kernel.until(all, d.words)
	last := n - 1
	change := func(yes bool, routes int) time.Duration {
		there := r.kernel.expect(routes)
		answered := c.advertise(last, yes)
		return r.kernel.until(there, d.words).Sub(answered)
	}
	come := &samples{TB: c, name: fmt.Sprintf("Annotate/router=%s/subnets=%d", r.kind, n), unit: "ms"}
	gone := &samples{TB: c, name: fmt.Sprintf("Unannotate/router=%s/subnets=%d", r.kind, n), unit: "ms"}
	for range either(50, 12) {
		gone.took(change(false, n-1))
		come.took(change(true, n))
	}
	gone.say()
	come.say()
	d.end(r)
}

// rest leaves a daemon alone: its memory after a while, and its processor time in a minute.
func (c *cluster) rest(d *daemon, n int) {
	c.Helper()
	time.Sleep(settle())
	one(c, fmt.Sprintf("RSS/subnets=%d", n), "MB", d.rss(c))
	before, began := d.cpu(), time.Now()
	time.Sleep(either(time.Minute, 20*time.Second))
	perMinute := (d.cpu() - before).Seconds() / time.Since(began).Minutes()
	one(c, fmt.Sprintf("Idle/subnets=%d", n), "cpu-s/min", perMinute)
}
