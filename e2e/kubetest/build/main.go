// Command build compiles the tests' kube-apiserver into the cache, shows how far
// it is, and prints the binary's path. Tests would build it themselves, but go
// test keeps back what they say until they are done.
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
	path, err := kubetest.Build(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}
