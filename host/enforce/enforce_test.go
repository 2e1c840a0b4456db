package enforce_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// rules is everything in the packet filter that we could have changed.
func rules(s *hosttest.Space) string {
	out := s.Run("sh", "-c", `for t in iptables-legacy ip6tables-legacy iptables-nft ip6tables-nft; do echo "# $t"; $t-save 2>/dev/null; done; ipset save; nft list ruleset`)
	var lines []string
	for _, line := range strings.Split(out, "\n") {
		// Dates, counters and a set's seed differ from one listing to the next.
		line = counters.ReplaceAllString(strings.Join(strings.Fields(line), " "), "")
		if !strings.HasPrefix(line, "# Generated") && !strings.HasPrefix(line, "# Completed") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

var counters = regexp.MustCompile(` ?\[\d+:\d+\]| packets \d+ bytes \d+| initval 0x[0-9a-f]+`)

func enforced(t testing.TB, s *hosttest.Space, e enforce.Enforcer, w host.Want) bool {
	t.Helper()
	var did bool
	if err := s.Do(func() (err error) { did, err = e.Enforce(context.Background(), w); return err }); err != nil {
		t.Fatal(err)
	}
	return did
}

func undo(t testing.TB, s *hosttest.Space, e enforce.Enforcer) enforce.Undone {
	t.Helper()
	var undone enforce.Undone
	if err := s.Do(func() (err error) { undone, err = e.Undo(context.Background()); return err }); err != nil {
		t.Fatal(err)
	}
	return undone
}

// TestEnforceMakesItRightAndUndoLeavesNothing goes through what others put on a
// node: wrong, enforced, applied twice, undone, as before.
func TestEnforceMakesItRightAndUndoLeavesNothing(t *testing.T) {
	cases := []struct {
		name    string
		install func(*hosttest.Space)
		want    host.Want
	}{
		{"docker, legacy", with("iptables-legacy-restore", hosttest.DockerRules), want4()},
		{"docker, nft", with("iptables-nft-restore", hosttest.DockerRules), want4()},
		{"docker in both backends and families", func(s *hosttest.Space) {
			s.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
			s.RunWith(hosttest.DockerRules, "iptables-nft-restore")
			s.RunWith(strings.ReplaceAll(hosttest.DockerRules, "172.17.0.0/16", "fd17::/64"), "ip6tables-nft-restore")
			s.RunWith(strings.ReplaceAll(hosttest.DockerRules, "172.17.0.0/16", "fd17::/64"), "ip6tables-legacy-restore")
		}, dual()},
		{"kube-proxy and kube-ovn", func(s *hosttest.Space) {
			s.RunWith(hosttest.KubeOVNSets, "ipset", "restore")
			s.RunWith(hosttest.KubeProxyPlain, "iptables-legacy-restore", "-n")
			s.RunWith(hosttest.KubeOVNRules, "iptables-nft-restore", "-n")
		}, want4()},
		{"ufw", with("iptables-nft-restore", hosttest.UfwRules), want4()},
		{"sysctls", func(s *hosttest.Space) {
			s.Sysctl("net.ipv4.ip_forward", "0")
			s.Sysctl("net.ipv6.conf.all.forwarding", "0")
			answerElsewhere(s)
			s.Sysctl("net.ipv4.conf.up0.rp_filter", "1")
		}, dual()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := node(t)
			c.install(n)
			before, sysctls := rules(n), read(n).Sysctls
			if host.Worst(host.Check(read(n), c.want)) != host.Wrong {
				t.Fatal("nothing is wrong to begin with")
			}
			e := enforce.Enforcer{State: filepath.Join(t.TempDir(), "state")}
			if !enforced(t, n, e, c.want) {
				t.Error("nothing was done")
			}
			for _, f := range host.Check(read(n), c.want) {
				// The join gateway's ICMP errors are for Kube-OVN's own rules to accept.
				if f.State != host.OK && f.About.Part != "path MTU" {
					t.Errorf("after enforcing: %+v", f)
				}
			}
			once := rules(n)
			if enforced(t, n, e, c.want) || rules(n) != once {
				t.Errorf("applied twice is not applied once:\n%s\n---\n%s", once, rules(n))
			}
			undo(t, n, e)
			if after := rules(n); after != before {
				t.Errorf("undo left traces:\n%s\n--- before\n%s", after, before)
			}
			for key, s := range read(n).Sysctls {
				if s != sysctls[key] && !strings.Contains(key, "conntrack_count") {
					t.Errorf("sysctl %s is %q, was %q", key, s.Value, sysctls[key].Value)
				}
			}
			wantNoLedger(t, e)
		})
	}
}

func wantNoLedger(t *testing.T, e enforce.Enforcer) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(e.State, "host-ledger.json")); err == nil {
		t.Error("the ledger is still there")
	}
}

