package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/web"
)

// What the chart has for Prometheus and Grafana.
const (
	alertRules = "../manifests/chart/monitoring/alerts.yaml"
	dashboard  = "../manifests/chart/monitoring/dashboard.json"
)

// TestAlertsAreRaisedWhenTheyShall runs the unit tests of the alert rules: each where it
// shall be raised, with its words, and where none shall.
func TestAlertsAreRaisedWhenTheyShall(t *testing.T) {
	needs.Programs(t, "promtool")
	must.Reads(t, filepath.Dir(alertRules), "testdata")
	mustRun(t, "promtool", "check", "rules", alertRules)
	mustRun(t, "promtool", "test", "rules", "testdata/alerts_test.yaml")
	tests := string(must.ReadFile(t, "testdata/alerts_test.yaml"))
	for _, name := range alertNames(t) {
		if !strings.Contains(tests, "- name: '"+name+": ") || !strings.Contains(tests, "alertname: "+name+"}") {
			t.Errorf("%s is not tested both ways", name)
		}
	}
}

// TestEveryAlertHasARunbook: the link leads to a section that ends in a command.
func TestEveryAlertHasARunbook(t *testing.T) {
	sections := map[string]string{}
	for _, section := range strings.Split(string(must.ReadFile(t, "../docs/alerts.md")), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = strings.TrimSpace(text)
	}
	rules := string(must.ReadFile(t, alertRules))
	for _, name := range alertNames(t) {
		if !strings.Contains(rules, "/docs/alerts.md#"+strings.ToLower(name)+"\n") {
			t.Errorf("%s has no link to docs/alerts.md", name)
		}
		if text := sections[name]; text == "" || !strings.HasSuffix(text, "\n```") {
			t.Errorf("docs/alerts.md: section %s is not there, or does not end in a command", name)
		}
		delete(sections, name)
	}
	for name := range sections {
		t.Errorf("docs/alerts.md: section %s is of no alert", name)
	}
}

func alertNames(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^  - alert: (\w+)$`).FindAllStringSubmatch(string(must.ReadFile(t, alertRules)), -1) {
		out = append(out, m[1])
	}
	if len(out) < 10 {
		t.Fatalf("only %d alerts found", len(out))
	}
	return out
}

// TestDashboardAndAlertsUseMetricsThatThereAre, and reasons.
func TestDashboardAndAlertsUseMetricsThatThereAre(t *testing.T) {
	known := map[string]bool{}
	for _, m := range web.Metrics() {
		known[m.Name] = true
		if m.Kind == web.Histogram {
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				known[m.Name+part] = true
			}
		}
	}
	var reasons []string
	for _, c := range policy.Chain() {
		reasons = append(reasons, string(c.Reason))
	}
	for _, file := range []string{alertRules, dashboard} {
		text := string(must.ReadFile(t, file))
		for _, name := range regexp.MustCompile(`\bfairway_\w+`).FindAllString(text, -1) {
			if !known[name] {
				t.Errorf("%s: %s is not a metric of Fairway's", file, name)
			}
		}
		for _, m := range regexp.MustCompile(`fairway_withheld_prefixes\{reason=~"([^"]+)"`).FindAllStringSubmatch(text, -1) {
			for _, reason := range strings.Split(m[1], "|") {
				if !slices.Contains(reasons, reason) {
					t.Errorf("%s: %s is not a reason", file, reason)
				}
			}
		}
	}
}

