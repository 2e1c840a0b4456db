package host_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
)

// by is one route by a link.
func by(link string) []host.Route { return []host.Route{{Links: []string{link}}} }

// healthy are the facts of a node where nothing is wrong.
func healthy() host.Facts {
	return host.Facts{
		Datapath: host.Datapath{
			Link: host.LinkState{Name: "ovn0", Exists: true, Up: true},
			Routes: map[netip.Prefix][]host.Route{
				netip.MustParsePrefix("0.0.0.0/0"): by("up0"), netip.MustParsePrefix("172.30.0.0/24"): by("up0"),
				netip.MustParsePrefix(cidr4): by("ovn0"),
			},
		},
		Sysctls: map[string]host.Setting{
			"net/ipv4/ip_forward": {Value: "1"}, "net/ipv4/conf/all/rp_filter": {Value: "0"},
			"net/ipv4/conf/up0/rp_filter": {Value: "0"}, "net/ipv4/conf/ovn0/rp_filter": {Value: "0"},
			"net/netfilter/nf_conntrack_tcp_be_liberal": {Value: "0"},
			"net/netfilter/nf_conntrack_max":            {Value: "1000"}, "net/netfilter/nf_conntrack_count": {Value: "10"},
		},
	}
}

// TestChecksOfTheSystem has each check that takes no rule wrong, right and
// unknown.
func TestChecksOfTheSystem(t *testing.T) {
	peer := netip.MustParseAddrPort("172.30.0.1:179")
	listener := func(program string) func(*host.Facts) {
		return func(f *host.Facts) {
			f.Sockets.List = []host.Socket{{Local: netip.MustParseAddrPort("0.0.0.0:179"), Listening: true, Program: program}}
		}
	}
	session := func(program string) host.Socket {
		return host.Socket{Local: netip.MustParseAddrPort("172.30.0.11:4000"), Remote: peer, Program: program}
	}
	cases := []struct {
		name, check string
		change      func(*host.Facts)
		state       host.State
		got         string
	}{
		{"all is well", "bgp-port", func(*host.Facts) {}, host.OK, "free"},
		{"our own listener", "bgp-port", listener("fairway"), host.OK, "fairway's"},
		{"another listener", "bgp-port", listener("bgpd"), host.Wrong, "taken by bgpd"},
		{"a listener that cannot be seen", "bgp-port", listener(""), host.Unknown, "taken"},
		{"sockets cannot be read", "bgp-port", func(f *host.Facts) { f.Sockets.Err = errors.New("no /proc") }, host.Unknown, "no /proc"},
		{"no other speaker", "double-speaker", func(*host.Facts) {}, host.OK, "no other"},
		{"kube-ovn-speaker", "double-speaker", func(f *host.Facts) { f.Processes.Names = []string{"kube-ovn-speaker"} }, host.Wrong, "kube-ovn-speaker runs here"},
		{"bird has a session", "double-speaker", func(f *host.Facts) { f.Sockets.List = []host.Socket{session("bird"), session("fairway")} }, host.Wrong, "bird has a session with 172.30.0.1"},
		{"our own session", "double-speaker", func(f *host.Facts) { f.Sockets.List = []host.Socket{session("fairway")} }, host.OK, "no other"},
		{"two sessions seen from a container", "double-speaker", func(f *host.Facts) {
			f.Processes.Partial, f.Sockets.List = true, []host.Socket{session(""), session("fairway")}
		}, host.Wrong, "a program that cannot be seen from here has a session with 172.30.0.1"},
		{"one session that cannot be seen", "double-speaker", func(f *host.Facts) { f.Sockets.List = []host.Socket{session("")} }, host.Unknown, "it may be fairway itself"},
		{"a session that came in and cannot be seen", "double-speaker", func(f *host.Facts) {
			s := session("")
			s.Local, s.Remote = netip.MustParseAddrPort("172.30.0.11:179"), netip.MustParseAddrPort("172.30.0.1:4000")
			f.Sockets.List = []host.Socket{s, session("fairway")}
		}, host.Wrong, "cannot be seen from here"},
		{"another program's session with a router that is no peer", "double-speaker", func(f *host.Facts) {
			s := session("")
			s.Remote = netip.MustParseAddrPort("172.30.0.2:179")
			f.Sockets.List = []host.Socket{s, session("fairway")}
		}, host.OK, "no other"},
		{"no other session seen from a container", "double-speaker", func(f *host.Facts) {
			f.Processes.Partial, f.Sockets.List = true, []host.Socket{session("fairway")}
		}, host.OK, "programs outside this container are not seen"},
		{"processes cannot be read", "double-speaker", func(f *host.Facts) { f.Processes.Err = errors.New("no /proc") }, host.Unknown, "no /proc"},
		{"room in the table", "conntrack", func(*host.Facts) {}, host.OK, "10 of 1000"},
		{"the table is full", "conntrack", func(f *host.Facts) { f.Sysctls["net/netfilter/nf_conntrack_count"] = host.Setting{Value: "950"} }, host.Wrong, "950 of 1000"},
		{"the table cannot be read", "conntrack", func(f *host.Facts) {
			f.Sysctls["net/netfilter/nf_conntrack_count"] = host.Setting{Err: errors.New("permission denied")}
		}, host.Unknown, "cannot be read"},
		{"forwarding cannot be read", "forwarding", func(f *host.Facts) { delete(f.Sysctls, "net/ipv4/ip_forward") }, host.Unknown, "net.ipv4.ip_forward is not there"},
		{"rp_filter cannot be read", "rp_filter", func(f *host.Facts) { delete(f.Sysctls, "net/ipv4/conf/all/rp_filter") }, host.Unknown, "cannot be read"},
		{"nft is not installed", "forward-drop", func(f *host.Facts) { f.Filter.Unread = []string{"nft is not installed"} }, host.Unknown, "nft is not installed"},
		{"no way to the outside", "forward-drop", func(f *host.Facts) {
			f.Datapath.Routes = map[netip.Prefix][]host.Route{netip.MustParsePrefix(cidr4): by("ovn0")}
		}, host.Unknown, "no uplink"},
		{"no way to the outside", "masquerade", func(f *host.Facts) {
			f.Datapath.Routes = map[netip.Prefix][]host.Route{netip.MustParsePrefix(cidr4): by("ovn0")}
		}, host.Unknown, "no uplink"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, w := healthy(), want4()
			w.BGPPort = 179
			c.change(&f)
			found := find(t, host.Check(f, w), c.check)
			if found.State != c.state || !strings.Contains(found.Got, c.got) {
				t.Errorf("%+v", found)
			}
		})
	}
	if worst := host.Worst(host.Check(healthy(), want4())); worst != host.OK {
		t.Errorf("a healthy node is %s", worst)
	}
}