// TestEnforceFollowsTheWish adds and withdraws networks.
func TestEnforceFollowsTheWish(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	n.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
	before := rules(n)
	e := enforce.Enforcer{State: t.TempDir()}
	w := want4()
	enforced(t, n, e, w)
	second := host.Network{Prefix: netip.MustParsePrefix("10.168.0.0/16")}
	w.Networks = append(w.Networks, second)
	if !enforced(t, n, e, w) {
		t.Error("a second network changes nothing")
	}
	if got := n.Run("iptables-legacy", "-S"); !strings.Contains(got, "10.166.0.0/16") || !strings.Contains(got, "10.168.0.0/16") {
		t.Errorf("the rules are %s", got)
	}
	w.Networks = []host.Network{second}
	enforced(t, n, e, w)
	if got := n.Run("iptables-legacy", "-S"); strings.Contains(got, "10.166.0.0/16") {
		t.Errorf("the rules still have the withdrawn network: %s", got)
	}
	w.Networks = nil
	enforced(t, n, e, w)
	if after := rules(n); after != before {
		t.Errorf("withdrawing everything left traces:\n%s\n--- before\n%s", after, before)
	}
}

// TestEnforceStandsWhereItMustAgain: somebody inserts above us, doubles our jump, or
// flushes.
func TestEnforceStandsWhereItMustAgain(t *testing.T) {
	for _, backend := range []string{"iptables-legacy", "iptables-nft"} {
		for name, meddle := range map[string]string{
			"a drop above":      "-I FORWARD 1 -j DROP",
			"our jump doubled":  "-A FORWARD -j FAIRWAY-FORWARD",
			"our jump lost":     "-D FORWARD 7",
			"our jump moved up": "-I FORWARD 1 -m comment --comment \"fairway: announced Subnets\" -j FAIRWAY-FORWARD",
			"our chain flushed": "-F FAIRWAY-FORWARD",
			"everything gone":   "-F",
			"our jump narrowed": "-R FORWARD 7 -i nope0 -m comment --comment \"fairway: announced Subnets\" -j FAIRWAY-FORWARD",
		} {
			t.Run(backend+", "+name, func(t *testing.T) {
				n := node(t)
				n.RunWith(hosttest.DockerRules, backend+"-restore")
				e := enforce.Enforcer{State: t.TempDir()}
				enforced(t, n, e, want4())
				n.Sh(backend + " " + meddle)
				if !enforced(t, n, e, want4()) {
					t.Error("nothing was done")
				}
				if listing := n.Run(backend, "-S", "FORWARD"); strings.Count(listing, "-j FAIRWAY-FORWARD") != 1 {
					t.Errorf("FORWARD is\n%s", listing)
				}
				if f := find(t, host.Check(read(n), want4()), "forward-drop"); f.State != host.OK {
					t.Errorf("%+v", f)
				}
				if enforced(t, n, e, want4()) {
					t.Error("applied twice is not applied once")
				}
			})
		}
	}
}

