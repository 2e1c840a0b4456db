package web

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/picture"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/status"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// interesting is a daemon in an interesting state.
func interesting() *status.Status {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &status.Status{
		Version: "v1", Node: "n1", Started: at.Add(-time.Hour), At: at, Waiting: []string{"the speaker does not have everything"},
		Source:  status.Source{Kind: "files", From: []string{"/etc/fairway"}, Subnets: 3, Nodes: 1, Peers: 2, StaleSince: at.Add(-5 * time.Minute), Problems: []status.Problem{status.Problemf(`a.yaml: BGPPeer <b>x</b>: spec.peerASN: 0`)}},
		Speaker: status.Speaker{RouterID: netip.MustParseAddr("172.30.0.11"), ASN: 65001, Originated: 2, Errors: []string{"session tor-b: no"}},
		Sessions: []status.Session{
			{Peer: "tor-a", Address: "172.30.0.1", PeerASN: 65100, LocalASN: 65001, State: "Established", Since: at, Planned: 2, Advertised: 2, Flaps: 1,
				LastReset: &status.Reset{At: at.Add(-time.Minute), Why: status.Why{Reason: "notification-received", Notification: "6/2"}},
				BFD:       &status.BFD{State: "Up", DetectionTime: .15, Downs: 1}},
			{Peer: "tor-b", Address: "172.30.0.2", PeerASN: 65100, LocalASN: 65001, State: "Active", LastError: "connection refused", Down: &status.Why{Reason: "connection-refused"}},
		},
		Plan: policy.Plan{Node: "n1",
			Adverts: []*policy.Advert{
				{Prefix: netip.MustParsePrefix("10.166.0.0/16"), Subnet: "routed", Role: routes.RoleDistributed, Peers: []string{"tor-a"}},
				{Prefix: netip.MustParsePrefix("10.168.0.0/16"), Subnet: "central", Role: routes.RoleActive, Peers: []string{"tor-a"}},
			},
			Withheld: []policy.Withheld{{Prefix: "10.167.0.0/16", Subnet: "nat", Reason: routes.NATOutgoing, Detail: "spec.natOutgoing is true"}},
			Warnings: []policy.Warning{{Subnet: "routed", Reason: routes.Private, Detail: "spec.private is true"}},
		},
		Draining: true, DrainUntil: at.Add(time.Minute), ToWire: status.Delays{}.Plus(8 * time.Millisecond),
		Audited: true,
		Findings: []host.Finding{
			{Check: "forwarding", Subject: "net.ipv4.ip_forward", State: host.OK},
			{Check: "forward-drop", Subject: "10.166.0.0/16", State: host.Wrong, Got: "iptables-nft filter FORWARD: policy DROP"},
		},
	}
}

// ask sends one request to a handler whose board has s.
func ask(t *testing.T, s *status.Status, name, path string) (int, string) {
	t.Helper()
	var board status.Board
	if s != nil {
		board.Post(s)
	}
	r := httptest.NewRequest(http.MethodGet, "http://"+name+path, nil)
	w := httptest.NewRecorder()
	page := NewPage(time.Now())
	if s != nil {
		shown := picture.OfNode(s)
		page.Post(&shown)
	}
	Handler(&board, page).ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestProbes(t *testing.T) {
	ready := interesting()
	ready.Ready, ready.Waiting, ready.At = true, nil, time.Now()
	waiting := interesting()
	waiting.At = time.Now()
	stuck := interesting()
	stuck.At = time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name, path string
		s          *status.Status
		code       int
		text       string
	}{
		{"healthy before the first pass", "/healthz", nil, 200, "ok"},
		{"healthy while a session is down", "/healthz", waiting, 200, "ok"},
		{"unhealthy when the loop is stuck", "/healthz", stuck, 503, "the last pass ended 60m ago"},
		{"not ready before the first pass", "/readyz", nil, 503, "nothing has been read yet"},
		{"not ready says why", "/readyz", waiting, 503, "the speaker does not have everything"},
		{"ready", "/readyz", ready, 200, "ok"},
		{"no status before the first pass", "/status.json", nil, 503, "starting"},
		{"page before the first pass", "/", nil, 200, "<noscript>"},
		{"no picture before the first pass", "/picture.json", nil, 503, "starting"},
		{"nothing else", "/debug/pprof", waiting, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, body := ask(t, tt.s, "127.0.0.1:7473", tt.path)
			if code != tt.code || !strings.Contains(body, tt.text) {
				t.Errorf("%s: %d %q, want %d with %q", tt.path, code, body, tt.code, tt.text)
			}
		})
	}
}

