// Command build compiles what the tests of an installation need and the cache does
// not have yet, kube-apiserver and the tools, and shows how far it is. Tests would
// build them themselves, but go test keeps back what they say until they are done,
// and counts the minutes against -timeout.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/progress"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := build(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(ctx context.Context) error {
	steps := progress.New(os.Stderr)
	defer steps.End()
	path, err := kubetest.Build(ctx, steps)
	if err != nil {
		return err
	}
	paths := []string{path}
	for _, name := range kubetest.Tools() {
		if path, err = kubetest.Tool(ctx, name, steps); err != nil {
			return err
		}
		paths = append(paths, path)
	}
	steps.End()
	_, err = fmt.Println(strings.Join(paths, "\n"))
	return err
}