// TestEnforceMendsContents: what is there has our names and comments, and does
// something else.
func TestEnforceMendsContents(t *testing.T) {
	for _, backend := range []string{"iptables-legacy", "iptables-nft"} {
		for name, change := range map[string]string{
			"the set is flushed":              "ipset flush fairway4",
			"a network is gone":               "ipset del fairway4 10.166.0.0/16",
			"a network too many":              "ipset add fairway4 10.200.0.0/16",
			"the network is an exception":     "ipset flush fairway4; ipset add fairway4 10.166.0.0/16 nomatch",
			"a part of it is an exception":    "ipset add fairway4 10.166.3.0/24 nomatch",
			"our rule asks for another link":  meddle("sed 's/-i ovn0/-i nope0/'"),
			"our rule asks for the contrary":  meddle("sed 's/-i ovn0/! -i ovn0/'"),
			"our rule asks for more":          meddle("sed 's/-i ovn0/-i ovn0 -p udp/'"),
			"our rule asks for the other end": meddle("sed 's/fairway4 src/fairway4 dst/'"),
			"our rule drops":                  meddle("sed '/-i ovn0/s/ACCEPT/DROP/'"),
		} {
			t.Run(backend+", "+name, func(t *testing.T) {
				n := node(t)
				n.RunWith(hosttest.DockerRules, backend+"-restore")
				e := enforce.Enforcer{State: t.TempDir()}
				enforced(t, n, e, several())
				n.Sh(strings.ReplaceAll(meddle("cat"), "BACKEND", backend)) // which makes all base chains
				good := rules(n)
				n.Sh(strings.ReplaceAll(change, "BACKEND", backend))
				if rules(n) == good {
					t.Fatal("nothing is changed to begin with")
				}
				if !enforced(t, n, e, several()) {
					t.Error("nothing was done")
				}
				if now := rules(n); now != good {
					t.Errorf("not mended:\n%s", difference(good, now))
				}
				if enforced(t, n, e, several()) {
					t.Error("applied twice is not applied once")
				}
			})
		}
	}
}

// meddle is a script that has the rules of a backend edited.
func meddle(editor string) string { return "BACKEND-save | " + editor + " | BACKEND-restore" }

// TestEnforceIsDoneAtOnce has every kind of rule that there is: what the kernel
// prints of it is what was wanted.
func TestEnforceIsDoneAtOnce(t *testing.T) {
	for name, path := range map[string]string{"with ipset": os.Getenv("PATH"), "without ipset": ""} {
		for _, backend := range []string{"legacy", "nft"} {
			t.Run(name+", "+backend, func(t *testing.T) {
				n := node(t)
				if path == "" {
					t.Setenv("PATH", programs(t, "ipset"))
				}
				for _, program := range []string{"iptables-", "ip6tables-"} {
					n.RunWith("*filter\n:FORWARD DROP\nCOMMIT\n*mangle\n-A POSTROUTING -p tcp -j RETURN\nCOMMIT\n", program+backend+"-restore")
				}
				w := dual()
				w.Networks = append(w.Networks, host.Network{Prefix: netip.MustParsePrefix("10.168.0.7/32")}, host.Network{Prefix: netip.MustParsePrefix("fd00:168::7/128")})
				e := enforce.Enforcer{State: t.TempDir(), Means: host.Means{NoTrack: true}}
				if !enforced(t, n, e, w) || enforced(t, n, e, w) {
					t.Errorf("applied twice is not applied once:\n%s", rules(n))
				}
			})
		}
	}
}

// programs is a PATH of all programs but one; iptables is one in all its forms.
func programs(t testing.TB, without string) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if entry.Name() != without && (without != "iptables" || !strings.HasPrefix(entry.Name(), "iptables") && !strings.HasPrefix(entry.Name(), "ip6tables")) {
				os.Symlink(filepath.Join(folder, entry.Name()), filepath.Join(dir, entry.Name())) // the first of a name stays
			}
		}
	}
	return dir
}

// wantOnce looks for one jump and one chain of ours in each backend, and no more.
func wantOnce(t testing.TB, n *hosttest.Space) {
	t.Helper()
	for _, backend := range []string{"iptables-legacy", "iptables-nft"} {
		if listing := n.Run(backend, "-S"); strings.Count(listing, "-j FAIRWAY-FORWARD") != 1 || strings.Count(listing, "-A FAIRWAY-FORWARD") != 2 {
			t.Errorf("%s has\n%s", backend, listing)
		}
	}
}

// TestTwoEnforcersLeaveNoDuplicates runs two at once, as two daemons would in
// two folders of state.
func TestTwoEnforcersLeaveNoDuplicates(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	n.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
	before := rules(n)
	a, b := enforce.Enforcer{State: t.TempDir()}, enforce.Enforcer{State: t.TempDir()}
	done := make(chan error, 2)
	for _, e := range []enforce.Enforcer{a, b} {
		n.Go(func() {
			var err error
			for range 5 {
				_, err = e.Enforce(context.Background(), want4())
			}
			done <- err
		})
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Log(err) // one may find the other's work half done; the last pass counts
		}
	}
	enforced(t, n, a, want4())
	wantOnce(t, n)
	undo(t, n, b)
	if after := rules(n); after != before {
		t.Errorf("undo left traces:\n%s", after)
	}
}

