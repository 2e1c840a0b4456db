package install

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-bgp/fairway/e2e/kubetest"
	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// container plays what a container runtime makes of the Pod, as far as a shell can:
// everything read-only but the Pod's volumes, /proc/sys too, what a ServiceAccount's
// Pod finds in /var/run, user 0 with the capabilities of the Pod alone. Not played:
// seccomp.
//
// Arguments: folder with the ServiceAccount's files, bounding set, program and its
// arguments.
const container = `set -e
account=$1 bounding=$2
shift 2
mount --make-rprivate /
mount -t tmpfs none /var/lib
mkdir /var/lib/fairway
mount -t tmpfs none /var/lib/fairway
mount -o remount,ro /var/lib
mount -t tmpfs none /run
mkdir -p /run/fairway /run/secrets/kubernetes.io /run/host-sysctls/net
mount --bind /proc/sys/net /run/host-sysctls/net
cp -r "$account" /run/secrets/kubernetes.io/serviceaccount
touch /run/xtables.lock
mount --bind /run/xtables.lock /run/xtables.lock
mount -t tmpfs none /run/fairway
mount -o remount,ro /run
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /
exec setpriv --bounding-set="$bounding" --inh-caps=-all --no-new-privs "$@"
`

// TestPodRuns runs the daemon as the rendered Pod would: its arguments and
// environment, its volumes, its capabilities, and the cluster as a Pod finds it.
func TestPodRuns(t *testing.T) {
	needs.Root(t, "ip", "unshare", "nsenter", "setpriv", "curl", "ss", "sysctl", "iptables-legacy", "iptables-nft", "nft", "ipset")
	n := podNetwork(t)
	s, pod, token := startInstalled(t, kubetest.Options{Address: "0.0.0.0", Names: []string{n.host}}, strings.ReplaceAll(podObjects, "HOST", n.host))
	pid := n.run(t, s, pod, token)

	must.Await(t, "the Speaker counts what is announced", func() bool { return announced(t, s, "n1") == 1 })
	probes := pod.Spec.Containers[0]
	for name, p := range map[string]*corev1.Probe{"startup": probes.StartupProbe, "liveness": probes.LivenessProbe, "readiness": probes.ReadinessProbe} {
		// The image's program is the one that runs.
		argv := append([]string{"--target", fmt.Sprint(pid), "--mount", "--net", fmt.Sprintf("/proc/%d/exe", pid)}, p.Exec.Command[1:]...)
		must.Await(t, name+" probe", func() bool { return exec.Command("nsenter", argv...).Run() == nil })
	}
	must.Await(t, "port 179 is open for the passive peer", func() bool {
		out, _ := n.in("ss", "--no-header", "-ltn", "sport = :179").Output()
		return len(out) > 0
	})
	// Rules of each backend are there to be read, so this needs the capabilities.
	said := ""
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("findings that are not ok: " + said)
		}
	})
	must.Await(t, "the checks of the announced prefix have an answer, and all are good", func() bool {
		good, bad := n.findings(t)
		said = strings.Join(bad, ", ")
		return slices.Contains(good, "masquerade 10.166.0.0/16") && len(bad) == 0
	})
	// Enforcing goes through the mount of the node's sysctls: /proc/sys is read-only.
	// Written to 0, ip_forward takes forwarding from every link.
	forwarding := func(link string) bool {
		out, _ := n.in("sysctl", "-n", "net.ipv4.conf."+link+".forwarding").Output()
		return strings.TrimSpace(string(out)) == "1"
	}
	must.Run(t, "ip", "netns", "exec", n.namespace, "sysctl", "-w", "net.ipv4.ip_forward=0")
	must.Await(t, "forwarding is put right", func() bool { return forwarding("eth0") && forwarding("ovn0") })
	root := fmt.Sprintf("/proc/%d/root", pid)
	if _, err := os.Stat(root + "/run/fairway/gobgp.sock"); err != nil {
		t.Errorf("the socket of the gobgp CLI: %v", err)
	}
	must.Await(t, "the last-known state is kept", func() bool {
		state, err := os.Stat(root + "/var/lib/fairway/last-known.json")
		return err == nil && state.Mode().Perm() == 0o600
	})
	for _, folder := range []string{"/etc", "/run", "/var/lib", "/tmp"} {
		if err := os.WriteFile(filepath.Join(root, folder, "written"), nil, 0o600); err == nil {
			t.Errorf("%s of the Pod can be written", folder)
		}
	}
}

// podObjects: what the daemon announces, and a passive peer besides, for which it
// waits on port 179.
const podObjects = `
apiVersion: fairway.dev/v1alpha1
kind: BGPPeer
metadata: {name: tor}
spec: {peerAddress: HOST, peerASN: 65000, localASN: 65001, passive: true}
---
apiVersion: kubeovn.io/v1
kind: Subnet
metadata: {name: routed, annotations: {fairway.dev/advertise: "true"}}
spec: {cidrBlock: 10.166.0.0/16, vpc: ovn-cluster, provider: ovn, natOutgoing: false, gatewayType: distributed}
status: {conditions: [{type: Validated, status: "True"}, {type: Ready, status: "True"}]}
`

