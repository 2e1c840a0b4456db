package host_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// keep runs a Keeper with its watch in a namespace.
func keep(t testing.TB, n *hosttest.Space, e *host.Enforcer, w host.Want) *host.Keeper {
	t.Helper()
	k := host.NewKeeper(host.KeeperOptions{Log: silent(), Enforcer: e})
	k.Follow(w)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	n.Go(func() { done <- k.Run(ctx) })
	n.Go(func() { done <- host.WatchFilter(ctx, k.Ring) })
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return k
}

func await(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !yes(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// inFront is whether our jump is the first rule of FORWARD. It looks under a
// lock of its own: whoever asks without a pause would keep the repair waiting
// for iptables' lock.
func inFront(n *hosttest.Space, backend string) bool {
	listing, err := n.Command("", "env", "XTABLES_LOCKFILE=/run/fairway-test-xtables.lock", backend, "-S", "FORWARD")
	lines := strings.Split(listing, "\n")
	return err == nil && len(lines) > 1 && strings.HasSuffix(lines[1], "-j FAIRWAY-FORWARD")
}

func TestKeeperFindsAndMends(t *testing.T) {
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		t.Run(backend, func(t *testing.T) {
			n := node(t)
			k := keep(t, n, &host.Enforcer{State: t.TempDir()}, want4())
			await(t, "a first audit", func() bool { _, known := k.Findings(); return known })
			n.RunWith(dockerRules, backend+"-restore")
			await(t, "our jump in front", func() bool { return inFront(n, backend) })
			for range 5 {
				n.RunWith(dockerRules, backend+"-restore") // as a flush and all rules anew
				await(t, "our jump in front again", func() bool { return inFront(n, backend) })
			}
			k.Follow(host.Want{Overlay: "ovn0"})
			await(t, "our chain gone", func() bool {
				return !strings.Contains(n.Run(backend, "-S"), "FAIRWAY")
			})
		})
	}
}

// TestUndoLeavesWhatIsKept: a daemon that enforces would have everything back
// at once.
func TestUndoLeavesWhatIsKept(t *testing.T) {
	n := node(t)
	n.RunWith(dockerRules, "iptables-nft-restore")
	e := host.Enforcer{State: t.TempDir()}
	keeper := host.NewKeeper(host.KeeperOptions{Log: silent(), Enforcer: &e})
	keeper.Follow(want4())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	n.Go(func() { done <- keeper.Run(ctx) })
	await(t, "our jump in front", func() bool { return inFront(n, "iptables-nft") })
	kept := rules(n)
	var undone host.Undone
	err := n.Do(func() (err error) { undone, err = e.Undo(context.Background()); return err })
	if !errors.Is(err, host.ErrKept) || len(undone.Chains) > 0 || rules(n) != kept {
		t.Errorf("%v, %+v", err, undone)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if undone := undo(t, n, e); len(undone.Chains) != 1 {
		t.Errorf("%+v", undone)
	}
}

// TestKeeperMendsContents: no event tells of these.
func TestKeeperMendsContents(t *testing.T) {
	for name, meddle := range map[string]string{
		"a flushed set":              "ipset flush fairway4",
		"a rule of the same comment": "iptables-legacy-save | sed 's/-i ovn0/-i nope0/' | iptables-legacy-restore",
		"one of iptables-nft":        "iptables-nft-save | sed 's/-i ovn0/-i nope0/' | iptables-nft-restore",
	} {
		t.Run(name, func(t *testing.T) {
			n := node(t)
			n.RunWith(dockerRules, "iptables-legacy-restore")
			n.RunWith(dockerRules, "iptables-nft-restore")
			keep(t, n, &host.Enforcer{State: t.TempDir()}, want4())
			good := func() bool {
				now := rules(n)
				return strings.Contains(now, "add fairway4 10.166.0.0/16") && strings.Count(now, "-A FAIRWAY-FORWARD -i ovn0") == 2
			}
			await(t, "our set and rules", good)
			for range 3 {
				n.Sh(meddle)
				await(t, "our set and rules again", good)
			}
		})
	}
}

func silent() *logrus.Entry {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return logrus.NewEntry(log)
}

func TestKeeperThatOnlyAuditsChangesNothing(t *testing.T) {
	n := node(t)
	k := keep(t, n, nil, want4())
	n.RunWith(dockerRules, "iptables-nft-restore")
	before := rules(n)
	await(t, "the finding", func() bool {
		findings, _ := k.Findings()
		for _, f := range findings {
			if f.Check == "forward-drop" && f.State == host.Wrong {
				return true
			}
		}
		return false
	})
	if after := rules(n); after != before {
		t.Errorf("an audit changed\n%s\n--- to\n%s", before, after)
	}
}

// BenchmarkFlushToBack is the time from a flush of the whole table to our jump
// being in front again, as another program sees it.
func BenchmarkFlushToBack(b *testing.B) {
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		b.Run(backend, func(b *testing.B) {
			n := node(b)
			n.RunWith(dockerRules, backend+"-restore")
			keep(b, n, &host.Enforcer{State: b.TempDir()}, want4())
			await(b, "our jump in front", func() bool { return inFront(n, backend) })
			b.ResetTimer()
			for range b.N {
				n.Run(backend, "-F")
				await(b, "our jump in front again", func() bool { return inFront(n, backend) })
			}
		})
	}
}

// BenchmarkCheck is one whole check, facts and judgement, with foreign rules in
// the way.
func BenchmarkCheck(b *testing.B) {
	for _, foreign := range []string{"none", "1000 nft", "10000 nft", "10000 legacy", "10000 native"} {
		b.Run(foreign, func(b *testing.B) {
			n := node(b)
			count, backend, _ := strings.Cut(foreign, " ")
			install(n, backend, map[string]int{"none": 0, "1000": 1000, "10000": 10000}[count])
			b.ResetTimer()
			for range b.N {
				findings := host.Check(read(n), want4())
				if foreign != "none" && firstOf(findings, "forward-drop").State != host.Wrong {
					b.Fatal("the drop behind the foreign rules was not found")
				}
			}
		})
	}
}

func firstOf(findings []host.Finding, check string) host.Finding {
	for _, f := range findings {
		if f.Check == check {
			return f
		}
	}
	return host.Finding{}
}

// install puts foreign rules on a node, and a drop behind them.
func install(n *hosttest.Space, backend string, rules int) {
	var b strings.Builder
	address := func(i int) string { return "192.168." + strconv.Itoa(i/250) + "." + strconv.Itoa(i%250) }
	if backend == "native" {
		b.WriteString("table inet foreign {\n chain fw {\n type filter hook forward priority 0; policy drop;\n")
		for i := range rules {
			b.WriteString("ip daddr " + address(i) + " tcp dport 80 accept\n")
		}
		b.WriteString("}\n}\n")
		n.RunWith(b.String(), "nft", "-f", "-")
		return
	}
	if rules == 0 {
		return
	}
	b.WriteString("*filter\n:FORWARD DROP\n")
	for i := range rules {
		b.WriteString("-A FORWARD -d " + address(i) + "/32 -p tcp -m tcp --dport 80 -j ACCEPT\n")
	}
	b.WriteString("COMMIT\n")
	n.RunWith(b.String(), "iptables-"+backend+"-restore")
}

// BenchmarkCheckManyNetworks judges 1,000 networks behind 1,000 foreign rules.
func BenchmarkCheckManyNetworks(b *testing.B) {
	n := node(b)
	install(n, "nft", 1000)
	w := want4()
	for i := range 1000 {
		w.Networks = append(w.Networks, host.Network{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 0}), 24), Asymmetric: true})
	}
	facts := read(n)
	b.ResetTimer()
	for range b.N {
		host.Check(facts, w)
	}
}
