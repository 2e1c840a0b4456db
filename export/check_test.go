package export

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// dialects are the formats with a peering.
func dialects() []Format { return Formats()[1:] }

// checked compares text with a plan, and fails on an error.
func checked(t *testing.T, f Format, in Input, text string) Fit {
	t.Helper()
	fit, err := Check(f, in, text)
	if err != nil {
		t.Fatalf("%s: %v\n%s", f, err, text)
	}
	return fit
}

// grown is a cluster with a Subnet and a node that were not there before.
func grown(in Input) Input {
	in.Plans = append([]policy.Plan{}, in.Plans...)
	n4 := in.Plans[0]
	n4.Node = "n4"
	in.Plans = append(in.Plans, n4)
	for i := range in.Plans {
		in.Plans[i].Adverts = append(append([]*policy.Advert{}, in.Plans[i].Adverts...),
			advert("10.165.0.0/24", "later", routes.RoleDistributed, "core.dc1", "tor-a", "tor-b"))
	}
	in.Nodes = append(append([]routes.Node{}, in.Nodes...), node("n4", "172.30.0.20", "fd00:30::1a"))
	return in
}

func TestWhatWasExportedFits(t *testing.T) {
	for name, in := range situations() {
		if name == "static" {
			continue
		}
		for _, f := range dialects() {
			t.Run(name+"/"+string(f), func(t *testing.T) {
				text := write(t, f, in)
				if fit := checked(t, f, in, text); !fit.OK() {
					t.Errorf("%s%s", fit.Text("it"), text)
				}
			})
		}
	}
}

func TestALaterSubnetAndNodeAreNamed(t *testing.T) {
	for _, f := range dialects() {
		for _, peer := range []string{"core.dc1", "tor-a", "tor-b"} {
			t.Run(peer+"/"+string(f), func(t *testing.T) {
				in := cluster()
				in.Peer = peer
				fit := checked(t, f, grown(in), write(t, f, in))
				said := fit.Text("it")
				list := listName(peer) + "-V4"
				switch f {
				case BIRD:
					list = strings.ReplaceAll(listName(peer), "-", "_") + "_v4"
				case Junos:
					list = listName(peer) + "-IN"
				}
				for _, want := range []string{
					"- 10.165.0.0/24 of Subnet later is filtered: " + list + " does not permit it (n1, n2, n3.example)\n",
					", AS 64512 (n4)\n", "no neighbor and no listen range for ",
				} {
					if !strings.Contains(said, want) {
						t.Errorf("lacks %q:\n%s", want, said)
					}
				}
				if len(fit.Problems) != 2 {
					t.Errorf("%d problems:\n%s", len(fit.Problems), said)
				}
			})
		}
	}
}

func TestWithRangesALaterSubnetAndNodeFit(t *testing.T) {
	for _, f := range dialects() {
		for _, peer := range []string{"tor-a", "tor-b"} {
			t.Run(peer+"/"+string(f), func(t *testing.T) {
				in := withRanges(peer)
				text := write(t, f, in)
				if fit := checked(t, f, grown(in), text); !fit.OK() {
					t.Errorf("%s%s", fit.Text("it"), text)
				}
			})
		}
	}
}

