package routes_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairway-bgp/fairway/e2e/rapidseed"
	"github.com/fairway-bgp/fairway/routes"
)

func TestMain(m *testing.M) { rapidseed.Main(m) }

func TestParseGatewayNodes(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"one", "n1", []string{"n1"}},
		{"two", "n1,n2", []string{"n1", "n2"}},
		{"spaces", " n1 , n2 ", []string{"n1", "n2"}},
		{"addresses", "n1:172.30.0.11,n2:172.30.0.12", []string{"n1", "n2"}},
		{"IPv6 address ends at the first colon", "n1:fd00:30::11,n2", []string{"n1", "n2"}},
		{"mixed", "n1, n2:10.0.0.1", []string{"n1", "n2"}},
		{"order is kept, repetitions are not", "n2,n1,n2:10.0.0.1", []string{"n2", "n1"}},
		{"empty items", ",n1,,", []string{"n1"}},
		{"address without a name", ":10.0.0.1", nil},
		{"empty", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := routes.ParseGatewayNodes(tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("ParseGatewayNodes(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestParseCIDRBlock(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
		err      string
	}{
		{"IPv4", "10.166.0.0/16", []string{"10.166.0.0/16"}, ""},
		{"dual", "10.166.0.0/16,fd00:166::/112", []string{"10.166.0.0/16", "fd00:166::/112"}, ""},
		{"dual, IPv6 first", "fd00:166::/112,10.166.0.0/16", []string{"fd00:166::/112", "10.166.0.0/16"}, ""},
		{"spaces", " 10.166.0.0/16 , fd00:166::/112 ", []string{"10.166.0.0/16", "fd00:166::/112"}, ""},
		{"host bits are masked", "10.166.0.1/16", []string{"10.166.0.0/16"}, ""},
		{"the same twice", "10.166.0.0/16,10.166.0.9/16", []string{"10.166.0.0/16"}, ""},
		{"two that overlap", "10.166.0.0/16,10.166.1.0/24", nil, "10.166.0.0/16 and 10.166.1.0/24 overlap"},
		{"empty", "", nil, "is empty"},
		{"one part bad", "10.166.0.0/16,fd00::/129", nil, `"fd00::/129" is not a CIDR`},
		{"no length", "10.166.0.0", nil, `"10.166.0.0" is not a CIDR`},
		{"empty part", "10.166.0.0/16,", nil, `"" is not a CIDR`},
		{"mapped", "::ffff:10.0.0.0/104", nil, "IPv4-mapped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := routes.ParseCIDRBlock(tt.in)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want one with %q", err, tt.err)
				}
				return
			}
			var texts []string
			for _, p := range got {
				texts = append(texts, p.String())
			}
			if err != nil || !slices.Equal(texts, tt.want) {
				t.Errorf("got %v, %v, want %v", texts, err, tt.want)
			}
		})
	}
}

