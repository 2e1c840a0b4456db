package enforce_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// keep runs a Keeper with its watch in a namespace.
func keep(t testing.TB, n *hosttest.Space, e *enforce.Enforcer, w host.Want) *enforce.Keeper {
	t.Helper()
	k := enforce.NewKeeper(enforce.KeeperOptions{Log: silent(), Enforcer: e})
	k.Follow(w)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 3)
	n.Go(func() { done <- k.Run(ctx) })
	n.Go(func() { done <- k.WatchSettings(ctx) })
	n.Go(func() { done <- k.WatchFilter(ctx) })
	t.Cleanup(func() {
		cancel()
		for range 3 {
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

// inPlace is whether our jump is the last rule of FORWARD. It looks under a
// lock of its own: whoever asks without a pause would keep the repair waiting
// for iptables' lock.
func inPlace(n *hosttest.Space, backend string) bool {
	listing, err := n.Command("", "env", "XTABLES_LOCKFILE=/run/fairway-test-xtables.lock", backend, "-S", "FORWARD")
	return err == nil && strings.HasSuffix(strings.TrimSpace(listing), "-j FAIRWAY-FORWARD")
}

func TestKeeperFindsAndMends(t *testing.T) {
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		t.Run(backend, func(t *testing.T) {
			n := node(t)
			k := keep(t, n, &enforce.Enforcer{State: t.TempDir()}, want4())
			await(t, "a first audit", func() bool { _, known := k.Findings(); return known })
			n.RunWith(hosttest.DockerRules, backend+"-restore")
			await(t, "our jump in place", func() bool { return inPlace(n, backend) })
			for range 5 {
				n.RunWith(hosttest.DockerRules, backend+"-restore") // as a flush and all rules anew
				await(t, "our jump in place again", func() bool { return inPlace(n, backend) })
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
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	e := enforce.Enforcer{State: t.TempDir()}
	keeper := enforce.NewKeeper(enforce.KeeperOptions{Log: silent(), Enforcer: &e})
	keeper.Follow(want4())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	n.Go(func() { done <- keeper.Run(ctx) })
	await(t, "our jump in place", func() bool { return inPlace(n, "iptables-nft") })
	kept := rules(n)
	var undone enforce.Undone
	err := n.Do(func() (err error) { undone, err = e.Undo(context.Background()); return err })
	if !errors.Is(err, enforce.ErrKept) || len(undone.Chains) > 0 || rules(n) != kept {
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
			n.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
			n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
			keep(t, n, &enforce.Enforcer{State: t.TempDir()}, several())
			good := func() bool {
				now := rules(n)
				return strings.Contains(now, "add fairway4 10.166.0.0/16") && strings.Count(now, "-A FAIRWAY-FORWARD") == 4 && !strings.Contains(now, "nope0")
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
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
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

// BenchmarkFlushToBack is the time from a flush, of the whole table or of FORWARD alone,
// to our jump being in front again, as another program sees it.
func BenchmarkFlushToBack(b *testing.B) {
	for _, backend := range []string{"iptables-nft", "iptables-legacy"} {
		for name, flush := range map[string][]string{"table": {backend, "-F"}, "FORWARD": {backend, "-F", "FORWARD"}} {
			b.Run(backend+"/"+name, func(b *testing.B) {
				n := node(b)
				n.RunWith(hosttest.DockerRules, backend+"-restore")
				keep(b, n, &enforce.Enforcer{State: b.TempDir()}, want4())
				await(b, "our jump in place", func() bool { return inPlace(n, backend) })
				b.ResetTimer()
				for range b.N {
					n.Run(flush...)
					await(b, "our jump in place again", func() bool { return inPlace(n, backend) })
				}
			})
		}
	}
}

// TestForwardingThatSomebodyTakesIsBackAtOnce: the kernel tells of it, and the next audit
// is a minute away.
func TestForwardingThatSomebodyTakesIsBackAtOnce(t *testing.T) {
	n := node(t)
	keep(t, n, &enforce.Enforcer{State: t.TempDir()}, dual())
	for _, setting := range []string{"net.ipv4.conf.up0.forwarding", "net.ipv6.conf.all.forwarding"} {
		n.Sysctl(setting, "0")
		await(t, "forwarding again, without "+setting, func() bool {
			return !slices.ContainsFunc(host.Check(read(n), dual()), func(f host.Finding) bool {
				return f.Check == "forwarding" && f.State == host.Wrong
			})
		})
	}
}

// TestAFightIsSaidAndNotFoughtForEver: another agent writes what it wants again and again.
func TestAFightIsSaidAndNotFoughtForEver(t *testing.T) {
	n := node(t)
	k := keep(t, n, &enforce.Enforcer{State: t.TempDir()}, want4())
	await(t, "the finding", func() bool {
		n.Sysctl("net.ipv4.conf.up0.forwarding", "0")
		findings, _ := k.Findings()
		for _, f := range findings {
			if f.Check == "contested" {
				return f.State == host.Wrong && strings.Contains(f.Subject, "forwarding=1")
			}
		}
		return false
	})
}
