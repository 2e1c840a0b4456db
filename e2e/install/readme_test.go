package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// TestChartsReadmeIsGenerated from the values and what stands above and beside them.
func TestChartsReadmeIsGenerated(t *testing.T) {
	want := readme(t)
	path := filepath.Join(chart, "README.md")
	if *updateManifests {
		must.WriteFile(t, path, want)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, want) {
		t.Errorf("%s is not what values.yaml makes: go test ./e2e/install -run Generated -update-manifests (-file +values):\n%s", path, cmp.Diff(string(got), string(want)))
	}
}

// readme is the chart's README.
func readme(t *testing.T) []byte {
	t.Helper()
	var values, about yaml.Node
	for file, into := range map[string]*yaml.Node{"values.yaml": &values, "Chart.yaml": &about} {
		if err := yaml.Unmarshal(must.ReadFile(t, filepath.Join(chart, file)), into); err != nil {
			t.Fatal(err)
		}
	}
	var meta struct {
		Description string
		KubeVersion string `yaml:"kubeVersion"`
	}
	if err := about.Decode(&meta); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `# The Fairway chart

<!-- Made by `+"`make golden`"+` from values.yaml; do not edit. -->

%s. Kubernetes %s.

`+"```sh not-run: needs a cluster"+`
helm install fairway manifests/chart --namespace fairway-system --create-namespace \
  --values manifests/chart/examples/one-tor.yaml
`+"```"+`

[docs/install.md](../../docs/install.md) has the rest: where the image comes from, what a daemon may do, upgrade and removal.
`+"`examples/`"+` has values for common networks, and values.schema.json refuses what is misspelt.

| value | default | meaning |
|---|---|---|
`, meta.Description, strings.TrimSuffix(meta.KubeVersion, "-0"))
	writeValues(t, &b, "", values.Content[0])
	return b.Bytes()
}

// writeValues writes a row for each value of a map, and for those in it where something is
// said of one of them.
func writeValues(t *testing.T, b *bytes.Buffer, path string, of *yaml.Node) {
	t.Helper()
	for i := 0; i+1 < len(of.Content); i += 2 {
		key, value := of.Content[i], of.Content[i+1]
		meaning := comment(key.HeadComment, key.LineComment, value.LineComment)
		parts := value.Kind == yaml.MappingNode && saysSomething(value)
		if meaning == "" && path == "" && !parts {
			t.Errorf("values.yaml: nothing is said of %s: write above it what it is for", key.Value)
		}
		for _, item := range value.Content {
			if value.Kind == yaml.SequenceNode && item.LineComment != "" {
				meaning += fmt.Sprintf(" `%s`: %s;", item.Value, comment(item.LineComment))
			}
		}
		shown := ""
		if !parts {
			shown = "`" + compact(t, value) + "`"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", path, key.Value, shown, strings.ReplaceAll(strings.TrimSuffix(meaning, ";"), "|", `\|`))
		if parts {
			writeValues(t, b, path+key.Value+".", value)
		}
	}
}

// saysSomething reports whether a comment is about a value of the map.
func saysSomething(of *yaml.Node) bool {
	for i := 0; i+1 < len(of.Content); i += 2 {
		if comment(of.Content[i].HeadComment, of.Content[i].LineComment, of.Content[i+1].LineComment) != "" {
			return true
		}
	}
	return false
}

// comment gives comments as one line. What is apart from the value by an empty line is
// about the file. A line that is indented is an example, set as code.
func comment(texts ...string) string {
	var words []string
	for _, text := range texts {
		paragraphs := strings.Split(text, "\n\n")
		for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
			line = strings.TrimPrefix(strings.TrimRight(line, "\n"), "#")
			if strings.HasPrefix(line, "  ") {
				line = "`" + strings.TrimSpace(line) + "`"
			}
			words = append(words, strings.Fields(line)...)
		}
	}
	return strings.Join(words, " ")
}

// compact gives a value in one line.
func compact(t *testing.T, value *yaml.Node) string {
	t.Helper()
	var v any
	if err := value.Decode(&v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