// answerElsewhere has replies leave by another link than requests come in by, so that a
// strict reverse path filter on up0 drops those.
func answerElsewhere(s *hosttest.Space) {
	s.Sh(`ip link add up1 type veth peer name x2; ip link set x2 up; ip link set up1 up; ip addr add 172.31.0.11/24 dev up1
ip route replace default via 172.31.0.1`)
}

// TestUndoRespectsOthers: a sysctl that somebody set after us stays.
func TestUndoRespectsOthers(t *testing.T) {
	n := node(t)
	answerElsewhere(n)
	n.Sysctl("net.ipv4.conf.up0.rp_filter", "1")
	e := enforce.Enforcer{State: t.TempDir()}
	enforced(t, n, e, want4())
	if got := read(n).Sysctls["net/ipv4/conf/up0/rp_filter"].Value; got != "2" {
		t.Fatalf("rp_filter is %s", got)
	}
	info, err := os.Stat(filepath.Join(e.State, "host-ledger.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ledger: %v, %v", info, err)
	}
	n.Sysctl("net.ipv4.conf.up0.rp_filter", "0")
	undo(t, n, e)
	if got := read(n).Sysctls["net/ipv4/conf/up0/rp_filter"].Value; got != "0" {
		t.Errorf("rp_filter is %s: undo overwrote another's choice", got)
	}
}

