package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/needs"
	"github.com/fairway-bgp/fairway/lab"
)

// traffic is a lab in which an outside client pings Pods all the time, so that a
// change shows what it costs. Besides the distributed Subnet of every lab it has a
// gateway Subnet of each kind, on n1 and n2, with Pods on n3.
type traffic struct {
	*lab.Lab
	*testing.T
}

// pingEvery is the time between two pings of one stream.
const pingEvery = 2 * time.Millisecond

// flow is what a Subnet's traffic is called, with its CIDRs and its Pod's addresses.
type flow struct {
	name  string
	cidrs []netip.Prefix
	pod   []netip.Addr
}

// flows are the Subnets in question.
func flows() []flow {
	out := []flow{{name: "distributed"}, {name: "ECMP gateways"}, {name: "standby"}, {name: "no standby"}}
	for i := range out {
		out[i].cidrs = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/16", 166+2*i)), netip.MustParsePrefix(fmt.Sprintf("fd00:10:%d::/64", 166+2*i))}
		for _, cidr := range out[i].cidrs {
			out[i].pod = append(out[i].pod, hostOf(cidr, 20))
		}
	}
	return out
}

// hostOf gives a host of a network by its last byte.
func hostOf(network netip.Prefix, last byte) netip.Addr {
	a := network.Addr().AsSlice()
	a[len(a)-1] = last
	addr, _ := netip.AddrFromSlice(a)
	return addr
}

// clients are addresses of the outside client, enough of them for a router's hash to
// send one by any given node.
func clients(is6 bool) []netip.Prefix {
	network := netip.MustParsePrefix("198.51.100.0/24")
	if is6 {
		network = netip.MustParsePrefix("2001:db8:100::/64")
	}
	var out []netip.Prefix
	for i := range byte(48) {
		out = append(out, netip.PrefixFrom(hostOf(network, 100+i), network.Bits()))
	}
	return out
}

// trafficObjects are the Subnets and Pods that a lab does not have from the start.
func trafficObjects() string {
	var b strings.Builder
	for i, f := range flows() {
		name := strings.ToLower(strings.ReplaceAll(f.name, " ", "-"))
		spec := map[string]string{"ECMP gateways": ", enableEcmp: true"}[f.name]
		annotation := map[string]string{"standby": `, fairway.dev/standby: "true"`}[f.name]
		if i == 0 {
			name = "routed" // the lab's own
		} else {
			fmt.Fprintf(&b, "---\n{apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: %s, annotations: {fairway.dev/advertise: \"true\"%s}}, spec: {cidrBlock: \"%s,%s\", gatewayType: centralized, gatewayNode: \"n1,n2\"%s}}\n",
				name, annotation, f.cidrs[0], f.cidrs[1], spec)
		}
		fmt.Fprintf(&b, "---\n{apiVersion: v1, kind: Pod, metadata: {name: %s, annotations: {ovn.kubernetes.io/logical_switch: %s, ovn.kubernetes.io/ip_address: \"%s,%s\"}}, spec: {nodeName: n3}}\n",
			name, name, f.pod[0], f.pod[1])
	}
	return b.String()
}

// clusterFolder gives a folder with everything that the lab will have, for the
// export of the router's side, with the BGPPeer's spec amended.
func clusterFolder(t *testing.T, peerSpec string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"nodes", "subnet-routed"} {
		text, err := os.ReadFile("../lab/cluster/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, file+".yaml"), text)
	}
	writeFile(t, filepath.Join(dir, "traffic.yaml"), []byte(trafficObjects()))
	writeFile(t, filepath.Join(dir, "bgppeer-tor.yaml"), []byte(trafficPeer(peerSpec)))
	return dir
}

func trafficPeer(spec string) string {
	return "{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: tor}, spec: {peerAddress: 172.30.0.1, peerASN: 65000, localASN: 65001" + spec + "}}\n"
}