// Each edit of an export makes it unfit in one way, which is named.
func TestWhatNoLongerFitsIsNamed(t *testing.T) {
	for _, c := range []struct {
		name     string
		format   Format
		old, new string
		want     string
	}{
		{"a neighbor that is gone", FRR, " neighbor 172.30.0.12 remote-as 64513\n neighbor 172.30.0.12 peer-group FAIRWAY-TOR-A\n neighbor 172.30.0.12 description fairway n2\n", "",
			"no neighbor and no listen range for 172.30.0.12, AS 64513 (n2)"},
		{"another AS of a node", FRR, "neighbor 172.30.0.12 remote-as 64513", "neighbor 172.30.0.12 remote-as 64599", "neighbor 172.30.0.12 takes AS 64599; the node is in AS 64513 (n2)"},
		{"another AS of a node", BIRD, "neighbor 172.30.0.12 as 64513", "neighbor 172.30.0.12 as 64599", "neighbor 172.30.0.12 takes AS 64599; the node is in AS 64513 (n2)"},
		{"another AS of a node", Junos, "neighbor 172.30.0.12 peer-as 64513", "neighbor 172.30.0.12 peer-as 64599", "neighbor 172.30.0.12 takes AS 64599; the node is in AS 64513 (n2)"},
		{"another AS of the router", VyOS, "bgp system-as 65000", "bgp system-as 65009", "the router is AS 65009; BGPPeer tor-a says 65000"},
		{"no password", EOS, "   neighbor FAIRWAY-TOR-A password 0 CHANGE-ME\n", "", "FAIRWAY-TOR-A has no password; BGPPeer tor-a has one (n1, n2, n3.example)"},
		{"no password", BIRD, "password \"CHANGE-ME\";", "", "FAIRWAY_TOR_A has no password; BGPPeer tor-a has one (n1, n2, n3.example)"},
		{"another password", FRR, "password CHANGE-ME", "password hunter3", "FAIRWAY-TOR-A has another password than BGPPeer tor-a (n1, n2, n3.example)"},
		{"a lower limit", NXOS, "maximum-prefix 264", "maximum-prefix 3", "FAIRWAY-TOR-A ends its session at 3 IPv4 prefixes; the node announces 5 (n1)"},
		{"a line of the list is gone", IOS, "ip prefix-list FAIRWAY-TOR-A-V4 permit 10.166.0.0/16\n", "", "10.166.0.0/16 of Subnet routed is filtered: FAIRWAY-TOR-A-V4 does not permit it (n1, n2, n3.example)"},
		{"a line before it denies", FRR, "ip prefix-list FAIRWAY-TOR-A-V4 permit 10.166.0.0/16\n", "ip prefix-list FAIRWAY-TOR-A-V4 seq 5 deny 10.166.0.0/15 le 16\nip prefix-list FAIRWAY-TOR-A-V4 seq 10 permit 10.0.0.0/8 le 32\n",
			"10.166.0.0/16 of Subnet routed is filtered: FAIRWAY-TOR-A-V4 does not permit it (n1, n2, n3.example)"},
		{"no longer the host routes of Pods", FRR, "10.169.0.0/16 le 32", "10.169.0.0/16 le 24", "10.169.0.0/16 le 32 of Subnet pods is filtered: FAIRWAY-TOR-A-V4 does not permit it (n1, n2, n3.example)"},
		{"a Subnet that is away", VyOS, "rule 50 prefix 10.172.0.0/16", "rule 50 prefix 10.173.0.0/16", "10.172.0.0/16 of Subnet central2, which is away now, is filtered: FAIRWAY-TOR-A-V4 does not permit it (n1, n2, n3.example)"},
		{"a family that is off", FRR, "address-family ipv6 unicast\n  neighbor FAIRWAY-TOR-A activate", "address-family ipv6 unicast", "FAIRWAY-TOR-A does not take IPv6: the family is not active (n1, n2, n3.example)"},
		{"a neighbor that is shut down", EOS, "neighbor 172.30.0.13 remote-as 64512\n", "neighbor 172.30.0.13 remote-as 64512\n   neighbor 172.30.0.13 shutdown\n", "neighbor 172.30.0.13 is shut down (n3.example)"},
		{"a list that is not there", FRR, "prefix-list FAIRWAY-TOR-A-V4 in", "prefix-list OTHER in", "FAIRWAY-TOR-A: the filter OTHER for IPv4 is not there (n1, n2, n3.example)"},
	} {
		t.Run(string(c.format)+"/"+c.name, func(t *testing.T) {
			in := cluster()
			in.Peer, in.PasswordsRead = "tor-a", true
			text := write(t, c.format, in)
			edited := strings.Replace(text, c.old, c.new, 1)
			if edited == text {
				t.Fatalf("nothing to edit: %q\n%s", c.old, text)
			}
			fit := checked(t, c.format, in, edited)
			if len(fit.Problems) != 1 || fit.Problems[0] != c.want {
				t.Errorf("got  %q\nwant %q", fit.Problems, c.want)
			}
			if said := fit.Text("it"); strings.Contains(said, secret) || strings.Contains(said, "hunter3") {
				t.Errorf("a password is shown: %s", said)
			}
		})
	}
}

