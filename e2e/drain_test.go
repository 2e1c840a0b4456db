package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/lab"
	"github.com/fairway-bgp/fairway/status"
)

// honoursNothing makes FRR forget communities before it looks at them: by itself it
// honours GRACEFUL_SHUTDOWN of external peers (bgpd/bgp_route.c).
func honoursNothing(config string) string {
	return strings.Replace(config, " match community FAIRWAY-GSHUT\n set local-preference 0\n", " set community none\n", 1)
}

func asExported(config string) string { return config }

// TestDrainLosesNoPacket takes n1 out and back while pings come by it every 2 ms to
// Pods of a distributed Subnet, of one with ECMP gateways, and of one whose active
// gateway it is, with another that stands by.
func TestDrainLosesNoPacket(t *testing.T) {
	for _, c := range []struct {
		name   string
		router lab.Router
		export string
		edit   func(string) string
	}{
		{"FRR as exported", lab.FRR, "frr", asExported},
		{"FRR that honours nothing", lab.FRR, "frr", honoursNothing},
		{"BIRD as exported", lab.BIRD, "bird", asExported},
		{"BIRD that honours nothing", lab.BIRD, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTraffic(t, c.router, c.export, c.edit, "", "--drain-wait=5s")
			if forgets := strings.Contains(w.RouterConfig, "set community none"); forgets != (c.name == "FRR that honours nothing") {
				t.Fatalf("not the router that was asked for:\n%s", w.RouterConfig)
			}
			streams := w.streamsBy("n1", "distributed", "ECMP gateways", "standby")
			nodes, err := w.ReadYAML("nodes.yaml")
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w.write("nodes.yaml", strings.Replace(nodes, "  name: n1\n  annotations:\n", "  name: n1\n  annotations:\n    fairway.dev/drain: \"true\"\n", 1))
			w.everywhere("n2", "n3")
			moved := time.Since(began)
			await(t, "everything is withdrawn", func() bool { st, ok := w.says("n1"); return ok && len(st.Plan.Adverts) == 0 })
			withdrawn := time.Since(began)
			w.write("nodes.yaml", nodes)
			w.everywhere("n1", "n2", "n3")
			for name, loss := range w.costs(streams) {
				t.Logf("%s, %s: %v", c.name, name, loss)
				if loss.Lost > 0 {
					t.Errorf("%s: %v", name, loss)
				}
			}
			t.Logf("%s: traffic moved after %d ms, withdrawn after %d ms", c.name, moved.Milliseconds(), withdrawn.Milliseconds())
			if moved >= withdrawn {
				t.Errorf("traffic moved after %s only, and the routes went after %s", moved, withdrawn)
			}
		})
	}
}

// says is what a node's daemon publishes; ok is false where it does not.
func (w *traffic) says(node string) (st status.Status, ok bool) {
	out, _ := w.Command(w.Context(), node, w.Binary, "status", "-o", "json").Output()
	return st, json.Unmarshal(out, &st) == nil
}