// newTraffic starts a lab of its own whose router's configuration is the lab's,
// or what `fairway plan -o EXPORT` prints with edit made to it.
func newTraffic(t *testing.T, router lab.Router, export string, edit func(string) string, peerSpec string, daemonFlags ...string) *traffic {
	t.Helper()
	needs.Root(t, "ip", "nft")
	// The usual state folder: FRR's daemons are not root and must reach theirs.
	o := lab.Options{Prefix: fmt.Sprintf("fwt%d-", os.Getpid()), Binary: program.Build(t), Router: router, DaemonFlags: daemonFlags}
	if export != "" {
		o.RouterConfig = edit(mustRun(t, o.Binary, "plan", "-f", clusterFolder(t, peerSpec), "-o", export))
	}
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, log := range []string{"n1", "bgpd", "bird"} {
				text, _ := os.ReadFile(filepath.Join(l.State, "log", log+".log"))
				lines := strings.Split(string(text), "\n")
				t.Logf("%s: %s", log, strings.Join(lines[max(0, len(lines)-40):], "\n"))
			}
		}
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := &traffic{l, t}
	for _, is6 := range []bool{false, true} {
		for _, c := range clients(is6) {
			argv := []string{"ip", "addr", "add", c.String(), "dev", "eth0"}
			if is6 {
				argv = append(argv, "nodad")
			}
			if out, err := w.Command(t.Context(), "ext", argv...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	w.write("bgppeer-tor.yaml", trafficPeer(peerSpec))
	w.write("traffic.yaml", trafficObjects())
	w.everywhere("n1", "n2", "n3")
	return w
}

func (w *traffic) write(file, text string) {
	w.Helper()
	if err := w.WriteYAML(file, text); err != nil {
		w.Fatal(err)
	}
}

// everywhere waits until the router reaches each Subnet by those of the given nodes
// that are its announcers: all of them, both gateways, or the first gateway.
func (w *traffic) everywhere(nodes ...string) {
	w.Helper()
	for _, f := range flows() {
		by := slices.Clone(nodes)
		if f.name != "distributed" {
			by = slices.DeleteFunc(by, func(n string) bool { return n == "n3" })
		}
		switch {
		case f.name == "no standby" && by[0] != "n1":
			continue // nobody takes over
		case f.name == "standby" || f.name == "no standby":
			by = by[:1]
		}
		for _, cidr := range f.cidrs {
			if err := w.WaitForRoute(w.Context(), "tor", cidr, lab.NodeAddresses(cidr.Addr().Is6(), by...)...); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// streamsBy starts a stream in each family to a Pod of each of these Subnets that
// the router reaches by a node.
func (w *traffic) streamsBy(node string, names ...string) map[string]*lab.Stream {
	w.Helper()
	out := map[string]*lab.Stream{}
	for _, f := range flows() {
		if !slices.Contains(names, f.name) {
			continue
		}
		for _, pod := range f.pod {
			out[f.name+map[bool]string{false: " IPv4", true: " IPv6"}[pod.Is6()]] = w.streamBy(node, pod)
		}
	}
	return out
}

// streamBy starts a stream to a Pod from the first client that the router sends by a
// node.
func (w *traffic) streamBy(node string, pod netip.Addr) *lab.Stream {
	w.Helper()
	for i, client := range clients(pod.Is6()) {
		s := w.answered(client.Addr(), pod)
		if i == 0 { // the Pod may just have started
			s.Stop()
			s = w.answered(client.Addr(), pod)
		}
		in, _, err := w.StreamPath(w.Context(), s)
		if err != nil {
			w.Fatal(err)
		}
		if in == node {
			return s
		}
		s.Stop()
	}
	w.Fatalf("the router sends no client to %s by %s", pod, node)
	return nil
}

// answered starts a stream and waits for an answer.
func (w *traffic) answered(client, pod netip.Addr) *lab.Stream {
	w.Helper()
	s, err := w.StartStreamFrom("ext", client, pod, pingEvery)
	if err != nil {
		w.Fatal(err)
	}
	if err := s.WaitForAnswer(w.Context()); err != nil {
		w.Fatal(err)
	}
	return s
}

// costs stops the streams and gives what each lost, in the order of their names.
func (w *traffic) costs(streams map[string]*lab.Stream) map[string]lab.Loss {
	out := map[string]lab.Loss{}
	for name, s := range streams {
		out[name] = s.Stop()
	}
	return out
}
