// Command kube-apiserver is the real Kubernetes API server, built from its Go
// module, for the tests below e2e. It is a module of its own, so that Kubernetes'
// replaces and checksums stay out of Fairway's.
//
// Flow: package kubetest builds this once into a cache folder and runs the binary
// beside etcd. Nothing of it is part of the product.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() { os.Exit(cli.Run(app.NewAPIServerCommand())) }
