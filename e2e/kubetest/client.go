package kubetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// URL is where the API server listens; it stays the same over restarts.
func (s *Server) URL() string { return s.URLFor(s.host) }

// URLFor is the URL by way of another of the host's addresses.
func (s *Server) URLFor(host string) string { return "https://" + net.JoinHostPort(host, s.port) }

// AdminToken is the token of a member of system:masters, who may do everything.
func (s *Server) AdminToken() string { return s.adminToken }

// Authority is the certificate, in PEM, that the server is to be verified with.
func (s *Server) Authority() []byte { return bytes.Clone(s.authority) }

// Config is the administrator's, without the client-side rate limit, which would
// be what a test measures.
func (s *Server) Config() *rest.Config { return s.ConfigFor(s.adminToken) }

// ConfigFor is the configuration of whoever the token belongs to.
func (s *Server) ConfigFor(token string) *rest.Config {
	return &rest.Config{
		Host: s.URL(), BearerToken: token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: s.Authority()},
	}
}

// WriteKubeconfig writes a kubeconfig with the token, readable by its owner alone,
// for the server at host ("" for its own address), and gives the path.
func (s *Server) WriteKubeconfig(folder, host, token, namespace string) (string, error) {
	if host == "" {
		host = s.host
	}
	c := clientcmdapi.NewConfig()
	c.Clusters["test"] = &clientcmdapi.Cluster{Server: s.URLFor(host), CertificateAuthorityData: s.Authority()}
	c.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test", Namespace: namespace}
	c.CurrentContext = "test"
	f, err := os.CreateTemp(folder, "kubeconfig-*.yaml")
	if err != nil {
		return "", fmt.Errorf("kubeconfig: %w", err)
	}
	defer f.Close()
	c.AuthInfos["test"] = &clientcmdapi.AuthInfo{TokenFile: TokenFile(f.Name())}
	if err := os.WriteFile(TokenFile(f.Name()), []byte(token), 0o600); err != nil {
		return "", fmt.Errorf("kubeconfig: %w", err)
	}
	if err := clientcmd.WriteToFile(*c, f.Name()); err != nil {
		return "", fmt.Errorf("kubeconfig %s: %w", f.Name(), err)
	}
	return f.Name(), nil
}

// TokenFile is where the token of a kubeconfig is, as a Pod's is: it may be replaced.
func TokenFile(kubeconfig string) string { return kubeconfig + ".token" }

// Apply applies a stream of YAML or JSON documents, in order, by server-side apply
// as field manager kubetest, as `kubectl apply --server-side --force-conflicts`
// does. An object whose kind a CRD before it brings waits for that CRD.
func (s *Server) Apply(ctx context.Context, stream []byte) error {
	objects, err := Objects(stream)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := ApplyObject(ctx, s.Config(), o); err != nil {
			return err
		}
	}
	return nil
}

// ApplyFile applies a file, named relative to the repository's root.
func (s *Server) ApplyFile(ctx context.Context, path string) error {
	b, err := os.ReadFile(filepath.Join(s.root, path))
	if err != nil {
		return err
	}
	if err := s.Apply(ctx, b); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Objects parses a stream of YAML or JSON documents; a List counts as its items.
func Objects(stream []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	for n := 1; ; n++ {
		o := &unstructured.Unstructured{}
		err := decoder.Decode(&o.Object)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("document %d: %w", n, err)
		case len(o.Object) == 0:
			continue
		case !o.IsList():
			out = append(out, o)
			continue
		}
		list, err := o.ToList()
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		for i := range list.Items {
			out = append(out, &list.Items[i])
		}
	}
}

// ApplyObject applies one object as whoever the configuration belongs to. Its status,
// if it has one, is applied as well, as the controller would that is not here. A
// CRD is waited for until its kind is served.
func ApplyObject(ctx context.Context, config *rest.Config, o *unstructured.Unstructured) error {
	resource, err := Resource(config, o)
	if err != nil {
		return err
	}
	_, err = resource.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: "kubetest", Force: true})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	if o.Object["status"] != nil && o.GetKind() != "CustomResourceDefinition" {
		if _, err := resource.ApplyStatus(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: "kubetest-status", Force: true}); err != nil {
			return fmt.Errorf("apply status of %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	if o.GetKind() == "CustomResourceDefinition" {
		if err := awaitEstablished(ctx, resource, o.GetName()); err != nil {
			return err
		}
		return awaitDiscovered(ctx, config, o)
	}
	return nil
}

// awaitDiscovered waits until a CRD's kind is in the discovery document, which is a
// moment after it is established.
func awaitDiscovered(ctx context.Context, config *rest.Config, crd *unstructured.Unstructured) error {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	like := &unstructured.Unstructured{}
	for _, v := range versions {
		if v, ok := v.(map[string]any); ok && v["served"] == true {
			version, _ := v["name"].(string)
			like.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: version, Kind: kind})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, establishedBound)
	defer cancel()
	for {
		_, err := Resource(config, like)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("CRD %s: not discovered after %s: %w", crd.GetName(), establishedBound, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Resource gives access to objects of the same kind, and in the same namespace, as
// the given one. Discovery is asked each time: CRDs come and go in tests.
func Resource(config *rest.Config, like *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	names, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := restmapper.GetAPIGroupResources(names)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	kind := like.GroupVersionKind()
	mapping, err := restmapper.NewDiscoveryRESTMapper(groups).RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return client.Resource(mapping.Resource).Namespace(like.GetNamespace()), nil
	}
	return client.Resource(mapping.Resource), nil
}

// establishedBound is how long a CRD may take to be served; about a second is usual.
const establishedBound = 30 * time.Second

func awaitEstablished(ctx context.Context, resource dynamic.ResourceInterface, name string) error {
	ctx, cancel := context.WithTimeout(ctx, establishedBound)
	defer cancel()
	for {
		crd, err := resource.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("wait for CRD %s: %w", name, err)
		}
		if condition(crd, "Established") == "True" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("CRD %s: not served after %s: %v", name, establishedBound, crd.Object["status"])
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// condition gives the status of the condition of that type, "" without one.
func condition(o *unstructured.Unstructured, kind string) string {
	all, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range all {
		if c, ok := c.(map[string]any); ok && c["type"] == kind {
			status, _ := c["status"].(string)
			return status
		}
	}
	return ""
}
