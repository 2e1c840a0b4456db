package install

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/files"
	input "github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// peer makes a BGPPeer of a spec in YAML's flow style.
func peer(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{}}
	text := "apiVersion: fairway.dev/v1alpha1\nkind: BGPPeer\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n"
	js, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	if err := o.UnmarshalJSON(js); err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return o
}

// refusal applies a BGPPeer and gives what the API server says against it, "" if
// nothing.
func refusal(t *testing.T, s *kubetest.Server, spec string) string {
	t.Helper()
	o := peer(t, "tried", spec)
	if err := kubetest.ApplyObject(t.Context(), s.Config(), o); err != nil {
		return err.Error()
	}
	resource, err := kubetest.Resource(s.Config(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := resource.Delete(t.Context(), "tried", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	return ""
}

// messages are what a person reads who applies a BGPPeer that cannot be meant.
func messages() map[string]string {
	return map[string]string{
		`peerAddress: 192.0.2.1`: "give peerASN, the neighbour's AS number, or dynamicASN",
		`peerASN: 65000`:         "give peerAddress, the neighbour's IPv4 or IPv6 address; or interface, or peerDiscovery",
		`peerAddress: 192.0.2.1, interface: eth1, peerASN: 65000`:                                                             "peerAddress and interface exclude each other: give one of them",
		`peerAddress: 192.0.2.1, peerDiscovery: defaultGateway, peerASN: 65000`:                                               "peerDiscovery excludes peerAddress and interface: give one of them",
		`interface: eth1, peerDiscovery: defaultGateway, peerASN: 65000`:                                                      "peerDiscovery excludes peerAddress and interface: give one of them",
		`peerDiscovery: lldp, peerASN: 65000`:                                                                                 `supported values: "defaultGateway"`,
		`interface: "eth1 up", peerASN: 65000`:                                                                                "this is no interface's name",
		`interface: eth1, peerASN: 65000, dynamicASN: external`:                                                               "peerASN and dynamicASN exclude each other: give one of them",
		`interface: eth1, dynamicASN: any`:                                                                                    `supported values: "external", "internal"`,
		`interface: eth1, peerASN: 65000, sourceAddress: 192.0.2.1`:                                                           "sourceAddress is not for a neighbour on an interface",
		`interface: eth1, peerASN: 65000, ebgpMultihop: true`:                                                                 "a neighbour on an interface is one hop away: leave ebgpMultihop out",
		`peerDiscovery: defaultGateway, peerASN: 65000, sourceAddress: "2001:db8::1"`:                                         "sourceAddress must be of the default gateway's family",
		`peerDiscovery: defaultGateway, peerASN: 65000, families: [ipv4-unicast, ipv6-unicast], sourceAddress: "2001:db8::1"`: "sourceAddress must be of the default gateway's family",

		`peerAddress: 192.0.2.1, peerASN: 0`:                         "an AS number is 1 to 4294967294; AS 0 may not be used (RFC 7607)",
		`peerAddress: 192.0.2.1, peerASN: -1`:                        "an AS number is 1 to 4294967294",
		`peerAddress: 192.0.2.1, peerASN: 4294967295`:                "an AS number is 1 to 4294967294",
		`peerAddress: 192.0.2.1, peerASN: 4294967296`:                "an AS number is 1 to 4294967294",
		`peerAddress: 192.0.2.1, peerASN: 23456`:                     "AS 23456 is AS_TRANS (RFC 6793) and may not be used",
		`peerAddress: 192.0.2.1, peerASN: 65535`:                     "AS 65535 is reserved (RFC 7300) and may not be used",
		`peerAddress: 192.0.2.1, peerASN: 65000, localASN: 0`:        "an AS number is 1 to 4294967294; AS 0 may not be used (RFC 7607)",
		`peerAddress: 192.0.2.1, peerASN: "65000"`:                   ".spec.peerASN: expected numeric (int or float), got string",
		`peerAddress: 192.0.2.1, peerASN: 65000, peerASNN: 1`:        ".spec.peerASNN: field not declared in schema",
		`peerAddress: tor.example.com, peerASN: 65000`:               "peerAddress is not an IP address: write it without name, port or prefix length",
		`peerAddress: 192.0.2.1/24, peerASN: 65000`:                  "peerAddress is not an IP address",
		`peerAddress: "192.0.2.1:179", peerASN: 65000`:               "peerAddress is not an IP address",
		`peerAddress: 0.0.0.0, peerASN: 65000`:                       "peerAddress is the unspecified address: give that of one router",
		`peerAddress: "::", peerASN: 65000`:                          "peerAddress is the unspecified address: give that of one router",
		`peerAddress: 224.0.0.5, peerASN: 65000`:                     "peerAddress is a multicast or broadcast address: give a unicast one",
		`peerAddress: "ff02::1", peerASN: 65000`:                     "peerAddress is a multicast or broadcast address: give a unicast one",
		`peerAddress: 255.255.255.255, peerASN: 65000`:               "peerAddress is a multicast or broadcast address: give a unicast one",
		`peerAddress: "fe80::1", peerASN: 65000`:                     "an IPv6 link-local address needs its interface, as in fe80::1%eth1",
		`peerAddress: "2001:db8::1%eth1", peerASN: 65000`:            "and no other address takes one",
		`peerAddress: 192.0.2.1, peerASN: 65000, port: 0`:            "a TCP port is 1 to 65535; leave it out for 179",
		`peerAddress: 192.0.2.1, peerASN: 65000, port: 65536`:        "a TCP port is 1 to 65535; leave it out for 179",
		`peerAddress: 192.0.2.1, peerASN: 65000, families: []`:       "spec.families in body should have at least 1 items",
		`peerAddress: 192.0.2.1, peerASN: 65000, families: [ipv4]`:   `supported values: "ipv4-unicast", "ipv6-unicast"`,
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 2s`:       "holdTime is 3s to 65535s: less, or 0, is no hold time (RFC 4271 section 4.2); leave it out for 90s",
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 0s`:       "holdTime is 3s to 65535s",
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 20h`:      "holdTime is 3s to 65535s",
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: "90"`:     "write whole hours, minutes or seconds with their unit, such as 90s or 1m30s",
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 1500ms`:   "write whole hours, minutes or seconds with their unit",
		`peerAddress: 192.0.2.1, peerASN: 65000, keepaliveTime: 31s`: "keepaliveTime must be a third of holdTime (90s if absent) or less",
		`peerAddress: 192.0.2.1, peerASN: 65000, keepaliveTime: 0s`:  "keepaliveTime is at least 1s",

		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 99999999999999999999s`:                                             "holdTime is 3s to 65535s",
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 99999h99999h99999h99999h99999h99999h99999h99999h99999h99999h`:      "holdTime is 3s to 65535s",
		`peerAddress: 192.0.2.1, peerASN: 65000, keepaliveTime: 99999999999999999999s`:                                        "keepaliveTime is at least 1s",
		`peerAddress: 192.0.2.1, peerASN: 65000, gracefulRestart: {restartTime: 99999999999999999999s}`:                       "restartTime is 1s to 4095s",
		`peerAddress: 192.0.2.1, peerASN: 65000, bfd: {receiveInterval: 99999999999999999999s}`:                               "receiveInterval is 10ms to 60s",
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {communities: ["70000:1"]}`:                                      "each half of a community is 0 to 65535; for a larger AS number give a large community",
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {communities: ["1:4294967296:1"]}`:                               "each part of a large community is 0 to 4294967295",
		`peerAddress: 192.0.2.1, peerASN: 65000, passwordSecretRef: {name: "A b"}`:                                            "a Secret's name has lower-case letters, digits, '-' and '.' alone",
		`peerAddress: 192.0.2.1, peerASN: 65000, nodeSelector: {matchLabels: {"my rack": a}}`:                                 "a key of matchLabels is no label's name",
		`peerAddress: 192.0.2.1, peerASN: 65000, nodeSelector: {matchLabels: {rack: "a b"}}`:                                  "this is no label's value",
		`peerAddress: 192.0.2.1, peerASN: 65000, nodeSelector: {matchExpressions: [{key: "a/b/c", operator: Exists}]}`:        "a key of matchExpressions is no label's name",
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 9s, keepaliveTime: 4s`:                                             "keepaliveTime must be a third of holdTime",
		`peerAddress: 192.0.2.1, peerASN: 65000, families: [ipv4-unicast, ipv4-unicast]`:                                      "duplicate entries for key [=\"ipv4-unicast\"]",
		`peerAddress: 192.0.2.1, peerASN: 65000, connectRetryTime: 0s`:                                                        "connectRetryTime is 1s to 65535s; leave it out for 5s",
		`peerAddress: 192.0.2.1, peerASN: 65000, ttlSecurity: true, ebgpMultihop: true`:                                       "ttlSecurity is for a neighbour one hop away and excludes ebgpMultihop: leave one of them out",
		`peerAddress: 192.0.2.1, peerASN: 65000, sourceAddress: "2001:db8::1"`:                                                "sourceAddress and peerAddress must be of the same family, both IPv4 or both IPv6",
		`peerAddress: 192.0.2.1, peerASN: 65000, sourceAddress: 192.0.2.1`:                                                    "sourceAddress is the neighbour's own address: give one of the node's, or leave it out",
		`peerAddress: 192.0.2.1, peerASN: 65000, sourceAddress: eth0`:                                                         "sourceAddress is not an IP address",
		`peerAddress: 192.0.2.1, peerASN: 65000, gracefulRestart: {restartTime: 4096s}`:                                       "restartTime is 1s to 4095s (RFC 4724 section 3); leave it out for 120s",
		`peerAddress: 192.0.2.1, peerASN: 65000, bfd: {detectMultiplier: 0}`:                                                  "detectMultiplier is 1 to 255",
		`peerAddress: 192.0.2.1, peerASN: 65000, bfd: {transmitInterval: 300}`:                                                ".spec.bfd.transmitInterval: expected string",
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {communities: ["65000"]}`:                                        "a community is written 65000:100, 65000:1:2 or by its well-known name, such as no-export; one per item",
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {communities: ["1:2,3:4"]}`:                                      "one per item",
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {med: -1}`:                                                       "med is 0 to 4294967295",
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {localPref: 4294967296}`:                                         "localPref is 0 to 4294967295",
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {asPathPrepend: 17}`:                                             "asPathPrepend is 0 to 16",
		`peerAddress: 192.0.2.1, peerASN: 65000, maxPodPrefixes: 0`:                                                           "maxPodPrefixes is 1 to 4294967295; leave it out for as many as there are",
		`peerAddress: 192.0.2.1, peerASN: 65000, passwordSecretRef: {}`:                                                       "spec.passwordSecretRef.name: Required value",
		`peerAddress: 192.0.2.1, peerASN: 65000, passwordSecretRef: {name: ""}`:                                               "spec.passwordSecretRef.name",
		`peerAddress: 192.0.2.1, peerASN: 65000, nodeSelector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}`: "an operator of matchExpressions is In, NotIn, Exists or DoesNotExist",
		`peerAddress: 192.0.2.1, peerASN: 65000, nodeSelector: {matchExpressions: [{key: a, operator: In}]}`:                  "In and NotIn need values, Exists and DoesNotExist take none",
	}
}

func testMessages(t *testing.T, s *kubetest.Server) {
	for spec, want := range messages() {
		got := refusal(t, s, spec)
		if !strings.Contains(got, want) {
			t.Errorf("%s:\n  says  %q\n  want  %q", spec, got, want)
		}
		// A rule that stumbles over another one's case speaks of CEL, not of BGP.
		for _, bad := range []string{"rule evaluation error", "no such overload", "failed rule:"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s: says %q", spec, got)
			}
		}
	}
}

func goodPeers() []string {
	return []string{
		`peerAddress: 192.0.2.1, peerASN: 1`,
		`peerAddress: 127.0.0.1, peerASN: 4294967294`,
		`interface: eth1, peerASN: 65000`,
		`interface: eth1.100, dynamicASN: external, ttlSecurity: true`,
		`peerAddress: 192.0.2.1, dynamicASN: internal`,
		`peerDiscovery: defaultGateway, dynamicASN: external, sourceAddress: 192.0.2.1`,
		`peerDiscovery: defaultGateway, dynamicASN: external, families: [ipv6-unicast], sourceAddress: "2001:db8::1"`,
		`peerAddress: "fe80::1%eth1.100", peerASN: 65000, sourceAddress: "fe80::2%eth1.100"`,
		`peerAddress: 192.0.2.1, peerASN: 65000, holdTime: 3s, keepaliveTime: 1s, connectRetryTime: 1m30s`,
		`peerAddress: 192.0.2.1, peerASN: 65000, ttlSecurity: true, ebgpMultihop: false, passive: true, port: 1790`,
		`peerAddress: "2001:db8::1", peerASN: 65000, families: [ipv6-unicast], extendedNextHop: true, sourceAddress: "2001:db8::2"`,
		`peerAddress: 192.0.2.1, peerASN: 65000, bfd: {transmitInterval: 300ms, receiveInterval: 1s, detectMultiplier: 3}`,
		`peerAddress: 192.0.2.1, peerASN: 65000, gracefulRestart: {}, passwordSecretRef: {name: tor}, maxPodPrefixes: 4294967295`,
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {communities: ["65000:100", "4200000000:1:2", no-export], med: 0, localPref: 4294967295, asPathPrepend: 16}`,
		`peerAddress: 192.0.2.1, peerASN: 65000, nodeSelector: {matchLabels: {topology.kubernetes.io/zone: Z_1.a, node-role.kubernetes.io/gateway: ""}}`,
		`peerAddress: 192.0.2.1, peerASN: 65000, attributes: {communities: ["65535:65535", "0:0", "4294967294:0:4294967295"]}, holdTime: 18h12m15s`,
		`peerAddress: 192.0.2.1, peerASN: 65000, nodeSelector: {matchLabels: {rack: a}, matchExpressions: [{key: b, operator: Exists}, {key: c, operator: NotIn, values: [d]}]}`,
	}
}

func testGoodPeers(t *testing.T, s *kubetest.Server) {
	for _, spec := range goodPeers() {
		if got := refusal(t, s, spec); got != "" {
			t.Errorf("%s: refused: %s", spec, got)
		}
	}
}

// TestFilesAgreeWithTheAPIServer gives the same BGPPeers to the file source: what
// the API server refuses, it refuses, and what that takes, it takes.
func TestFilesAgreeWithTheAPIServer(t *testing.T) {
	for spec := range messages() {
		if wrong := fileProblems(t, peer(t, "tried", spec)); len(wrong) == 0 {
			t.Errorf("%s: refused by the API server, taken from a file", spec)
		}
	}
	for _, spec := range goodPeers() {
		if wrong := fileProblems(t, peer(t, "tried", spec)); len(wrong) > 0 {
			t.Errorf("%s: taken by the API server, refused from a file: %v", spec, wrong)
		}
	}
}

func TestExamplesAreTakenFromFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(chart, "examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, f := range append(files, filepath.Join("..", "..", "docs", "example", "values.yaml")) {
		for _, o := range rendered(t, f) {
			if o.GetKind() != "BGPPeer" {
				continue
			}
			if wrong := fileProblems(t, o); len(wrong) > 0 {
				t.Errorf("%s: BGPPeer %s: %v", f, o.GetName(), wrong)
			}
		}
	}
}

// fileProblems gives what the file source has against a BGPPeer, beside the Secrets
// that the tests speak of.
func fileProblems(t *testing.T, o *unstructured.Unstructured) []input.Problem {
	t.Helper()
	file := filepath.Join(t.TempDir(), "peer.yaml")
	secrets := ""
	for _, name := range []string{"tor", "tor-password", "tor-a-password", "tor-b-password"} {
		secrets += "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " + name + "}\nstringData: {password: secret}\n"
	}
	must.WriteFile(t, file, []byte(asYAML(t, o.Object)+secrets))
	c, err := files.Read([]string{file}, routes.DefaultSettings)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(c.Problems, func(p input.Problem) bool { return p.Severity != input.Wrong })
}

// testColumns asks for tables as kubectl does.
func testColumns(t *testing.T, s *kubetest.Server) {
	for plural, want := range map[string][]string{
		"bgppeers": {"Name", "Address", "ASN", "Up", "Ready", "Reason", "Message", "Interface", "Discovery", "Dynamic ASN", "Local ASN", "Hold", "Password Secret", "Age"},
		"speakers": {"Name", "Ready", "Up", "Sessions", "Announced", "Withheld", "Planned", "In Sync", "Host Ready", "Source Fresh", "Router ID", "Age"},
	} {
		var table metav1.Table
		get(t, s.Config(), "/apis/fairway.dev/v1alpha1/"+plural, "application/json;as=Table;v=v1;g=meta.k8s.io", &table)
		var got []string
		// kubectl puts three blanks between columns; a node's name may be 20 long.
		width := 20 - len("Name")
		for _, c := range table.ColumnDefinitions {
			got = append(got, c.Name)
			if c.Priority == 0 {
				width += len(c.Name) + len("   ")
			}
		}
		if width > 80 {
			t.Errorf("kubectl get %s is %d columns wide", plural, width)
		}
		if !slices.Equal(got, want) {
			t.Errorf("kubectl get %s has columns %q, want %q", plural, got, want)
		}
	}
}

func testNames(t *testing.T, s *kubetest.Server) {
	client, err := discovery.NewDiscoveryClientForConfig(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ServerResourcesForGroupVersion("fairway.dev/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range list.APIResources {
		got[r.Name] = strings.Join(r.ShortNames, ",")
	}
	want := map[string]string{"bgppeers": "bgpp", "bgppeers/status": "", "speakers": "spk", "speakers/status": ""}
	if !maps.Equal(got, want) {
		t.Errorf("resources and their short names: %v, want %v", got, want)
	}
}

// get asks the API server for a path and decodes its answer.
func get(t *testing.T, c *rest.Config, path, accept string, into any) {
	t.Helper()
	client, err := rest.HTTPClientFor(c)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %v: %s", path, answer.Status, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
}