// What a router shows of itself says the same in other words.
func TestEditsAroundTheExportDoNotMatter(t *testing.T) {
	for _, c := range []struct {
		name     string
		format   Format
		old, new string
	}{
		{"numbers of entries", FRR, "ip prefix-list FAIRWAY-TOR-A-V4 permit 10.166.0.0/16", "ip prefix-list FAIRWAY-TOR-A-V4 seq 5 permit 10.166.0.0/16"},
		{"a wider entry", FRR, "ip prefix-list FAIRWAY-TOR-A-V4 permit 10.166.0.0/16", "ip prefix-list FAIRWAY-TOR-A-V4 permit 10.164.0.0/14 ge 16 le 20"},
		{"others in the same router", FRR, "router bgp 65000\n", "router bgp 65000\n neighbor 192.0.2.1 remote-as 65010\n neighbor 192.0.2.1 password other\n"},
		{"a VRF of the same router", FRR, "ip prefix-list FAIRWAY-NONE-V4 deny any\n", "ip prefix-list FAIRWAY-NONE-V4 deny any\nrouter bgp 65999 vrf red\n neighbor 172.30.0.12 remote-as 1\n neighbor 172.30.0.12 shutdown\nexit\n"},
		{"a password in a form of the router's own", EOS, "password 0 CHANGE-ME", "password 7 fEJ4wiPVReC6Jv2IoU6ay"},
		{"a route map that lets all in", FRR, "route-map FAIRWAY-GSHUT permit 20\n", "route-map FAIRWAY-GSHUT permit 20\n set metric 5\n"},
		{"a comment", BIRD, "\tpassive on;", "\tpassive on; # neighbor 172.30.0.12 as 1; }\n\t/* } */"},
		{"on one line", BIRD, "10.166.0.0/16,\n\t\t10.168.0.0/16,", "10.166.0.0/16, 10.160.0.0/12{16,16},"},
		{"values in quotes", VyOS, "set policy prefix-list FAIRWAY-TOR-A-V4 rule 10 prefix 10.166.0.0/16", "set policy prefix-list FAIRWAY-TOR-A-V4 rule 10 prefix '10.166.0.0/16'"},
		{"a longer reach", Junos, "10.166.0.0/16 exact", "10.166.0.0/16 upto /20"},
	} {
		t.Run(string(c.format)+"/"+c.name, func(t *testing.T) {
			in := cluster()
			in.Peer, in.PasswordsRead = "tor-a", true
			text := write(t, c.format, in)
			edited := strings.Replace(text, c.old, c.new, 1)
			if edited == text {
				t.Fatalf("nothing to edit: %q\n%s", c.old, text)
			}
			if fit := checked(t, c.format, in, edited); !fit.OK() {
				t.Errorf("%s%s", fit.Text("it"), edited)
			}
		})
	}
}

