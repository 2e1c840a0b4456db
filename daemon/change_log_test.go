package daemon

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// someAdverts gives a sorted list of a few, as a plan has it.
func someAdverts(random *rand.Rand) []*policy.Advert {
	var out []*policy.Advert
	for i := range 6 {
		for _, subnet := range []string{"a", "b"} {
			if random.IntN(2) == 0 {
				out = append(out, &policy.Advert{
					Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16), Subnet: subnet,
					Role: []routes.Role{routes.RoleActive, routes.RoleStandby}[random.IntN(2)],
				})
			}
		}
	}
	return out
}

// TestNewsOfAdverts: the comparison in one go tells what one by one, without order, does.
func TestNewsOfAdverts(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for range 200 {
		before, now := someAdverts(random), someAdverts(random)
		var news, want []string
		eachNews(before, now, func(a *policy.Advert) { news = append(news, "+"+a.Prefix.String()+a.Subnet+string(a.Role)) },
			func(a *policy.Advert) { news = append(news, "-"+a.Prefix.String()+a.Subnet) })
		has := func(list []*policy.Advert, a *policy.Advert, role bool) bool {
			return slices.ContainsFunc(list, func(b *policy.Advert) bool {
				return a.Prefix == b.Prefix && a.Subnet == b.Subnet && (!role || a.Role == b.Role)
			})
		}
		for _, a := range now {
			if !has(before, a, true) {
				want = append(want, "+"+a.Prefix.String()+a.Subnet+string(a.Role))
			}
		}
		for _, a := range before {
			if !has(now, a, false) {
				want = append(want, "-"+a.Prefix.String()+a.Subnet)
			}
		}
		slices.Sort(news)
		slices.Sort(want)
		if !slices.Equal(news, want) {
			t.Fatalf("from %v to %v: %s, want %s", before, now, strings.Join(news, " "), strings.Join(want, " "))
		}
	}
}

// TestAMassOfChangesIsAFewLines: what is left out is counted.
func TestAMassOfChangesIsAFewLines(t *testing.T) {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	l := changeLog{log: logrus.NewEntry(log)}
	var plan policy.Plan
	for i := range 10_000 {
		plan.Adverts = append(plan.Adverts, &policy.Advert{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24), Peers: []string{"tor"}})
	}
	l.write(&status.Status{Plan: plan})
	l.write(&status.Status{})
	if n := strings.Count(out.String(), "\n"); n != 2*(mostLines+1) || !strings.Contains(out.String(), "and 9800 more prefixes withdrawn") {
		t.Errorf("%d lines, the last %q", n, out.String()[out.Len()-200:])
	}
}
