package picture

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

// turn gives a Status in which some of another has changed.
func turn(random *rand.Rand, s status.Status) *status.Status {
	s.Sessions = slices.Clone(s.Sessions)
	switch random.IntN(4) {
	case 0: // nothing
	case 1:
		s.Sessions[random.IntN(2)].State = []string{"Idle", "Established"}[random.IntN(2)]
	case 2:
		s.Plan.Adverts = nil
		for i := range 20 {
			if random.IntN(8) > 0 {
				s.Plan.Adverts = append(s.Plan.Adverts, &policy.Advert{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i)}), 16), Subnet: fmt.Sprint("s", i), Peers: []string{"tor-a", "tor-b"}[:random.IntN(3)]})
			}
		}
	case 3:
		s.Plan.Withheld = nil
		for i := range 20 {
			if random.IntN(8) == 0 {
				s.Plan.Withheld = append(s.Plan.Withheld, policy.Withheld{Prefix: fmt.Sprintf("10.%d.0.0/16", 100+i), Subnet: fmt.Sprint("w", i), Reason: routes.NATOutgoing})
			}
		}
	}
	return &s
}

// TestWhatIsKeptIsAsArrangedAnew: in any history, a Picture with the lists of the one before
// is the one that is made from nothing, and what the timeline tells of two lists is what it
// tells where nothing at their ends is left out.
func TestWhatIsKeptIsAsArrangedAnew(t *testing.T) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 3))
	s := &status.Status{Node: "n1", Ready: true, Sessions: []status.Session{{Peer: "tor-a"}, {Peer: "tor-b"}}}
	shown := OfNode(s)
	for range 300 {
		next := turn(random, *s)
		after, anew := OfNodeAfter(s, &shown, next), OfNode(next)
		if !reflect.DeepEqual(after, anew) {
			t.Fatalf("%+v\nanew %+v", after, anew)
		}
		if news, all := Compare(&shown, &after), toldOfAll(shown, after); !reflect.DeepEqual(news, all) {
			t.Fatalf("%+v\nwith the ends %+v", news, all)
		}
		s, shown = next, after
	}
}

// toldOfAll compares as Compare does, with other entries at the ends of the lists.
func toldOfAll(before, after Picture) []Event {
	framed := func(p Picture, name string) *Picture {
		p.Lists = []List{p.Lists[0]}
		l := &p.Lists[0]
		end := Announced{Prefix: name, Subnet: "", Sent: true}
		l.Announced = slices.Concat([]Announced{end}, l.Announced, []Announced{end})
		l.Withheld = slices.Concat([]Withheld{{Prefix: "w" + name}}, l.Withheld, []Withheld{{Prefix: "w" + name}})
		return &p
	}
	a, b := framed(before, "1"), framed(after, "2")
	a.Lists[0].Planned, b.Lists[0].Planned = int64(len(a.Lists[0].Announced)), int64(len(b.Lists[0].Announced))
	a.Lists[0].Withhold, b.Lists[0].Withhold = int64(len(a.Lists[0].Withheld)), int64(len(b.Lists[0].Withheld))
	c := comparison{a, b, nil}
	c.node(&a.Nodes[0], &b.Nodes[0])
	c.changes = slices.DeleteFunc(c.changes, func(c change) bool {
		return slices.Contains([]string{"1 of ", "w1 of ", "2 of ", "w2 of "}, c.what)
	})
	c.source()
	return summed(c.changes)
}