// TestUndoOfAFailedWriteLeavesForwardingOn: where /proc/sys is read-only, the operator has
// set it by himself since, and an undo weeks later is not to take that back.
func TestUndoOfAFailedWriteLeavesForwardingOn(t *testing.T) {
	n := node(t)
	set(n, "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0", "net.ipv4.conf.up0.rp_filter=1")
	e := enforce.Enforcer{State: t.TempDir(), Sysctls: "/dev/null"} // where no file can be
	if err := n.Do(func() error { _, err := e.Enforce(context.Background(), dual()); return err }); err == nil {
		t.Fatal("it could be written")
	}
	set(n, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.up0.rp_filter=2")
	was := settings(n)
	e.Sysctls = ""
	if undone := undo(t, n, e); !undone.Empty() {
		t.Errorf("%+v", undone)
	}
	if is := settings(n); is != was {
		t.Errorf("undo changed\n%s", difference(was, is))
	}
}

// settings is everything below /proc/sys that forwarding could have changed.
func settings(s *hosttest.Space) string {
	return s.Run("sh", "-c", `cd /proc/sys/net; grep -rs . ipv4/conf ipv6/conf ipv4/ip_forward | sort`)
}

// set writes settings in this order.
func set(s *hosttest.Space, lines ...string) {
	for _, line := range lines {
		key, value, _ := strings.Cut(line, "=")
		s.Sysctl(key, value)
	}
}

// TestUndoRestoresWhatTheKernelChangesAlong: writing forwarding of everything
// changes that of each link, both ways, and whether redirects are taken.
func TestUndoRestoresWhatTheKernelChangesAlong(t *testing.T) {
	for name, before := range map[string][]string{
		"a host that takes no redirects": {"ipv4.ip_forward=0", "ipv4.conf.all.accept_redirects=0", "ipv4.conf.docker0.forwarding=1", "ipv4.conf.up0.forwarding=1"},
		"a host that takes redirects":    {"ipv4.ip_forward=0", "ipv4.conf.all.accept_redirects=1", "ipv4.conf.default.forwarding=1"},
		"IPv6 links of both kinds":       {"ipv6.conf.all.forwarding=0", "ipv6.conf.docker0.forwarding=1", "ipv6.conf.default.forwarding=1", "ipv6.conf.all.accept_redirects=0"},
		"both families, strict filters":  {"ipv4.ip_forward=0", "ipv6.conf.all.forwarding=0", "ipv4.conf.up0.rp_filter=1", "ipv4.conf.docker0.forwarding=1", "ipv6.conf.up0.forwarding=1"},
		"one link does not forward":      {"ipv4.conf.up0.forwarding=0", "ipv6.conf.ovn0.forwarding=0"},
	} {
		t.Run(name, func(t *testing.T) {
			n := node(t)
			n.Sh("ip link add docker0 type veth peer name d0")
			for _, line := range before {
				set(n, "net."+line)
			}
			was := settings(n)
			e := enforce.Enforcer{State: t.TempDir()}
			if !enforced(t, n, e, dual()) {
				t.Error("nothing was done")
			}
			if f := find(t, host.Check(read(n), dual()), "forwarding"); f.State != host.OK {
				t.Errorf("%+v", f)
			}
			enforced(t, n, e, dual())
			undo(t, n, e)
			if is := settings(n); is != was {
				t.Errorf("undo left\n%s", difference(was, is))
			}
		})
	}
}

// difference has the lines that only one text has.
func difference(was, is string) string {
	var out []string
	for _, pair := range []struct{ sign, a, b string }{{"- ", was, is}, {"+ ", is, was}} {
		other := strings.Split(pair.b, "\n")
		for _, line := range strings.Split(pair.a, "\n") {
			if !slices.Contains(other, line) {
				out = append(out, pair.sign+line)
			}
		}
	}
	return strings.Join(out, "\n")
}

// TestUndoOfForwardingRespectsOthers: settings that somebody has changed since,
// and links that came or went.
func TestUndoOfForwardingRespectsOthers(t *testing.T) {
	n := node(t)
	n.Sh("ip link add docker0 type veth peer name d0; ip link add gone type veth peer name g0")
	set(n, "net.ipv4.ip_forward=0", "net.ipv4.conf.docker0.forwarding=1", "net.ipv4.conf.all.accept_redirects=0")
	e := enforce.Enforcer{State: t.TempDir()}
	enforced(t, n, e, want4())
	n.Sh("ip link del gone; ip link add late type veth peer name l0")
	set(n, "net.ipv4.conf.docker0.forwarding=0", "net.ipv4.conf.all.accept_redirects=1", "net.ipv4.conf.d0.forwarding=0", "net.ipv4.conf.l0.forwarding=0")
	undo(t, n, e)
	is := settings(n)
	for _, want := range []string{"ipv4/ip_forward:0", "ipv4/conf/docker0/forwarding:0", "ipv4/conf/all/accept_redirects:1", "ipv4/conf/d0/forwarding:0", "ipv4/conf/late/forwarding:0", "ipv4/conf/l0/forwarding:0", "ipv4/conf/up0/forwarding:0"} {
		if !strings.Contains(is, want+"\n") {
			t.Errorf("not %s", want)
		}
	}
}

// TestUndoLeavesForwardingThatSomebodyWanted: ip_forward written by another
// since, with all that follows from it, stays.
func TestUndoLeavesForwardingThatSomebodyWanted(t *testing.T) {
	n := node(t)
	set(n, "net.ipv4.ip_forward=0", "net.ipv4.conf.up0.forwarding=1", "net.ipv4.conf.all.accept_redirects=0")
	e := enforce.Enforcer{State: t.TempDir()}
	enforced(t, n, e, want4())
	set(n, "net.ipv4.ip_forward=1", "net.ipv4.ip_forward=0") // writing the same changes no link
	was := settings(n)
	undo(t, n, e)
	if is := settings(n); is != was {
		t.Errorf("undo changed\n%s", difference(was, is))
	}
}

// TestUndoOfALedgerOfAnEarlierVersion has no settings of links.
func TestUndoOfALedgerOfAnEarlierVersion(t *testing.T) {
	n := node(t)
	e := enforce.Enforcer{State: t.TempDir()}
	set(n, "net.ipv4.conf.up0.rp_filter=2")
	ledger := `{"sysctls": {"net/ipv4/ip_forward": {"old": "0", "new": "1"}, "net/ipv4/conf/up0/rp_filter": {"old": "1", "new": "2"}, "net/ipv4/conf/gone/rp_filter": {"old": "1", "new": "2"}}}`
	if err := os.WriteFile(filepath.Join(e.State, "host-ledger.json"), []byte(ledger), 0o600); err != nil {
		t.Fatal(err)
	}
	undo(t, n, e)
	is := settings(n)
	if !strings.Contains(is, "ipv4/ip_forward:0\n") || !strings.Contains(is, "ipv4/conf/up0/rp_filter:1\n") {
		t.Errorf("%s", is)
	}
	wantNoLedger(t, e)
}

// TestUndoSaysWhatItDid has a line of each kind, and one where nothing was ours.
func TestUndoSaysWhatItDid(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	n.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
	answerElsewhere(n)
	set(n, "net.ipv4.conf.up0.rp_filter=1")
	e := enforce.Enforcer{State: t.TempDir()}
	enforced(t, n, e, want4())
	for _, want := range []string{`chains removed: iptables-legacy filter FAIRWAY-FORWARD, iptables-nft filter FAIRWAY-FORWARD
sysctls restored: net.ipv4.conf.up0.rp_filter=1
`, "nothing of Fairway's is on this host\n"} {
		var said strings.Builder
		if err := undo(t, n, e).WriteText(&said); err != nil || said.String() != want {
			t.Errorf("%v, %s", err, said.String())
		}
	}
}

// TestNoTrackHelpsWhereAnAcceptCannot: a native nftables chain drops INVALID.
func TestNoTrackHelpsWhereAnAcceptCannot(t *testing.T) {
	n := node(t)
	n.RunWith("table inet f {\n chain fw { type filter hook forward priority 0; policy accept;\n ct state invalid drop\n }\n}\n", "nft", "-f", "-")
	n.RunWith(hosttest.KubeProxyPlain, "iptables-nft-restore")
	before := rules(n)
	e := enforce.Enforcer{State: t.TempDir()}
	enforced(t, n, e, want4())
	f := find(t, host.Check(read(n), want4()), "invalid-drop")
	if f.State != host.Wrong || !strings.Contains(f.Fix, "cannot undo a drop in another base chain (nft inet f fw)") || !strings.Contains(f.Fix, "--host-notrack") {
		t.Errorf("%+v", f)
	}
	e.Means.NoTrack = true
	enforced(t, n, e, want4())
	if f := find(t, host.Check(read(n), want4()), "invalid-drop"); f.State != host.OK {
		t.Errorf("untracked: %+v", f)
	}
	if enforced(t, n, e, want4()) {
		t.Error("applied twice is not applied once")
	}
	undo(t, n, e)
	if after := rules(n); after != before {
		t.Errorf("undo left traces:\n%s", difference(before, after))
	}
}

// TestNoTrackWithoutAnyIptables: firewalld alone.
func TestNoTrackWithoutAnyIptables(t *testing.T) {
	n := node(t)
	n.RunWith("table inet f {\n chain fw { type filter hook forward priority 0; policy accept;\n ct state invalid drop\n }\n}\n", "nft", "-f", "-")
	before := rules(n)
	e := enforce.Enforcer{State: t.TempDir(), Means: host.Means{NoTrack: true}}
	enforced(t, n, e, want4())
	if f := find(t, host.Check(read(n), want4()), "invalid-drop"); f.State != host.OK {
		t.Errorf("untracked: %+v", f)
	}
	if enforced(t, n, e, want4()) {
		t.Error("applied twice is not applied once")
	}
	undo(t, n, e)
	if after := rules(n); after != before {
		t.Errorf("undo left traces:\n%s", difference(before, after))
	}
	wantNoLedger(t, e)
}

// natOnly is a host where nothing filters.
const natOnly = "*nat\n-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"

// TestEnforceMakesNoTables where no table drops anything: not by --fix, and after
// --host-notrack only until undo.
func TestEnforceMakesNoTables(t *testing.T) {
	for name, install := range map[string]func(*hosttest.Space){
		"no rules at all": func(*hosttest.Space) {},
		"nat in both backends": func(n *hosttest.Space) {
			n.RunWith(natOnly, "iptables-legacy-restore")
			n.RunWith(natOnly, "iptables-nft-restore")
		},
		"an empty filter table": func(n *hosttest.Space) { n.Run("iptables-nft", "-P", "FORWARD", "ACCEPT") },
	} {
		t.Run(name, func(t *testing.T) {
			n := node(t)
			install(n)
			before := rules(n)
			e := enforce.Enforcer{State: t.TempDir()}
			if enforced(t, n, e, want4()) || rules(n) != before {
				t.Errorf("enforcing made, for nothing,\n%s", difference(before, rules(n)))
			}
			e.Means.NoTrack = true
			enforced(t, n, e, want4())
			undo(t, n, e)
			if after := rules(n); after != before {
				t.Errorf("undo left traces:\n%s", difference(before, after))
			}
		})
	}
}

// TestUndoTakesAwayTheChainsThatItMade, unless others have come to use them.
func TestUndoTakesAwayTheChainsThatItMade(t *testing.T) {
	cases := []struct{ name, before, meanwhile, stays string }{
		{"no FORWARD yet", "iptables-nft -A INPUT -p tcp -j ACCEPT", "true", ""},
		{"a raw table without PREROUTING", "iptables-nft -t raw -A OUTPUT -p tcp -j ACCEPT", "true", ""},
		{"others have a rule in raw now", "true", "iptables-nft -t raw -A PREROUTING -p udp -j ACCEPT", "-A PREROUTING -p udp -j ACCEPT"},
		{"others have a chain in raw now", "true", "iptables-nft -t raw -N OTHERS", ":OTHERS -"},
		{"others drop in FORWARD now", "iptables-nft -A INPUT -p tcp -j ACCEPT", "iptables-nft -P FORWARD DROP", ":FORWARD DROP"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := node(t)
			n.Sh(c.before)
			before := rules(n)
			e := enforce.Enforcer{State: t.TempDir(), Means: host.Means{NoTrack: true}}
			enforced(t, n, e, want4())
			n.Sh(c.meanwhile)
			undo(t, n, e)
			after := rules(n)
			if c.stays == "" && after != before {
				t.Errorf("undo left traces:\n%s", difference(before, after))
			}
			if !strings.Contains(after, c.stays) || strings.Contains(strings.ToLower(after), "fairway") {
				t.Errorf("undo left\n%s", after)
			}
		})
	}
}