// What cannot be told is said, and is neither a yes nor a no.
func TestWhatCannotBeCheckedIsSaid(t *testing.T) {
	in := cluster()
	in.Peer = "tor-a"
	other := cluster()
	other.Peer = "tor-b"
	edit := func(f Format, old, new string) string { return strings.Replace(write(t, f, in), old, new, 1) }
	static := in
	static.Static = true
	for _, c := range []struct {
		name   string
		format Format
		in     Input
		text   string
		want   string
	}{
		{"static routes", FRR, static, "", "static routes are not checked"},
		{"a host's routes", IPRoute, in, "", "static routes are not checked"},
		{"nothing", FRR, in, "", "it has nothing of BGPPeer tor-a"},
		{"another router's", FRR, in, write(t, FRR, other), "it has nothing of BGPPeer tor-a, but FAIRWAY-TOR-B, FAIRWAY-TOR-B-V4, FAIRWAY-TOR-B-V6: it is another router's"},
		{"another router's without groups", IOS, in, write(t, IOS, other), "it is another router's"},
		{"another language", FRR, in, write(t, BIRD, in), "another language"},
		{"another language", BIRD, in, write(t, FRR, in), "another language"},
		{"Junos in braces", Junos, in, "protocols {\n    bgp {\n", "show configuration | display set"},
		{"a brace that is not closed", BIRD, in, strings.TrimSuffix(write(t, BIRD, in), "}\n"), "is not closed"},
		{"a route map of the operator's", FRR, in, edit(FRR, "route-map FAIRWAY-GSHUT in", "route-map OWN in"), "cannot judge route map OWN"},
		{"a route map that denies", FRR, in, edit(FRR, "route-map FAIRWAY-GSHUT permit 20", "route-map FAIRWAY-GSHUT deny 20"), "cannot judge route map FAIRWAY-GSHUT"},
		{"another kind of filter", EOS, in, edit(EOS, "prefix-list FAIRWAY-TOR-A-V4 in", "prefix-list FAIRWAY-TOR-A-V4 in\n      neighbor FAIRWAY-TOR-A filter-list X in"), `cannot judge "filter-list X in"`},
		{"a filter that does more", BIRD, in, edit(BIRD, "\t\taccept;", "\t\tif bgp_path.len > 2 then reject;\n\t\taccept;"), "filter FAIRWAY_TOR_A_v4, which does more than compare with its set"},
		{"a condition of a term", Junos, in, edit(Junos, "term v4 then accept", "term v4 from as-path X\nset policy-options policy-statement FAIRWAY-TOR-A-IN term v4 then accept"), "from as-path X"},
		{"two policies", Junos, in, edit(Junos, "import FAIRWAY-TOR-A-IN", "import FAIRWAY-TOR-A-IN\nset protocols bgp group FAIRWAY-TOR-A import OWN"), `cannot judge "import FAIRWAY-TOR-A-IN OWN"`},
		{"a template", IOS, in, edit(IOS, " neighbor 172.30.0.11 remote-as 64512\n", " neighbor 172.30.0.11 remote-as 64512\n neighbor 172.30.0.11 inherit peer-policy X\n"), `cannot judge "inherit peer-policy X"`},
		{"without indentation", FRR, in, edit(FRR, "\n neighbor 172.30.0.11 remote-as", "\nneighbor 172.30.0.11 remote-as"), `"neighbor 172.30.0.11 remote-as 64512" is not indented`},
		{"a prefix that is none", FRR, in, edit(FRR, "permit 10.166.0.0/16", "permit 10.166.0/16"), `prefix-list FAIRWAY-TOR-A-V4: "10.166.0/16" is not a prefix`},
	} {
		t.Run(string(c.format)+"/"+c.name, func(t *testing.T) {
			fit, err := Check(c.format, c.in, c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v (%v)\nwant %s", err, fit, c.want)
			}
		})
	}
}

// Nothing that a router may hold takes the reader down.
func FuzzCheck(f *testing.F) {
	in := cluster()
	in.Peer = "tor-a"
	for _, d := range dialects() {
		var b strings.Builder
		if err := Write(&b, d, in); err != nil {
			f.Fatal(err)
		}
		f.Add(string(d), b.String())
	}
	f.Fuzz(func(t *testing.T, format, text string) {
		if fit, err := Check(Format(format), in, text); err == nil && fmt.Sprint(fit) == "" {
			t.Error("nothing said")
		}
	})
}