func TestParseTuning(t *testing.T) {
	u32 := func(n uint32) *uint32 { return &n }
	u8 := func(n uint8) *uint8 { return &n }
	base := func(change func(*routes.Tuning)) routes.Tuning {
		tu := routes.Tuning{Mode: routes.ModeCIDR, Communities: []routes.Community{}, LargeCommunities: []routes.LargeCommunity{}}
		change(&tu)
		return tu
	}
	for _, tt := range []struct {
		name, key, value string
		want             routes.Tuning
		err              string
	}{
		{"advertise", "advertise", "true", base(func(*routes.Tuning) {}), ""},
		{"advertise, a typo", "advertise", "ture", routes.Tuning{}, `fairway.dev/advertise: "ture": is neither true nor false`},
		{"mode", "mode", "pods", base(func(u *routes.Tuning) { u.Mode = routes.ModePods }), ""},
		{"mode, unknown", "mode", "pod", routes.Tuning{}, `fairway.dev/mode: "pod": is neither cidr nor pods`},
		{"peers are sorted, spaces go", "peers", "tor-b, tor-a", base(func(u *routes.Tuning) { u.Peers = []string{"tor-a", "tor-b"} }), ""},
		{"peers, an empty one", "peers", "tor-a,,tor-b", routes.Tuning{}, "has an empty name"},
		{"peers, none", "peers", "", routes.Tuning{}, "has an empty name"},
		{"communities of all kinds", "communities", "65000:100,no-export,65000:1:2", base(func(u *routes.Tuning) {
			u.Communities = []routes.Community{65000<<16 | 100, 0xFFFFFF01}
			u.LargeCommunities = []routes.LargeCommunity{{GlobalAdmin: 65000, Data1: 1, Data2: 2}}
		}), ""},
		{"communities, out of range", "communities", "70000:1", routes.Tuning{}, `"70000" is not a number from 0 to 65535`},
		{"communities, signed", "communities", "65000:+1", routes.Tuning{}, `"+1" is not a number`},
		{"communities, unknown name", "communities", "noexport", routes.Tuning{}, "nor the name of a well-known community"},
		{"communities, the internal mark", "communities", "0:1:2", routes.Tuning{}, "global administrator 0 is reserved"},
		{"communities, more than a message holds", "communities", manyCommunities(65), routes.Tuning{}, "has 65 communities: at most 64 are allowed"},
		{"communities, said twice", "communities", manyCommunities(64) + ",1:0", base(func(u *routes.Tuning) {
			for i := range 64 {
				u.Communities = append(u.Communities, routes.Community(1<<16|i))
			}
		}), ""},
		{"med", "med", "50", base(func(u *routes.Tuning) { u.MED = u32(50) }), ""},
		{"med, 0 is a value", "med", "0", base(func(u *routes.Tuning) { u.MED = u32(0) }), ""},
		{"med, negative", "med", "-1", routes.Tuning{}, "is not a number from 0 to 4294967295"},
		{"med, too large", "med", "4294967296", routes.Tuning{}, "is not a number"},
		{"local-pref", "local-pref", "200", base(func(u *routes.Tuning) { u.LocalPref = u32(200) }), ""},
		{"prepend", "as-path-prepend", "3", base(func(u *routes.Tuning) { u.ASPathPrepend = u8(3) }), ""},
		{"prepend, too long", "as-path-prepend", "17", routes.Tuning{}, "from 0 to 16"},
		{"next-hop, both families", "next-hop", "172.30.0.100, fd00:30::100", base(func(u *routes.Tuning) {
			u.NextHops = []netip.Addr{netip.MustParseAddr("172.30.0.100"), netip.MustParseAddr("fd00:30::100")}
		}), ""},
		{"next-hop, two of one family", "next-hop", "172.30.0.100,172.30.0.101", routes.Tuning{}, "same family"},
		{"next-hop, no address", "next-hop", "vip", routes.Tuning{}, `"vip" is not an IP address`},
		{"next-hop, multicast", "next-hop", "224.0.0.1", routes.Tuning{}, "cannot be a next hop"},
		{"next-hop, this network", "next-hop", "0.1.2.3", routes.Tuning{}, "cannot be a next hop"},
		{"next-hop, reserved", "next-hop", "240.0.0.1", routes.Tuning{}, "cannot be a next hop"},
		{"next-hop, broadcast", "next-hop", "255.255.255.255", routes.Tuning{}, "cannot be a next hop"},
		{"next-hop, loopback", "next-hop", "127.0.0.1", routes.Tuning{}, "cannot be a next hop"},
		{"standby", "standby", "true", base(func(u *routes.Tuning) { u.Standby = true }), ""},
		{"standby, yes is not true", "standby", "yes", routes.Tuning{}, "is neither true nor false"},
		{"allow-nat-policy", "allow-nat-policy", "true", base(func(u *routes.Tuning) { u.AllowNATPolicy = true }), ""},
		{"a key that means nothing", "advertize", "true", base(func(u *routes.Tuning) { u.Unknown = []string{"fairway.dev/advertize"} }), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := routes.ParseTuning(map[string]string{routes.Prefix + tt.key: tt.value, "unrelated/key": "x"})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, tt.want)
			}
		})
	}
}

// manyCommunities are n communities, 1:0 and on.
func manyCommunities(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("1:%d", i))
	}
	return strings.Join(out, ",")
}