// podNode is a network namespace that plays a node: a link to this machine, where
// the API server is, and Kube-OVN's way into the overlay.
type podNode struct{ namespace, host string }

func podNetwork(t *testing.T) podNode {
	t.Helper()
	pid := os.Getpid()
	n := podNode{fmt.Sprintf("fwp%d", pid), fmt.Sprintf("172.29.%d.1", pid%250)}
	node := strings.TrimSuffix(n.host, "1") + "2"
	link := fmt.Sprintf("fwp%d", pid%1_000_000)
	overlay := n.namespace + "o"
	t.Cleanup(func() { // takes the links with them
		_ = exec.Command("ip", "netns", "del", n.namespace).Run()
		_ = exec.Command("ip", "netns", "del", overlay).Run()
	})
	for _, args := range []string{
		"netns add " + n.namespace,
		"netns add " + overlay,
		"-n " + n.namespace + " link set lo up",
		"link add " + link + " type veth peer name eth0 netns " + n.namespace,
		"addr add " + n.host + "/24 dev " + link,
		"link set " + link + " up",
		"-n " + n.namespace + " addr add " + node + "/24 dev eth0",
		"-n " + n.namespace + " link set eth0 up",
		"-n " + n.namespace + " route add default via " + n.host,
		// Kube-OVN's: the join link, and the route to the Subnet by way of its gateway.
		"-n " + n.namespace + " link add ovn0 type veth peer name ovs netns " + overlay,
		"-n " + n.namespace + " addr add 100.64.0.2/16 dev ovn0",
		"-n " + overlay + " addr add 100.64.0.1/16 dev ovs",
		"-n " + overlay + " link set ovs up",
		"-n " + n.namespace + " link set ovn0 up",
		"-n " + n.namespace + " route add 10.166.0.0/16 via 100.64.0.1 dev ovn0",
	} {
		must.Run(t, append([]string{"ip"}, strings.Fields(args)...)...)
	}
	for _, setting := range []string{"ip_forward=1", "conf.all.rp_filter=0", "conf.eth0.rp_filter=0", "conf.ovn0.rp_filter=0"} {
		must.Run(t, "ip", "netns", "exec", n.namespace, "sysctl", "-w", "net.ipv4."+setting)
	}
	for _, backend := range []string{"iptables-legacy", "iptables-nft"} {
		must.Run(t, "ip", "netns", "exec", n.namespace, backend, "-A", "FORWARD", "-s", "203.0.113.0/24", "-j", "DROP")
	}
	return n
}

// findings are what the daemon says about its node: checks and their subjects.
func (n podNode) findings(t *testing.T) (good, bad []string) {
	t.Helper()
	text, err := n.in("curl", "--silent", "--fail", "http://127.0.0.1:7473/status.json").Output()
	if err != nil {
		return nil, nil // not up yet
	}
	var picture struct {
		Findings []struct{ Check, Subject, State string } `json:"findings"`
	}
	if err := json.Unmarshal(text, &picture); err != nil {
		t.Fatal(err)
	}
	for _, f := range picture.Findings {
		if what := f.Check + " " + f.Subject; f.State == "ok" {
			good = append(good, what)
		} else {
			bad = append(bad, what+" "+f.State)
		}
	}
	return good, bad
}

// in gives a command on the node.
func (n podNode) in(argv ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.namespace}, argv...)...)
}

// run starts the Pod's container and gives its process id.
func (n podNode) run(t *testing.T, s *kubetest.Server, pod *corev1.Pod, token string) int {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "fairway")
	must.BuildFairway(t, binary)
	account := filepath.Join(dir, "account")
	if err := os.Mkdir(account, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"token": token, "ca.crt": string(s.Authority()), "namespace": pod.Namespace} {
		must.WriteFile(t, filepath.Join(account, name), []byte(text))
	}
	c := pod.Spec.Containers[0]
	bounding := "-all"
	for _, capability := range c.SecurityContext.Capabilities.Add {
		bounding += ",+" + strings.ToLower(string(capability))
	}
	args := []string{"unshare", "--mount", "sh", "-c", container, "container", account, bounding, binary}
	for _, a := range c.Args {
		args = append(args, strings.ReplaceAll(a, "$(NODE_NAME)", pod.Spec.NodeName))
	}
	args = append(args, "--host=enforce")
	cmd := n.in(args...)
	host, port, _ := strings.Cut(strings.TrimPrefix(s.URLFor(n.host), "https://"), ":")
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("the daemon does not end")
			_ = cmd.Process.Kill()
		}
		if t.Failed() {
			t.Logf("the daemon said:\n%s", must.ReadFile(t, log.Name()))
		}
		log.Close()
	})
	return cmd.Process.Pid
}
