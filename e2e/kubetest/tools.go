package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fairway-bgp/fairway/progress"
)

// Tools are the programs of the module in folder tools that tests run.
func Tools() []string { return []string{"controller-gen", "helm", "kustomize"} }

// Tool gives the path of one of Tools, built if need be: about three minutes for
// all of them the first time, a second when nothing changed.
func Tool(ctx context.Context, name string, w io.Writer) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	defer progress.While(w, "kubetest: building "+name+", unless it is in Go's cache", progressEvery)()
	// -n prints the path of what it built, in Go's cache.
	cmd := politely(ctx, "go", "tool", "-n", name)
	cmd.Dir = filepath.Join(root, "tools")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build tool %s: %w\n%s", name, err, said.String())
	}
	path := strings.TrimSpace(string(out))
	if _, err := exec.LookPath(path); err != nil {
		return "", fmt.Errorf("build tool %s: %w", name, err)
	}
	return path, nil
}