func TestSelected(t *testing.T) {
	adopt := routes.DefaultSettings
	adopt.AdoptKubeOVN = true
	for _, tt := range []struct {
		name     string
		own, ovn string
		settings routes.Settings
		want     bool
	}{
		{"true", "true", "", routes.DefaultSettings, true},
		{"false", "false", "", routes.DefaultSettings, false},
		{"absent", "", "", routes.DefaultSettings, false},
		{"a typo is shown, not forgotten", "yes", "", routes.DefaultSettings, true},
		{"kube-ovn's counts only if adopted", "", "true", routes.DefaultSettings, false},
		{"adopted true", "", "true", adopt, true},
		{"adopted cluster", "", "cluster", adopt, true},
		{"adopted local", "", "local", adopt, true},
		{"adopted nonsense", "", "yes", adopt, false},
		{"ours goes first", "false", "true", adopt, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := map[string]string{}
			if tt.own != "" {
				a[routes.AnnotationAdvertise] = tt.own
			}
			if tt.ovn != "" {
				a[routes.AnnotationKubeOVN] = tt.ovn
			}
			if got := routes.Selected(a, tt.settings); got != tt.want {
				t.Errorf("Selected = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestSelectorMatches(t *testing.T) {
	labels := map[string]string{"rack": "a", "role": "gateway"}
	in := func(op string, values ...string) routes.Selector {
		return routes.Selector{MatchExpressions: []routes.Requirement{{Key: "rack", Operator: op, Values: values}}}
	}
	absent := func(op string, values ...string) routes.Selector {
		return routes.Selector{MatchExpressions: []routes.Requirement{{Key: "zone", Operator: op, Values: values}}}
	}
	for _, tt := range []struct {
		name string
		s    routes.Selector
		want bool
	}{
		{"empty matches all", routes.Selector{}, true},
		{"label", routes.Selector{MatchLabels: map[string]string{"rack": "a"}}, true},
		{"label, other value", routes.Selector{MatchLabels: map[string]string{"rack": "b"}}, false},
		{"label, absent with empty value", routes.Selector{MatchLabels: map[string]string{"zone": ""}}, false},
		{"In", in("In", "b", "a"), true}, {"In, other", in("In", "b"), false}, {"In, absent", absent("In", "a"), false},
		{"NotIn", in("NotIn", "b"), true}, {"NotIn, there", in("NotIn", "a"), false}, {"NotIn, absent", absent("NotIn", "a"), true},
		{"Exists", in("Exists"), true}, {"Exists, absent", absent("Exists"), false},
		{"DoesNotExist", in("DoesNotExist"), false}, {"DoesNotExist, absent", absent("DoesNotExist"), true},
		{"unknown operator", in("Gt", "1"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.s.Matches(labels); got != tt.want {
				t.Errorf("Matches = %t, want %t", got, tt.want)
			}
		})
	}
}

// ribGen draws from few prefixes and few paths, so that equal ones are common.
func ribGen() *rapid.Generator[routes.RIB] {
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 9).Draw(t, "net")), 0, 0}), 16)
	})
	path := rapid.Custom(func(t *rapid.T) routes.Path {
		p := routes.Path{Class: routes.Class(rapid.IntRange(0, 2).Draw(t, "class"))}
		if rapid.Bool().Draw(t, "vip") {
			p.NextHop = netip.MustParseAddr("172.30.0.100")
		}
		return p
	})
	return rapid.Custom(func(t *rapid.T) routes.RIB {
		return routes.RIBOf(rapid.MapOf(prefix, path).Draw(t, "rib"))
	})
}

func TestApplyDiffGivesWhatIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := ribGen().Draw(t, "have"), ribGen().Draw(t, "want")
		before := routes.Apply(have, routes.Changes{})
		d := routes.Diff(have, want)
		if got := routes.Apply(have, d); !reflect.DeepEqual(got, want) {
			t.Fatalf("Apply(have, Diff) = %v, want %v", got, want)
		}
		if !reflect.DeepEqual(have, before) {
			t.Fatalf("have was changed")
		}
		if again := routes.Diff(want, want); !again.Empty() {
			t.Fatalf("Diff(want, want) = %+v, want none", again)
		}
		for _, s := range d.Set {
			if path, there := have.Of(s.Prefix); there && path == s.Path {
				t.Fatalf("%s is set again though it is there", s.Prefix)
			}
		}
		bySetPrefix := func(a, b *routes.Route) int { return a.Prefix.Compare(b.Prefix) }
		if !slices.IsSortedFunc(d.Set, bySetPrefix) {
			t.Fatalf("what is set is not sorted: %v", d.Set)
		}
		if !slices.IsSortedFunc(d.Withdraw, netip.Prefix.Compare) {
			t.Fatalf("withdrawals are not sorted: %v", d.Withdraw)
		}
	})
}

