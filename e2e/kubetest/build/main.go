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
	"syscall"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
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
	path, err := kubetest.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Println(path)
	for _, name := range kubetest.Tools() {
		if path, err = kubetest.Tool(ctx, name, os.Stderr); err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
