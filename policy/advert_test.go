package policy

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/fairway-bgp/fairway/routes"
)

// TestEveryFieldOfAnAdvertCounts: two adverts that differ in one field alone are not the same.
func TestEveryFieldOfAnAdvertCounts(t *testing.T) {
	med := func(n uint32) *uint32 { return &n }
	a := &Advert{Prefix: netip.MustParsePrefix("10.1.0.0/16"), MED: med(1)}
	if !SameAdverts([]*Advert{a}, []*Advert{{Prefix: a.Prefix, MED: med(1)}}) || SameAdverts([]*Advert{a}, nil) {
		t.Error("the same is not the same")
	}
	others := []Advert{
		{Prefix: netip.MustParsePrefix("10.2.0.0/16")}, {Subnet: "a"}, {NextHop: netip.MustParseAddr("192.0.2.1")}, {Peers: []string{"tor"}},
		{Role: routes.RoleActive}, {Communities: []routes.Community{1}}, {LargeCommunities: []routes.LargeCommunity{{Data1: 1}}},
		{MED: med(0)}, {LocalPref: med(1)}, {ASPathPrepend: 1}, {Draining: true}, {route: &routes.Route{}},
	}
	if fields := reflect.TypeFor[Advert]().NumField(); fields != len(others) {
		t.Errorf("an Advert has %d fields, of which %d are compared", fields, len(others))
	}
	for _, b := range others {
		if SameAdverts([]*Advert{{}}, []*Advert{&b}) {
			t.Errorf("%+v counts as nothing", b)
		}
	}
}