// TestEnforceWhereIptablesCannotRead: somebody has put a rule of nft's own into a
// table of iptables-nft, which then reads nothing of it, but still writes.
func TestEnforceWhereIptablesCannotRead(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	n.RunWith("*filter\n:FORWARD DROP\nCOMMIT\n", "ip6tables-nft-restore")
	n.Run("nft", "add", "rule", "ip", "filter", "FORWARD", "ct", "state", "vmap", "{ invalid : drop }")
	e, before := enforce.Enforcer{State: t.TempDir()}, rules(n)
	if !enforced(t, n, e, dual()) || enforced(t, n, e, dual()) {
		t.Error("applied twice is not applied once")
	}
	facts := read(n)
	if f := find(t, host.Check(facts, want4()), "forward-drop"); f.State != host.OK {
		t.Errorf("%+v", f)
	}
	if f := find(t, host.Check(facts, want4()), "invalid-drop"); f.State != host.Wrong || !strings.Contains(f.Fix, "only nft can express") {
		t.Errorf("%+v", f)
	}
	withdrawn := dual()
	withdrawn.Networks = withdrawn.Networks[1:]
	if !enforced(t, n, e, withdrawn) {
		t.Error("a withdrawn network changes nothing")
	}
	if now := rules(n); strings.Contains(now, "10.166.0.0/16") || !strings.Contains(now, "fd00:166::/64") {
		t.Errorf("the rest was not left:\n%s", now)
	}
	enforced(t, n, e, dual())
	undo(t, n, e)
	if after := rules(n); after != before {
		t.Errorf("undo left traces:\n%s", difference(before, after))
	}
}

// TestUndoWithoutIptables: nft takes away what iptables had put.
func TestUndoWithoutIptables(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	before := rules(n)
	e := enforce.Enforcer{State: t.TempDir()}
	enforced(t, n, e, want4())
	path := os.Getenv("PATH")
	t.Setenv("PATH", programs(t, "iptables"))
	if undone := undo(t, n, enforce.Enforcer{State: e.State}); len(undone.Chains) != 1 {
		t.Errorf("%+v", undone)
	}
	t.Setenv("PATH", path)
	if after := rules(n); after != before {
		t.Errorf("undo left traces:\n%s", difference(before, after))
	}
}

func TestFewRulesForManyNetworks(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	w := want4()
	for i := range 1000 {
		w.Networks = append(w.Networks, host.Network{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 0}), 24)})
	}
	enforced(t, n, enforce.Enforcer{State: t.TempDir()}, w)
	if got := strings.Count(n.Run("iptables-nft", "-S", "FAIRWAY-FORWARD"), "-A "); got != 2 {
		t.Errorf("%d rules", got)
	}
	if got := strings.Count(n.Run("ipset", "save", "fairway4"), "add "); got != 1001 {
		t.Errorf("%d members", got)
	}
}
