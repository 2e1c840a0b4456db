package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// errorsFile has what each command line ends with; UPDATE_SCRIPTS=1 rewrites it.
const errorsFile = "testdata/errors.txt"

// TestErrorsSayWhatToDo: whoever reads one at night knows the next step.
func TestErrorsSayWhatToDo(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("HOME", folder)
	t.Setenv("KUBECONFIG", "")
	good := filepath.Join(folder, "good.yaml")
	write(t, good, exitInput)
	write(t, filepath.Join(folder, "broken"), "no: [kubeconfig")
	write(t, filepath.Join(folder, "closed"), kubeconfigFor("http://127.0.0.1:1"))
	for name, code := range map[string]int{"unknown": http.StatusUnauthorized, "forbidden": http.StatusForbidden, "bare": http.StatusNotFound} {
		write(t, filepath.Join(folder, name), kubeconfigFor(apiThatSays(t, code)))
	}
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	other.Config.ErrorLog = nil
	write(t, filepath.Join(folder, "other"), kubeconfigFor(other.URL))
	var got strings.Builder
	for _, line := range []string{
		"plan", "status --cluster", "check --cluster", "drain n1",
		"plan --kubeconfig DIR/nowhere", "plan --kubeconfig DIR/broken", "plan --kubeconfig DIR/closed --context prod",
		"plan --kubeconfig DIR/closed", "why routed --kubeconfig DIR/closed", "status --cluster --kubeconfig DIR/closed", "drain n1 --kubeconfig DIR/closed",
		"status --cluster --kubeconfig DIR/unknown", "status --cluster --kubeconfig DIR/forbidden", "status --cluster --kubeconfig DIR/bare", "check --cluster --kubeconfig DIR/other",
		"status --address 127.0.0.1:1", "check --address 127.0.0.1:1", "plan --diff --address 127.0.0.1:1", "probe ready --run-dir DIR",
		"plan -f DIR/nowhere", "run --node n1 -f DIR/nowhere", "run --node n1 -f DIR/good.yaml --host on", "run --node n1 -f DIR/good.yaml --bgp-port 70000",
		"plan -f DIR/good.yaml --node n2", "plan -f DIR/good.yaml --without n2", "plan -f DIR/good.yaml -o frr --check DIR/nowhere", "why rooted -f DIR/good.yaml",
		"plan -o yaml", "plan --wihtout n1", "chek", "why", "drain", "check --trace ext web", "check --trace 192.0.2.1 2001:db8::1", "plan -w -f -",
		"lab up --router quagga", "lab down --prefix Lab", "lab exec --prefix none- n1 true",
	} {
		var out, problems bytes.Buffer
		code := run(append([]string{"fairway"}, strings.Fields(strings.ReplaceAll(line, "DIR", folder))...), strings.NewReader(""), &out, &problems)
		fmt.Fprintf(&got, "$ fairway %s\n%sexit %d\n\n", line, problems.String(), code)
	}
	text := strings.NewReplacer(folder, "DIR", other.Listener.Addr().String(), "ADDRESS").Replace(got.String())
	// Which of the kinds is asked for first is chance.
	text = regexp.MustCompile(`read (BGPPeer|Node|Subnet) of`).ReplaceAllString(text, "read KIND of")
	if os.Getenv("UPDATE_SCRIPTS") != "" {
		write(t, errorsFile, text)
	}
	want, err := os.ReadFile(errorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("UPDATE_SCRIPTS=1 rewrites %s (-file +program):\n%s", errorsFile, diff)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func kubeconfigFor(server string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
  clusters: [{name: c, cluster: {server: %q}}], users: [{name: u, user: {token: t}}], contexts: [{name: c, context: {cluster: c, user: u}}]}`, server)
}

// apiThatSays answers everything with a status, in the words of an API server.
func apiThatSays(t *testing.T, code int) string {
	reason := map[int]string{http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden"}[code]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if reason == "" { // what it says of a path that it does not know
			http.Error(w, "404 page not found", code)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"%s: User \"u\" cannot list resource \"speakers\" at the cluster scope","reason":%q,"code":%d}`,
			strings.ToLower(reason), reason, code)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
