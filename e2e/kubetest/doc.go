// Package kubetest runs a real Kubernetes API server for tests: kube-apiserver,
// built from its Go module in e2e/kubetest/apiserver, beside Debian's etcd.
//
// Flow: Build compiles kube-apiserver once into a cache folder (build.go) ->
// Start runs etcd and the server on loopback (server.go, process.go) -> a test
// talks to it as administrator or with the token of a ServiceAccount
// (client.go, token.go). Both processes can be killed, paused and started again
// at the same address with the same data, which is what the stories about an
// API server that goes away need.
//
// There is no kubelet, no scheduler and no controller-manager: Nodes and Pods
// are what the test writes, ServiceAccounts get no token by themselves, and
// nothing collects what lost its owner.
package kubetest
