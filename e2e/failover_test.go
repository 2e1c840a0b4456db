package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/lab"
)

// quickHold is a hold time that a test has patience for. The router offers it too,
// for the node's counts from the next session on.
const quickHold = ", holdTime: 9s, keepaliveTime: 3s"

// TestADaemonThatIsKilledCostsOnlyWhatNobodyElseAnnounces: its sessions end with the
// process, and the node goes on forwarding what still comes by it.
func TestADaemonThatIsKilledCostsOnlyWhatNobodyElseAnnounces(t *testing.T) {
	for _, c := range []struct {
		name, spec string
		end        syscall.Signal
	}{
		{"no graceful restart", quickHold, syscall.SIGKILL},
		{"graceful restart", quickHold + ", gracefulRestart: {}", syscall.SIGKILL},
		{"told to stop with graceful restart", quickHold + ", gracefulRestart: {}", syscall.SIGTERM},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTraffic(t, lab.FRR, "frr", asExported, c.spec, "--on-stop=keep")
			streams := w.streamsBy("n1", "distributed", "ECMP gateways", "standby", "no standby")
			if err := w.Signal("n1", c.end); err != nil {
				t.Fatal(err)
			}
			<-w.Ended("n1")
			if c.spec == quickHold {
				w.everywhere("n2", "n3")
			}
			if err := w.StartDaemon("n1"); err != nil {
				t.Fatal(err)
			}
			w.everywhere("n1", "n2", "n3")
			await(t, "the new session is up and has everything", func() bool { return w.sent("n1") == 2*len(flows()) })
			w.answer(streams)
			for name, loss := range w.costs(streams) {
				t.Logf("daemon killed, %s, %s: %v", c.name, name, loss)
				alone := strings.HasPrefix(name, "no standby") && c.spec == quickHold
				if loss.Lost > 0 != alone {
					t.Errorf("%s: %v", name, loss)
				}
			}
		})
	}
}

// TestANodeWhoseLinkIsCutCostsTheHoldTimeAndWhatOVNNeeds: requests move when the
// router's hold timer runs out, replies when Kubernetes calls the Node not Ready.
func TestANodeWhoseLinkIsCutCostsTheHoldTimeAndWhatOVNNeeds(t *testing.T) {
	w := newTraffic(t, lab.FRR, "frr", asExported, quickHold)
	streams := w.streamsBy("n1", "distributed", "ECMP gateways", "standby", "no standby")
	out := map[string]string{}
	for name, s := range streams {
		var err error
		if _, out[name], err = w.StreamPath(w.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	mustRun(t, "ip", "-n", w.Prefix+"lan", "link", "set", "n1", "down")
	began := time.Now()
	w.everywhere("n2", "n3")
	routed := time.Since(began)
	for name, s := range streams {
		if !strings.HasPrefix(name, "no standby") && out[name] != "n1" {
			w.answer(map[string]*lab.Stream{name: s})
		}
	}
	nodes, err := w.ReadYAML("nodes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	notReady := time.Since(began)
	w.write("nodes.yaml", strings.Replace(nodes, `{type: Ready, status: "True"}`, `{type: Ready, status: "Unknown"}`, 1))
	w.answer(streams)
	t.Logf("link cut: the router without n1 after %s, Node n1 not Ready after %s", routed.Round(time.Millisecond), notReady.Round(time.Millisecond))
	for name, loss := range w.costs(streams) {
		t.Logf("link cut, %s, replies by %s: %v", name, out[name], loss)
		if loss.Lost == 0 {
			t.Errorf("%s: nothing is lost, so it was not by n1", name)
		}
	}
}

// answer waits until all streams get answers.
func (w *traffic) answer(streams map[string]*lab.Stream) {
	w.Helper()
	for name, s := range streams {
		if err := s.WaitForAnswer(w.Context()); err != nil {
			w.Fatal(fmt.Errorf("%s: %w", name, err))
		}
	}
}

// sent is how many prefixes a node's router has been sent by a session that is up.
func (w *traffic) sent(node string) int {
	st, _ := w.says(node)
	n := 0
	for _, e := range st.Sessions {
		if e.Established() {
			n += e.Advertised
		}
	}
	return n
}