// TestPrometheusReadsWhatDashboardAndAlertsAsk has a real Prometheus on the router scrape
// the daemons from outside their nodes, over IPv4 and IPv6, and ask every query of the
// dashboard and of the rules. The lab has one of each trouble.
func TestPrometheusReadsWhatDashboardAndAlertsAsk(t *testing.T) {
	needs.Root(t, "ip", "prometheus", "curl")
	c := upLab(t, "embedded", "--metrics-listen=:7474")
	c.says(t, "n1", "Established")
	for url, want := range map[string]string{
		"http://172.30.0.11:7474/metrics": "200", "http://[fd00:30::11]:7474/metrics": "200",
		"http://172.30.0.11:7474/": "404", "http://[fd00:30::11]:7474/status.json": "404", "http://172.30.0.11:7473/metrics": "000",
	} {
		if got, _ := c.in("tor", "curl", "-sg", "-o", "/dev/null", "-w", "%{http_code}", url).Output(); string(got) != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	p := startPrometheus(t, c)
	until(t, "Prometheus has scraped every daemon", func() (string, bool) {
		up := p.ask(t, "sum(up)")
		return fmt.Sprint(up), len(up) == 1 && up[0] == "3"
	})
	p.makeTrouble(t, c)
	for _, query := range dashboardQueries(t) {
		if !must.Eventually(func() bool { return len(p.ask(t, query)) > 0 }) {
			t.Errorf("no data: %s", query)
		}
	}
	p.wantAlerts(t, "FairwaySessionDown", "FairwayBFDDown", "FairwayDaemonDown", "FairwayHostWrong", "FairwayObjectsWrong", "FairwayDrainingForLong", "FairwayWithheldByFault")
	for _, name := range regexp.MustCompile(`\bfairway_\w+`).FindAllString(string(must.ReadFile(t, alertRules)), -1) {
		if name != "fairway_change_to_wire_seconds" && len(p.ask(t, name)) == 0 {
			t.Errorf("the rules ask for %s, and Prometheus has none", name)
		}
	}
}

// prometheus is one that runs on the lab's router.
type prometheus struct{ c *cluster }

const prometheusAddress = "127.0.0.1:9090"

// startPrometheus runs one until the test ends. Of the four daemons that it knows, the
// last does not answer.
func startPrometheus(t testing.TB, c *cluster) prometheus {
	t.Helper()
	folder := t.TempDir()
	rules, err := filepath.Abs(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	targets := ""
	for node, address := range map[string]string{"n1": "172.30.0.11:7474", "n2": "[fd00:30::12]:7474", "n3": "172.30.0.13:7474", "gone": "172.30.0.11:7475"} {
		targets += fmt.Sprintf("  - {targets: [%q], labels: {node: %s}}\n", address, node)
	}
	config := filepath.Join(folder, "prometheus.yml")
	must.WriteFile(t, config, []byte(fmt.Sprintf("global: {scrape_interval: 500ms, evaluation_interval: 1s}\nrule_files: [%s]\nscrape_configs:\n- job_name: fairway\n  static_configs:\n%s", rules, targets)))
	log := &strings.Builder{}
	run := c.in("tor", "prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+prometheusAddress, "--log.level=warn")
	run.Stdout, run.Stderr = log, log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return prometheus{c}
}

// get asks for a path of Prometheus' API; the answer is empty while there is none.
func (p prometheus) get(path string, args ...string) []byte {
	argv := append([]string{"curl", "-sG", "http://" + prometheusAddress + path}, args...)
	out, _ := p.c.in("tor", argv...).Output()
	return out
}

// ask gives the values of a query.
func (p prometheus) ask(t testing.TB, query string) []string {
	t.Helper()
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	body := p.get("/api/v1/query", "--data-urlencode", "query="+query)
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil // it is starting
	}
	if answer.Status != "success" {
		t.Fatalf("%s: %s", query, answer.Error)
	}
	var out []string
	for _, r := range answer.Data.Result {
		out = append(out, fmt.Sprint(r.Value[1]))
	}
	return out
}

// makeTrouble has one of each that the dashboard shows: a router that is not there, a
// reset, BFD that nobody answers, a warning, a typo, a host that does not forward, a
// node that drains, an object that cannot be used.
func (p prometheus) makeTrouble(t testing.TB, c *cluster) {
	t.Helper()
	mustRun(t, "ip", "netns", "exec", c.prefix+"n1", "sysctl", "-qw", "net.ipv4.ip_forward=0")
	c.edit(t, "bgppeer-tor.yaml", "localASN: 65001", "localASN: 65001\n  gracefulRestart: {enabled: true, restartTime: 77s}\n  bfd: {}")
	c.write(t, "bgppeer-nobody.yaml", "apiVersion: fairway.dev/v1alpha1\nkind: BGPPeer\nmetadata: {name: nobody}\nspec: {peerAddress: 172.30.0.99, peerASN: 65000, localASN: 65001}\n")
	c.write(t, "bgppeer-wrong.yaml", "apiVersion: fairway.dev/v1alpha1\nkind: BGPPeer\nmetadata: {name: wrong}\nspec: {peerAddress: 172.30.0.98}\n")
	c.write(t, "subnet-more.yaml", `apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: more, annotations: {fairway.dev/advertise: "true", fairway.dev/peers: "tor,unknown"}}
spec: {protocol: IPv4, cidrBlock: 10.170.0.0/16, gateway: 10.170.0.1, gatewayType: distributed, natOutgoing: false}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: typo, annotations: {fairway.dev/advertise: "true", fairway.dev/med: "many"}}
spec: {protocol: IPv4, cidrBlock: 10.171.0.0/16, gateway: 10.171.0.1, gatewayType: distributed, natOutgoing: false}
`)
	c.edit(t, "nodes.yaml", "  name: n3\n  annotations:\n", "  name: n3\n  annotations:\n    fairway.dev/drain: \"true\"\n")
}

// dashboardQueries gives every query of the panels, for all nodes and peers.
func dashboardQueries(t testing.TB) []string {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(must.ReadFile(t, dashboard), &board); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			out = append(out, strings.NewReplacer("$node", ".*", "$peer", ".*", "$__rate_interval", "1m").Replace(target.Expr))
		}
	}
	if len(out) < 30 {
		t.Fatalf("only %d queries found", len(out))
	}
	return out
}

// wantAlerts waits until Prometheus has evaluated every rule without error, and those of
// active, and no others, are pending or raised.
func (p prometheus) wantAlerts(t testing.TB, active ...string) {
	t.Helper()
	until(t, "every rule is evaluated, and the alerts are as the lab is", func() (string, bool) {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, State, Health, LastError string }
				}
			}
		}
		if err := json.Unmarshal(p.get("/api/v1/rules"), &answer); err != nil || len(answer.Data.Groups) != 1 {
			return fmt.Sprint(err), false
		}
		var wrong []string
		rules := answer.Data.Groups[0].Rules
		for _, r := range rules {
			if r.Health != "ok" || (r.State != "inactive") != slices.Contains(active, r.Name) {
				wrong = append(wrong, fmt.Sprintf("%s is %s and %s: %s", r.Name, r.State, r.Health, r.LastError))
			}
		}
		return strings.Join(wrong, "\n"), len(rules) == len(alertNames(t)) && len(wrong) == 0
	})
}
