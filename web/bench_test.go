package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// BenchmarkScrape answers scrapes of a node with 1,000 Subnets and 64 peers, each of
// which has all of them.
func BenchmarkScrape(b *testing.B) {
	s := interesting()
	s.Sessions, s.Plan.Adverts = nil, nil
	var peers []string
	for i := range 64 {
		e := interesting().Sessions[0]
		e.Peer, e.Address = fmt.Sprintf("tor-%02d", i), fmt.Sprintf("172.30.0.%d", i)
		peers, s.Sessions = append(peers, e.Peer), append(s.Sessions, e)
	}
	for i := range 1000 {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		s.Plan.Adverts = append(s.Plan.Adverts, &policy.Advert{Prefix: prefix, Subnet: fmt.Sprintf("subnet-%d", i), Role: routes.RoleDistributed, Peers: peers})
	}
	var board status.Board
	board.Post(s)
	h := scrapeHandler(&board)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://192.0.2.11:7474/metrics", http.NoBody))
		if w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
		b.ReportMetric(float64(w.Body.Len()), "bytes/scrape")
	}
}

// BenchmarkPage arranges, compares and packs the picture of a node with 10,000 prefixes,
// each time with a session up or down.
func BenchmarkPage(b *testing.B) {
	up, down := interesting(), interesting()
	for i := range 10_000 {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		a := &policy.Advert{Prefix: prefix, Subnet: fmt.Sprintf("subnet-%d", i), Role: routes.RoleDistributed, Peers: []string{"tor-a", "tor-b"}}
		up.Plan.Adverts, down.Plan.Adverts = append(up.Plan.Adverts, a), append(down.Plan.Adverts, a)
	}
	down.Sessions[0].State = "Active"
	page := NewPage(time.Now())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := page.postStatus([]*status.Status{up, down}[i%2]); err != nil {
			b.Fatal(err)
		}
		body, err := page.body()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(body.zipped)), "bytes/page")
	}
}

// BenchmarkPagePost10k shows a node's picture while nobody looks: of 10,000 prefixes one
// comes or goes each time, or nothing changes.
func BenchmarkPagePost10k(b *testing.B) {
	all := interesting()
	all.Plan.Adverts = nil
	for i := range 10_000 {
		prefix := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		all.Plan.Adverts = append(all.Plan.Adverts, &policy.Advert{Prefix: prefix, Subnet: fmt.Sprintf("subnet-%d", i), Role: routes.RoleDistributed, Peers: []string{"tor-a"}})
	}
	fewer := *all
	fewer.Plan.Adverts = slices.Delete(slices.Clone(all.Plan.Adverts), 5000, 5001)
	for name, other := range map[string]*status.Status{"one": &fewer, "none": all} {
		b.Run(name, func(b *testing.B) {
			page := NewPage(time.Now())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := page.postStatus([]*status.Status{all, other}[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
