package speaker

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

func TestTakeOutCountsByFamily(t *testing.T) {
	four, six := nlriOf(t, pfx("10.1.0.0/16")), nlriOf(t, pfx("2001:db8:1::/48"))
	hop := netip.MustParseAddr("2001:db8::1")
	reach := func(f bgp.Family, list ...bgp.PathNLRI) *bgp.PathAttributeMpReachNLRI {
		a, err := bgp.NewPathAttributeMpReachNLRI(f, list, hop)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	list := []bgp.PathNLRI{four, nlriOf(t, pfx("10.2.0.0/16"))}
	extended, v6 := reach(bgp.RF_IPv4_UC, four), reach(bgp.RF_IPv6_UC, six, six, six)
	line := slog.NewRecord(time.Time{}, slog.LevelDebug, updateShown, 0)
	line.AddAttrs(
		slog.Any("nlri", list), slog.Any("withdrawals", []bgp.PathNLRI{four}),
		slog.Any("path_attributes", []bgp.PathAttributeInterface{bgp.NewPathAttributeOrigin(0), extended, v6}),
	)
	if got, want := takeOut(line), (receivedPrefixes{ipv4: 3, ipv6: 3}); got != want {
		t.Errorf("counted %+v, not %+v", got, want)
	}
	if list[0] != list[1] || list[0] == four {
		t.Errorf("two prefixes are left: %v", list)
	}
	if len(extended.Value)+len(v6.Value) > 0 {
		t.Errorf("left: %v, %v", extended, v6)
	}
	if none := takeOut(slog.NewRecord(time.Time{}, slog.LevelDebug, updateShown, 0)); none.all() != 0 {
		t.Errorf("an empty line has %v", none)
	}
}