func TestOnlyLocalNamesAreServed(t *testing.T) {
	for host, want := range map[string]int{"127.0.0.1:7473": 200, "localhost:7473": 200, "[::1]:7473": 200, "evil.example:7473": 403, "10.0.0.1": 403} {
		if code, _ := ask(t, interesting(), host, "/status.json"); code != want {
			t.Errorf("Host %s: %d, want %d", host, code, want)
		}
	}
}

func TestMetricsGolden(t *testing.T) {
	code, got := ask(t, interesting(), "localhost", "/metrics")
	if code != 200 {
		t.Fatalf("%d: %s", code, got)
	}
	got = strings.ReplaceAll(fairways(got), runtime.Version(), "go1.0")
	const path = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got (go test ./web -update rewrites it):\n%s", diff)
	}
}

// fairways gives the lines about Fairway's own metrics: what is told of Go and of
// the process has other values at every scrape.
func fairways(text string) string {
	var own strings.Builder
	for line := range strings.Lines(text) {
		if name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "); strings.HasPrefix(name, "fairway_") {
			own.WriteString(line)
		}
	}
	return own.String()
}

// TestMetricsPassPrometheusLint: names, units, help and types are as Prometheus' own
// linter wants them, Fairway's and those of Go and the process.
func TestMetricsPassPrometheusLint(t *testing.T) {
	needs.Programs(t, "promtool")
	_, text := ask(t, interesting(), "localhost", "/metrics")
	lint := exec.Command("promtool", "check", "metrics")
	lint.Stdin = strings.NewReader(text)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestMetricsTellOfGoAndTheProcess(t *testing.T) {
	for name, s := range map[string]*status.Status{"before the first pass": nil, "later": interesting()} {
		code, got := ask(t, s, "localhost", "/metrics")
		for _, metric := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "go_info", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"} {
			if code != 200 || !strings.Contains(got, "\n# TYPE "+metric+" gauge\n") {
				t.Errorf("%s: %d, and %s is not there", name, code, metric)
			}
		}
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, m := range Metrics() {
		documented[m.Name] = true
	}
	_, got := ask(t, interesting(), "localhost", "/metrics")
	for line := range strings.Lines(fairways(got)) {
		name := strings.FieldsFunc(line, func(r rune) bool { return r == '{' || r == ' ' })[0]
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part) // of a histogram
		}
		if name != "#" && !documented[name] {
			t.Errorf("%s is not among Metrics", name)
		}
	}
}

// TestBasisHasNoPassword: the plan that it was made with may.
func TestBasisHasNoPassword(t *testing.T) {
	st := interesting()
	s := policy.Snapshot{Peers: []policy.Peer{{Name: "tor-a", LocalASN: 65001, SessionSettings: policy.SessionSettings{
		Address: netip.MustParseAddr("192.0.2.1"), PeerASN: 65002, Password: "never-shown",
	}}}}
	s.Settings = routes.DefaultSettings
	plan := policy.Make(s, "n1")
	st.Basis = status.Basis{Settings: s.Settings, Memory: policy.Memory{}.Remember(s, plan)}
	code, body := ask(t, st, "127.0.0.1:7473", "/basis.json")
	if code != 200 || !strings.Contains(body, `"192.0.2.1"`) || !strings.Contains(body, `"clusterRouter":"ovn-cluster"`) {
		t.Errorf("%d: %s", code, body)
	}
	if strings.Contains(body, "never-shown") {
		t.Error("a password is shown")
	}
	if code, _ := ask(t, nil, "127.0.0.1:7473", "/basis.json"); code != 503 {
		t.Errorf("before the first pass: %d", code)
	}
}
