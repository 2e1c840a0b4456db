package kube

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/objects"
)

// Access says how to reach an API server.
type Access struct {
	// Kubeconfig is a path; empty for $KUBECONFIG, ~/.kube/config, or what a Pod
	// finds in its file system.
	Kubeconfig string
	// Context is one of the kubeconfig's; empty for its current one.
	Context string
	// Namespace is Fairway's own, with its Secrets and its Lease; empty for the
	// one of the context, or of the Pod.
	Namespace string
}

// Limits of the client itself. The API server has its own (priority and
// fairness); these only bound a mistake of ours.
const (
	mostRequests = 50
	mostBurst    = 100
)

// requestBound is how long one request may take that is neither a watch nor a list, and
// listBound a list, which may be of 10,000 objects and come from a server that all
// daemons of a cluster ask at once.
const (
	requestBound = 15 * time.Second
	listBound    = time.Minute
)

// Cluster is an API server and the right to talk to it. Nothing is running in
// it: connections are made as requests need them.
type Cluster struct {
	server, namespace string
	config            *rest.Config
	clients           map[schema.GroupVersion]rest.Interface
	clock             clock
}

// Connect reads the kubeconfig, or what a Pod has in its place. It asks the API
// server nothing.
func Connect(a Access) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{
		CurrentContext: a.Context, Context: clientcmdapi.Context{Namespace: a.Namespace},
	})
	config, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, troubled{errors.New("connect to the cluster: no kubeconfig, and this is no Pod"), NoConfig}
	}
	if err != nil {
		return nil, troubled{fmt.Errorf("connect to the cluster: %w", err), NoConfig}
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return connect(config, namespace)
}

func connect(config *rest.Config, namespace string) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = mostRequests, mostBurst
	config.UserAgent = "fairway"
	config.WarningHandler = rest.NoWarnings{}
	transport, err := httpClient(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	c := &Cluster{server: config.Host, namespace: namespace, config: config, clients: map[schema.GroupVersion]rest.Interface{}}
	transport = c.clock.listening(transport)
	for _, gv := range versions() {
		if c.clients[gv], err = clientFor(config, gv, transport); err != nil {
			return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
		}
	}
	return c, nil
}

// How long the network may be silent. An API server that is cut off, rather than
// gone, is noticed within pingAfter and pingBound, and found again soon after it
// is back: with client-go's own 45 s, and its 30 s for a connection, TCP's
// retransmissions would decide when that is.
const (
	pingAfter  = 5 * time.Second
	pingBound  = 3 * time.Second
	dialBound  = 2 * time.Second
	helloBound = 3 * time.Second
)

// httpClient gives the one client for all requests. A kubeconfig that gets its
// credentials from a program keeps client-go's own.
func httpClient(config *rest.Config) (*http.Client, error) {
	if config.ExecProvider != nil || config.AuthProvider != nil || config.Transport != nil || config.Dial != nil {
		return rest.HTTPClientFor(config)
	}
	tls, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	base := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: tls, TLSHandshakeTimeout: helloBound,
		DialContext:       (&net.Dialer{Timeout: dialBound, KeepAlive: pingAfter}).DialContext,
		ForceAttemptHTTP2: true,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingBound},
	}
	if config.Proxy != nil {
		base.Proxy = config.Proxy
	}
	wrapped, err := rest.HTTPWrappersForConfig(config, base)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: wrapped}, nil
}

// clientFor gives a client of one API version that speaks JSON: converting is
// this package's own business.
func clientFor(config *rest.Config, gv schema.GroupVersion, transport *http.Client) (rest.Interface, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &gv, "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = rawCodecs()
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	return rest.RESTClientForConfigAndClient(config, transport)
}

// Server is the API server's address, for people.
func (c *Cluster) Server() string { return c.server }

// Namespace is Fairway's own.
func (c *Cluster) Namespace() string { return c.namespace }

// versions are those of everything that is read or written.
func versions() []schema.GroupVersion {
	return []schema.GroupVersion{coreVersion(), kubeOVNVersion(), v1alpha1.GroupVersion(), leaseVersion(), appsVersion()}
}

func coreVersion() schema.GroupVersion { return schema.GroupVersion{Version: "v1"} }

func kubeOVNVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "kubeovn.io", Version: "v1"}
}

func leaseVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "coordination.k8s.io", Version: "v1"}
}

func appsVersion() schema.GroupVersion { return schema.GroupVersion{Group: "apps", Version: "v1"} }

// resource is a kind as the API server names it in paths.
type resource struct {
	version      schema.GroupVersion
	plural, kind string
}

func subnetResource() resource { return resource{kubeOVNVersion(), "subnets", objects.KindSubnet} }
func vlanResource() resource   { return resource{kubeOVNVersion(), "vlans", objects.KindVlan} }
func nodeResource() resource   { return resource{coreVersion(), "nodes", objects.KindNode} }
func podResource() resource    { return resource{coreVersion(), "pods", objects.KindPod} }
func secretResource() resource { return resource{coreVersion(), "secrets", objects.KindSecret} }
func peerResource() resource {
	return resource{v1alpha1.GroupVersion(), "bgppeers", objects.KindBGPPeer}
}
func daemonSetResource() resource { return resource{appsVersion(), "daemonsets", "DaemonSet"} }
func speakerResource() resource   { return resource{v1alpha1.GroupVersion(), "speakers", kindSpeaker} }
func leaseResource() resource     { return resource{leaseVersion(), "leases", "Lease"} }

// kindSpeaker is the kind of what the nodes say of themselves. It is no input, so that
// package objects does not know it.
const kindSpeaker = "Speaker"

// String gives "subnets.kubeovn.io", as RBAC and kubectl have it.
func (r resource) String() string { return r.version.WithResource(r.plural).GroupResource().String() }

// at begins a request for an object, or for all of them with name "".
func (c *Cluster) at(req *rest.Request, r resource, namespace, name string) *rest.Request {
	req = req.NamespaceIfScoped(namespace, namespace != "").Resource(r.plural)
	if name != "" {
		req = req.Name(name)
	}
	return req.Timeout(requestBound)
}