// TestADropIsADropWhateverCannotBeRead: what was not read can add drops, not
// take them away.
func TestADropIsADropWhateverCannotBeRead(t *testing.T) {
	f := healthy()
	tables, err := netfilter.ParseIptables("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", netfilter.IptablesLegacy, netfilter.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	f.Filter.IPv4.Tables, f.Filter.Unread = tables, []string{"nft is not installed"}
	if found := find(t, host.Check(f, want4()), "forward-drop"); found.State != host.Wrong {
		t.Errorf("%+v", found)
	}
}

func TestIPv6ForwardingKeepsTheLearnedDefaultRoute(t *testing.T) {
	f := healthy()
	f.Datapath.Learning = []string{"up0"}
	f.Datapath.Routes[netip.MustParsePrefix("::/0")] = by("up0")
	f.Sysctls["net/ipv6/conf/all/forwarding"] = host.Setting{Value: "0"}
	f.Sysctls["net/ipv6/conf/up0/accept_ra"] = host.Setting{Value: "1"}
	found := find(t, host.Check(f, want6()), "forwarding")
	if !strings.HasPrefix(found.Fix, "sysctl -w net.ipv6.conf.up0.accept_ra=2 && ") {
		t.Errorf("fix: %s", found.Fix)
	}
	got := host.PlanRepair(f, want6(), host.Means{}).Sysctls
	if len(got) < 2 || got[0] != (host.SysctlChange{Key: "net/ipv6/conf/up0/accept_ra", Value: "2"}) {
		t.Errorf("%v", got)
	}
}

func TestATraceNeedsAForwardedPacket(t *testing.T) {
	f := healthy()
	f.Datapath.Addresses = []netip.Addr{netip.MustParseAddr("172.30.0.11")}
	for to, want := range map[string]host.State{"10.166.0.10": host.OK, "172.30.0.11": host.Unknown} {
		if got := f.Trace(&bytes.Buffer{}, netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr(to), netfilter.New); got != want {
			t.Errorf("to %s: %s", to, got)
		}
	}
	f.Datapath.Routes = nil
	if got := f.Trace(&bytes.Buffer{}, netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("10.166.0.10"), netfilter.New); got != host.Unknown {
		t.Errorf("without routes: %s", got)
	}
}

func TestATraceRefusesWhatIsNeverForwarded(t *testing.T) {
	for _, c := range []struct{ src, dst, why string }{
		{"224.0.0.5", "10.166.0.10", "224.0.0.5 is a multicast address"},
		{"198.51.100.2", "239.1.1.1", "239.1.1.1 is a multicast address"},
		{"0.0.0.0", "10.166.0.10", "0.0.0.0 is no address of a host"},
		{"127.0.0.1", "10.166.0.10", "127.0.0.1 is a loopback address"},
		{"255.255.255.255", "10.166.0.10", "255.255.255.255 is the broadcast address"},
		{"::", "fd00:166::10", ":: is no address of a host"},
		{"fe80::1", "fd00:166::10", "fe80::1 is a link-local address"},
		{"ff02::1", "fd00:166::10", "ff02::1 is a multicast address"},
	} {
		var said bytes.Buffer
		got := healthy().Trace(&said, netip.MustParseAddr(c.src), netip.MustParseAddr(c.dst), netfilter.New)
		if got != host.Unknown || !strings.Contains(said.String(), "UNKNOWN: "+c.why) {
			t.Errorf("%s -> %s: %s: %s", c.src, c.dst, got, &said)
		}
	}
}

// TestWhatTheUserReads compares with files: update them by -update, and read
// the diff.
func TestWhatTheUserReads(t *testing.T) {
	f := healthy()
	tables, err := netfilter.ParseIptables(strings.Replace(kubeProxyPlain, "*filter", "*filter\n:FORWARD ACCEPT [0:0]", 1)+
		"*mangle\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -m frobnicate --knob 3 -j DROP\nCOMMIT\n", netfilter.IptablesNft, netfilter.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	f.Filter.IPv4.Tables = tables
	f.Sysctls["net/ipv4/conf/up0/rp_filter"] = host.Setting{Value: "1"}
	findings := host.Check(f, want4())
	var text, asJSON, trace bytes.Buffer
	object := json.NewEncoder(&asJSON)
	object.SetIndent("", "  ")
	object.SetEscapeHTML(false)
	if err := errors.Join(host.WriteText(&text, findings, true), object.Encode(host.NewReport(findings))); err != nil {
		t.Fatal(err)
	}
	f.Trace(&trace, netip.MustParseAddr("10.166.0.10"), netip.MustParseAddr("198.51.100.2"), netfilter.Invalid)
	golden(t, "check.txt", text.Bytes())
	golden(t, "check.json", asJSON.Bytes())
	golden(t, "trace.txt", trace.Bytes())
	var back struct{ Findings []host.Finding }
	if err := json.Unmarshal(asJSON.Bytes(), &back); err != nil || len(back.Findings) != len(findings) {
		t.Errorf("%v, %d findings", err, len(back.Findings))
	}
}

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v; got\n%s", path, err, got)
	}
}
