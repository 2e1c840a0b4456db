package enforce_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// enforcing names the folder of state in the environment of a process that is
// there to be killed.
const enforcing = "FAIRWAY_TEST_ENFORCE"

// TestMain lets the test's own program be the one that is killed: it enforces and
// undoes without end.
func TestMain(m *testing.M) {
	state := os.Getenv(enforcing)
	if state == "" {
		os.Exit(m.Run())
	}
	e := enforce.Enforcer{State: state, Means: host.Means{NoTrack: true}}
	for {
		if _, err := e.Enforce(context.Background(), dual()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if _, err := e.Undo(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// TestKilledInTheMiddleLeavesNoTraces kills the one who enforces, at any moment
// of its work; the next one makes it right, and undo still knows what was there
// before the first.
func TestKilledInTheMiddleLeavesNoTraces(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	n.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
	answerElsewhere(n)
	set(n, "net.ipv4.conf.up0.rp_filter=1", "net.ipv4.ip_forward=0", "net.ipv4.conf.up0.forwarding=1", "net.ipv6.conf.all.forwarding=0", "net.ipv6.conf.up0.forwarding=1")
	before, was := rules(n), settings(n)
	e := enforce.Enforcer{State: t.TempDir(), Means: host.Means{NoTrack: true}}
	enforced(t, n, e, dual()) // the first time takes longer than the kills wait
	for range 25 {
		var said strings.Builder
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), enforcing+"="+e.State)
		child.Stderr = &said
		// A group of its own: as with a container, what it has begun is killed too.
		child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := n.Do(child.Start); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20*time.Millisecond + rand.N(300*time.Millisecond)) // a moment of its life, not a synchronisation
		if err := syscall.Kill(-child.Process.Pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		if said.Len() > 0 {
			t.Errorf("after the one before was killed: %s", said.String())
		}
	}
	enforced(t, n, e, dual())
	wantOnce(t, n)
	undo(t, n, e)
	if after := rules(n); after != before {
		t.Errorf("undo left traces:\n%s", after)
	}
	if is := settings(n); is != was {
		t.Errorf("undo left\n%s", difference(was, is))
	}
}
