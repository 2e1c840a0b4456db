package enforce_test

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// BenchmarkIdle is what a Keeper costs while nobody needs it, its programs included:
// beside a usual node's rules, beside 40,000, and while somebody adds a rule to these
// or takes it away each second. An iteration is a minute, in which everything is looked
// at once. What a namespace has of processes is the whole machine's.
func BenchmarkIdle(b *testing.B) {
	for _, c := range []struct {
		name, backend           string
		many, enforces, meddles bool
	}{
		{"audit/usual nft", "iptables-nft", false, false, false},
		{"enforce/usual nft", "iptables-nft", false, true, false},
		{"enforce/usual legacy", "iptables-legacy", false, true, false},
		{"enforce/40000 legacy", "iptables-legacy", true, true, false},
		{"enforce/40000 legacy/one changed a second", "iptables-legacy", true, true, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := node(b)
			if c.many {
				n.RunWith(bans("INPUT", 40000), c.backend+"-restore")
			} else {
				usualRules(n, c.backend)
			}
			var e *enforce.Enforcer
			if c.enforces {
				e = &enforce.Enforcer{State: b.TempDir()}
			}
			k := keep(b, n, e, want4())
			await(b, "a first audit", func() bool { _, known := k.Findings(); return known })
			if c.enforces {
				await(b, "our jump", func() bool { return jumped(n, c.backend) })
			}
			settle(n, k)
			b.ResetTimer()
			began, before := time.Now(), spent()
			var foreign time.Duration
			for range b.N {
				foreign += minute(b, n, c.meddles)
			}
			b.ReportMetric(float64((spent()-before-foreign).Milliseconds())/time.Since(began).Minutes(), "cpu-ms/min")
		})
	}
}

// settle has everything looked at twice more: what was read twice alike counts as known.
func settle(n *hosttest.Space, k *enforce.Keeper) {
	for _, value := range []string{"1", "0"} {
		n.Sysctl("net.ipv4.conf.lo.rp_filter", value) // the kernel tells of it
		k.Reconsider()
		time.Sleep(10 * time.Second)
	}
}

// usualRules are docker's, kube-proxy's and Kube-OVN's.
func usualRules(n *hosttest.Space, backend string) {
	n.RunWith(hosttest.KubeOVNSets, "ipset", "restore")
	n.RunWith(hosttest.DockerRules, backend+"-restore")
	n.RunWith(hosttest.KubeProxyPlain, backend+"-restore", "-n")
	n.RunWith(hosttest.KubeOVNRules, backend+"-restore", "-n")
}

// jumped is whether there is a jump to a chain of ours. Other backends are not asked, for
// asking iptables-legacy makes its table.
func jumped(n *hosttest.Space, backend string) bool {
	listing, err := n.Command("", "env", "XTABLES_LOCKFILE=/run/fairway-test-xtables.lock", backend, "-S", "FORWARD")
	return err == nil && strings.Contains(listing, "-j FAIRWAY-FORWARD")
}

// minute is somewhat more than one, so that one audit falls into it. Where somebody
// meddles with a rule each second it gives the time that this took.
func minute(b *testing.B, n *hosttest.Space, meddles bool) (foreign time.Duration) {
	for i := range 62 {
		time.Sleep(time.Second)
		if !meddles {
			continue
		}
		cmd := exec.Command("iptables-legacy", "-w", []string{"-A", "-D"}[i%2], "INPUT", "-s", "198.51.100.1/32", "-j", "DROP")
		if err := n.Do(cmd.Run); err != nil {
			b.Fatal(fmt.Errorf("change a rule: %w", err))
		}
		foreign += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return foreign
}

// spent is the time that this process and its children have taken of processors.
func spent() time.Duration {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += time.Duration(syscall.TimevalToNsec(syscall.Timeval(u.Utime)) + syscall.TimevalToNsec(syscall.Timeval(u.Stime)))
		}
	}
	return sum
}
