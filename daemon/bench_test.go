package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/policy/policytest"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/speaker"
	"github.com/fairway-bgp/fairway/status"
)

// turns is a Source whose Snapshots take turns.
type turns struct {
	snapshots []policy.Snapshot
	turn      int
}

func (s *turns) Latest() (policy.Snapshot, status.Source, bool) {
	s.turn++
	return s.snapshots[s.turn%len(s.snapshots)], status.Source{Kind: "files"}, true
}

// manySubnets is a cluster with n Subnets that every node announces, to a peer that is
// waited for.
func manySubnets(n int) policy.Snapshot {
	s := policytest.Cluster()
	s.Peers[0].Passive = true
	s.Nodes[0].InternalIPs = []netip.Addr{netip.MustParseAddr("192.0.2.11")}
	for i := range n {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		s.Subnets = append(s.Subnets, policytest.Distributed(fmt.Sprintf("s%05d", i), prefix.String()))
	}
	return s
}

// passing gives a daemon with a real speaker, that has made two passes.
func passing(b *testing.B, source Source) *Daemon {
	log := logrus.New()
	log.SetOutput(io.Discard)
	ring := bell.New()
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	s, err := speaker.New(speaker.Options{Log: logrus.NewEntry(log), Bell: ring.Ring, ListenPort: int32(port)})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-over })
	d := New(Options{Version: "test", Node: "n1", Log: logrus.NewEntry(log), Source: source, Speaker: s, Board: &status.Board{}, Bell: ring})
	for range 2 {
		if !d.pass(ctx) {
			b.Fatalf("%+v", d.Board.Newest().Speaker)
		}
	}
	return d
}

// BenchmarkPassOneOf10k makes passes in which one Subnet of 10,000 comes or goes.
func BenchmarkPassOneOf10k(b *testing.B) {
	all := manySubnets(10000)
	fewer := all
	fewer.Subnets = slices.Clone(all.Subnets)
	fewer.Subnets[5000] = policytest.Distributed("s05000", all.Subnets[5000].CIDRBlock, routes.AnnotationAdvertise, "false")
	d := passing(b, &turns{snapshots: []policy.Snapshot{all, fewer}})
	b.ReportAllocs()
	for b.Loop() {
		before := len(d.plan.Adverts)
		if !d.pass(b.Context()) || len(d.plan.Adverts) == before {
			b.Fatalf("%+v", d.Board.Newest().Speaker)
		}
	}
}

// BenchmarkPassIdle10k makes passes in which nothing has changed.
func BenchmarkPassIdle10k(b *testing.B) {
	d := passing(b, &turns{snapshots: []policy.Snapshot{manySubnets(10000)}})
	b.ReportAllocs()
	for b.Loop() {
		if !d.pass(b.Context()) || len(d.plan.Adverts) != 10000 {
			b.Fatalf("%+v", d.Board.Newest().Speaker)
		}
	}
}

// BenchmarkReport looks at a cluster of 200 nodes with 1,000 Subnets that each announces:
// after a change of an object, and of a Speaker alone.
func BenchmarkReport(b *testing.B) {
	s := manySubnets(1000)
	for i := range 198 {
		s.Nodes = append(s.Nodes, routes.Node{Name: fmt.Sprintf("n%d", i+3), Ready: true, Allocated: true})
	}
	said := sayingAll(s)
	planned := plansOf(s)
	for name, look := range map[string]func() outlook{
		"object":  func() outlook { return plansOf(s).after(said) },
		"Speaker": func() outlook { return planned.after(said) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v := look().subnets["s00000"]; v.sent != 200 {
					b.Fatalf("%+v", v)
				}
			}
		})
	}
}
