package cover_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/cover"
	"github.com/fairway-bgp/fairway/e2e/rapidseed"
)

func TestMain(m *testing.M) { rapidseed.Main(m) }

// aggregated merges sorted addresses from nothing: what a Set must give.
func aggregated(addrs []netip.Addr) []netip.Prefix {
	var stack []netip.Prefix
	for _, a := range addrs {
		next := netip.PrefixFrom(a, a.BitLen())
		for len(stack) > 0 && siblings(stack[len(stack)-1], next) {
			next = netip.PrefixFrom(next.Addr(), next.Bits()-1).Masked()
			stack = stack[:len(stack)-1]
		}
		stack = append(stack, next)
	}
	return stack
}

func siblings(a, b netip.Prefix) bool {
	parent := func(p netip.Prefix) netip.Prefix { return netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked() }
	return a.Bits() == b.Bits() && a.Bits() > 0 && a.Addr().Is4() == b.Addr().Is4() && a != b && parent(a) == parent(b)
}

func only(addrs map[netip.Addr]bool, within netip.Prefix) []netip.Addr {
	var out []netip.Addr
	for a := range addrs {
		if within.Contains(a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

// addressGen draws addresses that lie side by side, and at the ends of either family.
func addressGen() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		n := byte(rapid.IntRange(0, 40).Draw(t, "host"))
		switch rapid.IntRange(0, 4).Draw(t, "net") {
		case 0:
			return netip.AddrFrom4([4]byte{255, 255, 255, 255 - n})
		case 1:
			return netip.AddrFrom4([4]byte{0, 0, 0, n})
		case 2:
			return netip.AddrFrom16([16]byte{0xff, 0xff, 8: 0x80 &^ (n << 7), 14: 0xff, 15: 0xff - n/8})
		case 3:
			return netip.AddrFrom16([16]byte{0xfd, 7: n & 3, 15: n})
		}
		return netip.AddrFrom4([4]byte{10, 166, 0, n})
	})
}

func TestSetCoversWhatItHoldsHoweverItCameAbout(t *testing.T) {
	views := []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("10.166.0.0/16"), netip.MustParsePrefix("10.166.0.8/29"),
		netip.MustParsePrefix("10.166.0.5/32"), netip.MustParsePrefix("fd00::/63"), netip.MustParsePrefix("fd00:0:0:1::/64"), netip.MustParsePrefix("10.167.0.0/16"),
	}
	rapid.Check(t, func(t *rapid.T) {
		var set cover.Set
		have := map[netip.Addr]bool{}
		for range rapid.IntRange(0, 80).Draw(t, "changes") {
			a, before := addressGen().Draw(t, "address"), set
			if had := have[a]; had != set.Has(a) {
				t.Fatalf("Has(%s) = %t", a, !had)
			}
			if rapid.IntRange(0, 2).Draw(t, "more") > 0 {
				set, have[a] = set.With(a), true
			} else {
				set = set.Without(a)
				delete(have, a)
			}
			if changed := before.Has(a) != set.Has(a); changed == (before == set) {
				t.Fatalf("%s: changed %t, and another Set %t", a, changed, before != set)
			}
		}
		var all []netip.Addr
		for a := range have {
			all = append(all, a)
		}
		if fresh := cover.Of(append(all, all...)...); !reflect.DeepEqual(fresh, set) || set.Empty() != (len(all) == 0) {
			t.Fatalf("made at once it is another: %v", all)
		}
		for _, v := range views {
			want := aggregated(only(have, v))
			if got := set.Prefixes(v); !slices.Equal(got, want) || set.Count(v) != len(want) {
				t.Fatalf("within %s: %v, count %d, want %v", v, got, set.Count(v), want)
			}
		}
	})
}

func TestCoverIsMinimal(t *testing.T) {
	var set cover.Set
	for n := range 256 {
		set = set.With(netip.AddrFrom4([4]byte{10, 166, 0, byte(n * 37)}))
	}
	set = set.With(netip.MustParseAddr("fd00::1")).With(netip.MustParseAddr("fd00::2"))
	got := append(set.Prefixes(netip.MustParsePrefix("0.0.0.0/0")), set.Prefixes(netip.MustParsePrefix("::/0"))...)
	want := []netip.Prefix{netip.MustParsePrefix("10.166.0.0/24"), netip.MustParsePrefix("fd00::1/128"), netip.MustParsePrefix("fd00::2/128")}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func scattered(n int) []netip.Addr {
	out := make([]netip.Addr, n)
	for i := range out {
		x := uint32(i) * 2654435761 >> 14 // spread over a /14
		out[i] = netip.AddrFrom4([4]byte{10, byte(x >> 16), byte(x >> 8), byte(x)})
	}
	return out
}

func BenchmarkOneOf100kAddresses(b *testing.B) {
	addrs := scattered(100_000)
	set := cover.Of(addrs...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a := addrs[i%len(addrs)]
		set = set.Without(a).With(a)
	}
}

func Benchmark100kAddressesFromNothing(b *testing.B) {
	addrs := scattered(100_000)
	b.ReportAllocs()
	for b.Loop() {
		cover.Of(addrs...)
	}
}