func FuzzParseCIDRBlock(f *testing.F) {
	for _, s := range []string{"10.166.0.0/16", "10.166.0.0/16,fd00::/64", ",", "::/0", "fe80::1%eth0/64", "1.2.3.4/033"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		prefixes, err := routes.ParseCIDRBlock(s)
		if (err == nil) != (len(prefixes) > 0) {
			t.Fatalf("%q: %v, %v: prefixes or an error, never both or neither", s, prefixes, err)
		}
		for _, p := range prefixes {
			if p != p.Masked() {
				t.Errorf("%q: %s has host bits", s, p)
			}
		}
	})
}

func FuzzParseGatewayNodes(f *testing.F) {
	for _, s := range []string{"n1,n2", "n1:10.0.0.1, n2:fd00::1", ":,:", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seen := map[string]bool{}
		for _, n := range routes.ParseGatewayNodes(s) {
			if n == "" || strings.ContainsAny(n, ",:") || seen[n] {
				t.Errorf("%q: bad name %q", s, n)
			}
			seen[n] = true
		}
	})
}

func FuzzParseTuning(f *testing.F) {
	for _, kv := range [][2]string{{"communities", "65000:100,no-export,65000:1:2"}, {"next-hop", "172.30.0.100,fd00::1"}, {"peers", "a,b"}, {"med", "50"}, {"as-path-prepend", "3"}} {
		f.Add(kv[0], kv[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		a := map[string]string{routes.Prefix + key: value}
		tuning, err := routes.ParseTuning(a)
		if err != nil {
			if !strings.Contains(err.Error(), routes.Prefix+key) {
				t.Errorf("error %q does not name the annotation", err)
			}
			return
		}
		for _, c := range tuning.Communities {
			if back, err := routes.ParseCommunity(c.String()); err != nil || back != c {
				t.Errorf("community %s does not read back: %v, %v", c, back, err)
			}
		}
		for _, l := range tuning.LargeCommunities {
			if back, err := routes.ParseLargeCommunity(l.String()); err != nil || back != l {
				t.Errorf("large community %s does not read back: %v, %v", l, back, err)
			}
		}
		if len(tuning.NextHops) > 2 {
			t.Errorf("%d next hops", len(tuning.NextHops))
		}
	})
}

func FuzzParseNumbers(f *testing.F) {
	f.Add("65000")
	f.Add("172.30.0.11")
	f.Fuzz(func(t *testing.T, s string) {
		if asn, err := routes.ParseASN(s); err == nil && routes.CheckASN(asn) != nil {
			t.Errorf("ParseASN(%q) = %d, which CheckASN refuses", s, asn)
		}
		if id, err := routes.ParseRouterID(s); err == nil && (!id.Is4() || id.IsUnspecified()) {
			t.Errorf("ParseRouterID(%q) = %s", s, id)
		}
	})
}

// What an older daemon has left is read by a newer one.
func TestHistoryIsAnObjectByCIDR(t *testing.T) {
	const text = `{"prefixes":{"10.1.0.0/16":{"role":"active"},"fd00:1::/64":{"down":true,"downs":2}}}`
	var h routes.SubnetHistory
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		t.Fatal(err)
	}
	four, six := netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/64")
	want := routes.PrefixHistories{}.With(six, routes.PrefixHistory{Down: true, Downs: 2}).With(four, routes.PrefixHistory{Role: routes.RoleActive})
	if !slices.Equal(h.Prefixes, want) || want[0].CIDR != four {
		t.Errorf("%+v, want %+v", h.Prefixes, want)
	}
	if back, err := json.Marshal(h); err != nil || string(back) != text {
		t.Errorf("written again: %s, %v", back, err)
	}
	if _, known := h.Prefixes.Of(netip.MustParsePrefix("10.1.0.0/24")); known {
		t.Error("a CIDR counts as known that is only part of one")
	}
}
