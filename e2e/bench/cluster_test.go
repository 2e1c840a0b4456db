package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
)

// namespace is that of the daemon's ServiceAccount and Leases.
const namespace = "fairway-system"

// cluster is an API server with what an administrator installs, and Kube-OVN's CRD.
type cluster struct {
	*lab
	server  *kubetest.Server
	web     *http.Client
	subnets dynamic.ResourceInterface
	// down counts bytes from the API server to daemons, up those to it.
	down, up atomic.Int64
}

func newCluster(l *lab) *cluster {
	l.Helper()
	c := &cluster{lab: l, server: kubetest.StartForTest(l)}
	if err := c.server.InstallCRDs(c.ctx()); err != nil {
		l.Fatal(err)
	}
	for _, file := range []string{"namespace", "rbac", "admission"} {
		if err := c.server.ApplyFile(c.ctx(), "manifests/base/"+file+".yaml"); err != nil {
			l.Fatal(err)
		}
	}
	var err error
	if c.web, err = rest.HTTPClientFor(c.server.Config()); err == nil {
		c.subnets, err = kubetest.Resource(c.server.Config(), newSubnet())
	}
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// ctx outlives the test, for clean-up.
func (c *cluster) ctx() context.Context { return context.WithoutCancel(c.Context()) }

// newNode makes a Node whose namespace reaches the API server, and gives a kubeconfig with the
// rights of the daemon there.
func (c *cluster) newNode(name, space, address string) (kubeconfig string) {
	c.Helper()
	_, err := c.server.MakeNode(c.ctx(), name, address)
	if err == nil {
		err = c.relay(space)
	}
	token := ""
	if err == nil {
		token, err = c.server.PodToken(c.ctx(), namespace, "fairway", name)
	}
	if err == nil {
		kubeconfig, err = c.server.WriteKubeconfig(c.dir, "", token, namespace)
	}
	if err != nil {
		c.Fatalf("node %s: %v", name, err)
	}
	return kubeconfig
}

// relay makes the API server reachable from a namespace, at the same address.
func (c *cluster) relay(space string) error {
	address := strings.TrimPrefix(c.server.URL(), "https://")
	var listener net.Listener
	if err := within(space, func() (err error) { listener, err = net.Listen("tcp", address); return err }); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	c.Cleanup(func() { listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go c.carry(near, address)
		}
	}()
	return nil
}

// carry joins a connection to the API server, and counts.
func (c *cluster) carry(near net.Conn, address string) {
	defer near.Close()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	done := make(chan struct{}, 2)
	copyTo := func(to, from net.Conn, count *atomic.Int64) {
		io.Copy(counted{to, count}, from) // ends with the connection
		done <- struct{}{}
	}
	go copyTo(near, far, &c.down)
	go copyTo(far, near, &c.up)
	<-done
}

// counted counts what is written.
type counted struct {
	io.Writer
	n *atomic.Int64
}

// Write implements io.Writer.
func (c counted) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.n.Add(int64(n))
	return n, err
}

func (c *cluster) apply(format string, values ...any) {
	c.Helper()
	if err := c.server.Apply(c.ctx(), fmt.Appendf(nil, format, values...)); err != nil {
		c.Fatal(err)
	}
}

// peer makes the one BGPPeer, or changes it.
func (c *cluster) peer(r *router) {
	c.Helper()
	c.apply("{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: %s, peerASN: %d, localASN: %d, connectRetryTime: 1s}}", r.far, routerASN, nodeASN)
}

func newSubnet() *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("kubeovn.io/v1")
	o.SetKind("Subnet")
	return o
}

// cidr is that of the i-th Subnet.
func cidr(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
}

// subnetName is that of the i-th Subnet.
func subnetName(i int) string { return fmt.Sprintf("s%d", i) }

// validated is a Subnet's status as Kube-OVN's controller leaves it.
const validated = `{"status":{"conditions":[
	{"type":"Validated","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"},
	{"type":"Ready","status":"True","lastUpdateTime":"2026-01-02T03:04:05Z","lastTransitionTime":"2026-01-02T03:04:05Z"}]}}`

// manySubnets makes Subnets from one number up to another, some at a time.
func (c *cluster) manySubnets(from, to int) {
	c.Helper()
	numbers := make(chan int)
	var working sync.WaitGroup
	for range 16 {
		working.Go(func() {
			for i := range numbers {
				if err := c.makeSubnet(i); err != nil {
					c.Errorf("Subnet %s: %v", subnetName(i), err)
				}
			}
		})
	}
	for i := from; i < to; i++ {
		numbers <- i
	}
	close(numbers)
	working.Wait()
	if c.Failed() {
		c.FailNow()
	}
}

func (c *cluster) makeSubnet(i int) error {
	o := newSubnet()
	o.SetName(subnetName(i))
	o.SetAnnotations(map[string]string{"fairway.dev/advertise": "true"})
	o.Object["spec"] = map[string]any{"cidrBlock": cidr(i).String(), "vpc": "ovn-cluster", "provider": "ovn", "gatewayType": "distributed"}
	if _, err := c.subnets.Create(c.ctx(), o, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err := c.subnets.Patch(c.ctx(), o.GetName(), types.MergePatchType, []byte(validated), metav1.PatchOptions{}, "status")
	return err
}

// advertise annotates a Subnet, or takes the annotation away, and gives the moment at which
// the API server had answered.
func (c *cluster) advertise(i int, yes bool) time.Time {
	c.Helper()
	value := "null"
	if yes {
		value = `"true"`
	}
	body := fmt.Appendf(nil, `{"metadata":{"annotations":{"fairway.dev/advertise":%s}}}`, value)
	if _, err := c.subnets.Patch(c.ctx(), subnetName(i), types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		c.Fatal(err)
	}
	return time.Now()
}

// metrics gives the API server's own counters of a name, by their labels.
func (c *cluster) metrics(name string) map[string]float64 {
	c.Helper()
	answer, err := c.web.Get(c.server.URL() + "/metrics")
	if err != nil {
		c.Fatal(err)
	}
	defer answer.Body.Close()
	return readMetrics(answer.Body, name)
}

// readMetrics reads the series of one name from Prometheus' text format.
func readMetrics(text io.Reader, name string) map[string]float64 {
	out := map[string]float64{}
	for s := bufio.NewScanner(text); s.Scan(); {
		i := strings.LastIndexByte(s.Text(), ' ')
		labels, ours := strings.CutPrefix(s.Text()[:max(0, i)], name)
		var n float64
		if _, err := fmt.Sscan(s.Text()[i+1:], &n); err == nil && ours && (labels == "" || labels[0] == '{') {
			out[labels] = n
		}
	}
	return out
}
