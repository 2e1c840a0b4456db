package install

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// renderedWith renders the chart with values.
func renderedWith(t *testing.T, values string) map[string]map[string]any {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	must.WriteFile(t, file, []byte(values))
	return byName(t, rendered(t, file))
}

// TestMonitoringIsThereByValue: the objects of Prometheus' operator and Grafana's sidecar
// find the daemons and hold the files of the chart as they are.
func TestMonitoringIsThereByValue(t *testing.T) {
	const in = " " + installNamespace + "/"
	got := renderedWith(t, `metrics:
  listen: $(NODE_IP)
  podMonitor: {enabled: true, labels: {release: prometheus}}
  rules: {enabled: true}
  dashboard: {enabled: true, namespace: grafana}
`)
	container := onlyContainer(t, got["DaemonSet"+in+"fairway"])
	args, _, _ := unstructured.NestedStringSlice(container, "args")
	if want := "--metrics-listen=[$(NODE_IP)]:7474"; !slices.Contains(args, want) {
		t.Errorf("args %q lack %s", args, want)
	}
	if text := asYAML(t, container); !strings.Contains(text, "fieldPath: status.hostIP") {
		t.Errorf("NODE_IP is not the node's address:\n%s", text)
	}
	port := container["ports"].([]any)[0].(map[string]any)["name"]
	monitor := got["PodMonitor"+in+"fairway"]
	endpoint, _, _ := unstructured.NestedSlice(monitor, "spec", "podMetricsEndpoints")
	if len(endpoint) != 1 || endpoint[0].(map[string]any)["port"] != port {
		t.Errorf("the PodMonitor scrapes %v, and the port is %v", endpoint, port)
	}
	selected, _, _ := unstructured.NestedStringMap(monitor, "spec", "selector", "matchLabels")
	labels, _, _ := unstructured.NestedStringMap(got["DaemonSet"+in+"fairway"], "spec", "template", "metadata", "labels")
	if !reflect.DeepEqual(selected, labels) {
		t.Errorf("the PodMonitor selects %v, and the Pods have %v", selected, labels)
	}
	if release, _, _ := unstructured.NestedString(monitor, "metadata", "labels", "release"); release != "prometheus" {
		t.Errorf("the PodMonitor has labels %v", monitor["metadata"])
	}
	var rules map[string]any
	if err := yaml.Unmarshal(must.ReadFile(t, filepath.Join(chart, "monitoring/alerts.yaml")), &rules); err != nil {
		t.Fatal(err)
	}
	if spec := got["PrometheusRule"+in+"fairway"]["spec"]; !reflect.DeepEqual(spec, any(rules)) {
		t.Errorf("the PrometheusRule has\n%s\nwant\n%s", asYAML(t, spec), asYAML(t, rules))
	}
	config := got["ConfigMap grafana/fairway-dashboard"]
	text, _, _ := unstructured.NestedString(config, "data", "fairway.json")
	var board, want any
	if json.Unmarshal([]byte(text), &board) != nil || json.Unmarshal(must.ReadFile(t, filepath.Join(chart, "monitoring/dashboard.json")), &want) != nil || !reflect.DeepEqual(board, want) {
		t.Errorf("the ConfigMap does not have the dashboard: %.200s", text)
	}
	if mark, _, _ := unstructured.NestedString(config, "metadata", "labels", "grafana_dashboard"); mark != "1" {
		t.Errorf("the sidecar does not find it: %v", config["metadata"])
	}
}

// TestServiceMonitorHasItsService, which leads to the daemons that are not ready too.
func TestServiceMonitorHasItsService(t *testing.T) {
	got := renderedWith(t, "metrics: {listen: '*', port: 9999, serviceMonitor: {enabled: true}}\n")
	service, monitor := got["Service "+installNamespace+"/fairway-metrics"], got["ServiceMonitor "+installNamespace+"/fairway"]
	if service == nil || monitor == nil {
		t.Fatalf("not both are there: %v, %v", service, monitor)
	}
	spec := service["spec"].(map[string]any)
	if spec["clusterIP"] != "None" || spec["publishNotReadyAddresses"] != true || !strings.Contains(asYAML(t, spec), "port: 9999") {
		t.Errorf("the Service is\n%s", asYAML(t, spec))
	}
	selected, _, _ := unstructured.NestedStringMap(monitor, "spec", "selector", "matchLabels")
	labels, _, _ := unstructured.NestedStringMap(service, "metadata", "labels")
	if !reflect.DeepEqual(selected, labels) {
		t.Errorf("the ServiceMonitor selects %v, and the Service has %v", selected, labels)
	}
}

// TestMetricsAddressIsAsTheDaemonTakesIt, in either family.
func TestMetricsAddressIsAsTheDaemonTakesIt(t *testing.T) {
	for listen, want := range map[string]string{"*": ":7474", "::": "[::]:7474", "192.0.2.1": "[192.0.2.1]:7474", "2001:db8::1": "[2001:db8::1]:7474", "": ""} {
		got := renderedWith(t, "metrics: {listen: '"+listen+"'}\n")
		container := onlyContainer(t, got["DaemonSet "+installNamespace+"/fairway"])
		args, _, _ := unstructured.NestedStringSlice(container, "args")
		i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "--metrics-listen=") })
		if (i >= 0) != (want != "") || i >= 0 && args[i] != "--metrics-listen="+want {
			t.Errorf("listen %q: args %q, want %q", listen, args, want)
		}
		if _, open := container["ports"]; open != (want != "") {
			t.Errorf("listen %q: ports %v", listen, container["ports"])
		}
	}
	for set, want := range map[string]string{
		"metrics.listen=node.example":      "listen",
		"metrics.port=0":                   "port",
		"metrics.podMonitor.enabled=true":  "metrics.listen",
		"metrics.rule.enabled=true":        "rule",
		"flags.metrics-listen=0.0.0.0:747": "metrics-listen",
		"metrics.listen=::,metrics.podMonitor.enabled=true,metrics.serviceMonitor.enabled=true": "twice",
	} {
		_, said, err := runTool(t, "helm", "template", "fairway", chart, "--set", set)
		if err == nil || !strings.Contains(said, want) {
			t.Errorf("--set %s: %v, said %q; want it refused, naming %s", set, err, said, want)
		}
	}
}

func onlyContainer(t *testing.T, daemonSet map[string]any) map[string]any {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(daemonSet, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		t.Fatalf("containers: %v, %v", containers, err)
	}
	return containers[0].(map[string]any)
}
