package install

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/must"
)

// updateManifests rewrites what is generated: manifests/crds and the generated
// parts of manifests/chart/values.schema.json.
var updateManifests = flag.Bool("update-manifests", false, "rewrite the generated parts of manifests/")

const (
	installNamespace = "fairway-system"
	chart            = "../../manifests/chart"
	base             = "../../manifests/base"
	crds             = "../../manifests/crds"
)

// tool runs one of the tools and gives what it prints.
func tool(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	out, said, err := runTool(t, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said)
	}
	return out
}

func runTool(t *testing.T, name string, args ...string) (out []byte, said string, err error) {
	t.Helper()
	must.Reads(t, "../../manifests", "../../api")
	path, err := kubetest.Tool(t.Context(), name, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// Helm keeps what it knows in the user's folders; these are the test's.
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	err = cmd.Run()
	return stdout.Bytes(), stderr.String(), err
}

// rendered renders the chart with values files.
func rendered(t *testing.T, valuesFiles ...string) []*unstructured.Unstructured {
	t.Helper()
	args := []string{"template", "fairway", chart, "--namespace", installNamespace, "--include-crds"}
	for _, f := range valuesFiles {
		args = append(args, "--values", f)
	}
	return objects(t, tool(t, "helm", args...))
}

// kustomized renders the kustomize base.
func kustomized(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	return objects(t, tool(t, "kustomize", "build", base))
}

func objects(t *testing.T, stream []byte) []*unstructured.Unstructured {
	t.Helper()
	all, err := kubetest.Objects(stream)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// byName gives each object its kind, namespace and name as key.
func byName(t *testing.T, all []*unstructured.Unstructured) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, o := range all {
		name := fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
		if out[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		out[name] = o.Object
	}
	return out
}

func TestChartAndBaseRenderTheSame(t *testing.T) {
	chart, base := byName(t, rendered(t)), byName(t, kustomized(t))
	// Helm makes the namespace itself (--create-namespace).
	delete(base, "Namespace /"+installNamespace)
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if chart[name] == nil {
			t.Errorf("%s: in the base alone", name)
			continue
		}
		if !reflect.DeepEqual(chart[name], base[name]) {
			t.Errorf("%s differs\nchart:\n%s\nbase:\n%s", name, asYAML(t, chart[name]), asYAML(t, base[name]))
		}
		delete(chart, name)
	}
	for name := range chart {
		t.Errorf("%s: in the chart alone", name)
	}
}

func asYAML(t *testing.T, o any) string {
	t.Helper()
	text, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPodsModeAndItsFolderRenderTheSame: what the chart adds with podsMode is what
// manifests/pods has.
func TestPodsModeAndItsFolderRenderTheSame(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	must.WriteFile(t, file, []byte("podsMode: true\n"))
	added := byName(t, rendered(t, file))
	for name := range byName(t, rendered(t)) {
		delete(added, name)
	}
	if want := byName(t, podsRights(t)); !reflect.DeepEqual(added, want) {
		t.Errorf("podsMode adds\n%v\nwant\n%v", added, want)
	}
}

// TestOnlyEnforcingMayWriteSysctls: the mount of the node's is read-only without.
func TestOnlyEnforcingMayWriteSysctls(t *testing.T) {
	for mode, want := range map[string]bool{"audit": true, "off": true, "enforce": false} {
		file := filepath.Join(t.TempDir(), mode+".yaml")
		must.WriteFile(t, file, []byte("flags: {host: '"+mode+"'}\n"))
		text := asYAML(t, byName(t, rendered(t, file))["DaemonSet "+installNamespace+"/fairway"])
		i := strings.Index(text, "mountPath: /run/host-sysctls/net")
		if i < 0 {
			t.Fatalf("no mount:\n%s", text)
		}
		if got := strings.Contains(text[i:min(len(text), i+100)], "readOnly: true"); got != want {
			t.Errorf("--host=%s: read-only %t", mode, got)
		}
	}
}

func TestCRDsAreGenerated(t *testing.T) {
	folder := t.TempDir()
	// controller-gen reports a package that does not compile on stderr, and exits 1.
	tool(t, "controller-gen", "crd", "paths=../../api/v1alpha1", "output:crd:dir="+folder)
	fresh, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(fresh) != 2 {
		t.Fatalf("controller-gen wrote %v: %v; want two CRDs", fresh, err)
	}
	for _, path := range fresh {
		want := must.ReadFile(t, path)
		kept := filepath.Join(crds, filepath.Base(path))
		if *updateManifests {
			must.WriteFile(t, kept, want)
		}
		if got := must.ReadFile(t, kept); !bytes.Equal(got, want) {
			t.Errorf("%s is not what the types in api/v1alpha1 make: go test ./e2e/install -run 'Generated|Schema' -update-manifests", kept)
		}
	}
}

// TestDeepCopiesAreGenerated compares the other thing that controller-gen makes of
// the types.
func TestDeepCopiesAreGenerated(t *testing.T) {
	const kept = "../../api/v1alpha1/zz_generated.deepcopy.go"
	folder := t.TempDir()
	tool(t, "controller-gen", "object", "paths=../../api/v1alpha1", "output:object:dir="+folder)
	want := must.ReadFile(t, filepath.Join(folder, filepath.Base(kept)))
	if *updateManifests {
		must.WriteFile(t, kept, want)
	}
	if !bytes.Equal(must.ReadFile(t, kept), want) {
		t.Errorf("%s is not what the types make: go test ./e2e/install -run Generated -update-manifests", kept)
	}
}

// TestChartIsWholeAsPackage renders the chart as it is shipped: the CRDs, which are a
// link in the repository, are files in the package.
func TestChartIsWholeAsPackage(t *testing.T) {
	folder := t.TempDir()
	tool(t, "helm", "package", chart, "--destination", folder)
	files, err := filepath.Glob(filepath.Join(folder, "fairway-*.tgz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("helm package wrote %v: %v", files, err)
	}
	args := []string{"template", "fairway", files[0], "--namespace", installNamespace, "--include-crds"}
	packed, unpacked := byName(t, objects(t, tool(t, "helm", args...))), byName(t, rendered(t))
	if !reflect.DeepEqual(packed, unpacked) {
		t.Errorf("the package renders %v,\nthe folder %v", slices.Sorted(maps.Keys(packed)), slices.Sorted(maps.Keys(unpacked)))
	}
}

func TestChartPassesLint(t *testing.T) {
	out := string(tool(t, "helm", "lint", "--strict", chart))
	if !strings.Contains(out, "0 chart(s) failed") {
		t.Errorf("helm lint:\n%s", out)
	}
}

// TestSchemaOfValues compares the generated parts of the schema: the flags of
// `fairway run`, and a peer's spec as the CRD has it.
func TestSchemaOfValues(t *testing.T) {
	path := filepath.Join(chart, "values.schema.json")
	kept := must.ReadFile(t, path)
	var schema map[string]any
	if err := json.Unmarshal(kept, &schema); err != nil {
		t.Fatal(err)
	}
	properties := schema["properties"].(map[string]any)
	properties["flags"].(map[string]any)["properties"] = flagSchemas(t)
	properties["peers"].(map[string]any)["additionalProperties"] = peerSchema(t)
	fresh, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	fresh = append(fresh, '\n')
	if *updateManifests {
		must.WriteFile(t, path, fresh)
		return
	}
	if !bytes.Equal(kept, fresh) {
		t.Errorf("%s does not have the flags of `fairway run` and the fields of BGPPeer as they are: go test ./e2e/install -run 'Generated|Schema' -update-manifests", path)
	}
}

// flagLine is one flag in the help of a command: name and type.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z0-9-]+)( \w+)?  +\S`)

// flagSchemas gives a schema for each flag of `fairway run` that the chart does not
// set itself.
func flagSchemas(t *testing.T) map[string]any {
	t.Helper()
	must.Reads(t, "../..")
	cmd := exec.CommandContext(t.Context(), "go", "run", "../../cmd/fairway", "run", "--help")
	// The default of --node is this machine's name.
	help, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("fairway run --help: %v\n%s", err, help)
	}
	out := map[string]any{}
	for _, m := range flagLine.FindAllStringSubmatch(string(help), -1) {
		name, kind := m[1], strings.TrimSpace(m[2])
		if slices.Contains([]string{"help", "node", "filename", "kubeconfig", "context", "namespace", "metrics-listen"}, name) {
			continue // the chart's own business (metrics.listen), or not for a Pod
		}
		out[name] = flagSchema(name, kind)
	}
	if len(out) < 8 {
		t.Fatalf("only %d flags found in the help of `fairway run`:\n%s", len(out), help)
	}
	return out
}

// loopback is what the daemon takes as the address of its status page.
const loopback = `(127(\.[0-9]{1,3}){3}|localhost|\[::1\]):[0-9]{1,5}`

func flagSchema(name, kind string) map[string]any {
	s := map[string]any{"type": "string"}
	switch {
	case name == "listen":
		s["pattern"], s["description"] = "^"+loopback+"$", "A loopback address and port: the status page has no authentication."
	case name == "grpc-address":
		s["pattern"], s["description"] = "^("+loopback+")?$", "A loopback address and port, or empty for none: GoBGP's API has no authentication."
	case kind == "":
		s["type"] = "boolean"
	case regexp.MustCompile(`^u?int`).MatchString(kind):
		s["type"] = "integer"
	case kind == "strings" || kind == "stringArray":
		s["type"], s["items"] = []any{"array", "string"}, map[string]any{"type": "string"}
	}
	return s
}

// peerSchema gives the schema of a BGPPeer's spec, without what only Kubernetes
// understands, and closed: a misspelt field is refused, not pruned.
func peerSchema(t *testing.T) any {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties struct {
							Spec map[string]any `json:"spec"`
						} `json:"properties"`
					} `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(must.ReadFile(t, filepath.Join(crds, "fairway.dev_bgppeers.yaml")), &crd); err != nil {
		t.Fatal(err)
	}
	return closed(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties.Spec)
}

func closed(schema map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range schema {
		if sub, ok := value.(map[string]any); ok && key != "properties" {
			value = closed(sub)
		}
		// Defaults are the API server's, and formats such as int64 are not JSON Schema's.
		if !strings.HasPrefix(key, "x-kubernetes-") && key != "default" && key != "format" {
			out[key] = value
		}
	}
	if properties, ok := schema["properties"].(map[string]any); ok {
		inner := map[string]any{}
		for name, sub := range properties {
			inner[name] = closed(sub.(map[string]any))
		}
		out["properties"], out["additionalProperties"] = inner, false
	}
	return out
}

// TestChartReachesEveryFlag gives each flag of `fairway run` a value in the chart,
// and the daemon must take the command line that comes of it.
func TestChartReachesEveryFlag(t *testing.T) {
	values := map[string]any{}
	want := []string{"run", "--node=$(NODE_NAME)"}
	flags := flagSchemas(t)
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		// Large enough for Helm to write it with an exponent, were it let.
		value, text := any("text-of-"+name), "text-of-"+name
		switch kind := flags[name].(map[string]any)["type"]; {
		case kind == "boolean":
			value, text = true, "true"
		case kind == "integer":
			value, text = 10000000, "10000000"
		case reflect.DeepEqual(kind, []any{"array", "string"}):
			value = []string{"text-of-" + name}
		}
		if name == "listen" || name == "grpc-address" {
			value, text = "127.0.0.1:7474", "127.0.0.1:7474"
		}
		values[name] = value
		want = append(want, "--"+name+"="+text)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	must.WriteFile(t, file, []byte(asYAML(t, map[string]any{"flags": values})))
	daemonSet := byName(t, rendered(t, file))["DaemonSet "+installNamespace+"/fairway"]
	container := daemonSet["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	var got []string
	for _, a := range container["args"].([]any) {
		got = append(got, a.(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("args\n%q\nwant\n%q", got, want)
	}
	probe, _, _ := unstructured.NestedStringSlice(container, "livenessProbe", "exec", "command")
	if !slices.Contains(probe, "--run-dir=text-of-run-dir") {
		t.Errorf("the probe is %q, and the daemon's folder is text-of-run-dir", probe)
	}
}

// TestAnOrdinaryUserHasNothingOfTheNode: no capability, no folder; and the chart refuses
// what such a user cannot do.
func TestAnOrdinaryUserHasNothingOfTheNode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	must.WriteFile(t, file, []byte("runAsNonRoot: true\nflags: {host: 'off'}\n"))
	text := asYAML(t, byName(t, rendered(t, file))["DaemonSet "+installNamespace+"/fairway"])
	for _, want := range []string{"runAsNonRoot: true", "runAsUser: 65532", "fsGroup: 65532", "readOnlyRootFilesystem: true", "- ALL"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, never := range []string{"NET_ADMIN", "hostPath", "runAsUser: 0", "add:"} {
		if strings.Contains(text, never) {
			t.Errorf("there is %q in\n%s", never, text)
		}
	}
	_, said, err := runTool(t, "helm", "template", "fairway", chart, "--set", "runAsNonRoot=true")
	if err == nil || !strings.Contains(said, "set flags.host to off too") {
		t.Errorf("%v: said %q", err, said)
	}
}

func TestChartRefusesWhatIsMisspelt(t *testing.T) {
	for set, want := range map[string]string{
		"flags.log-levle=debug":               "log-levle",
		"flags.listen=0.0.0.0:7473":           "listen",
		"flags.listen=:7473":                  "listen",
		"flags.grpc-address=0.0.0.0:50051":    "grpc-address",
		"peers.tor.peerAdress=192.0.2.1":      "peerAdress",
		"flag.log-level=debug":                "flag",
		"peers.tor.peerASN=many":              "peerASN",
		"capabilities={SYS_ADMIN}":            "capabilities",
		"updateStrategy.type=AllAtOnce":       "updateStrategy",
		"resources.limits.memory.much=indeed": "memory",
	} {
		_, said, err := runTool(t, "helm", "template", "fairway", chart, "--set", set)
		if err == nil || !strings.Contains(said, want) {
			t.Errorf("--set %s: %v, said %q; want it refused, naming %s", set, err, said, want)
		}
	}
}
