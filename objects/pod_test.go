package objects

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/routes"
)

// recordedPod is a Pod as an API server shows it, with Kube-OVN's annotations of its
// primary interface and of one that Multus adds (v1.17), and with what has no meaning
// here.
const recordedPod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"db-0","namespace":"shop","generateName":"db-",
 "uid":"4c1e4ee8-0d32-4f0c-9d1c-0a8a0f3f5e61","resourceVersion":"88123","creationTimestamp":"2026-11-25T10:00:00Z"DELETION,
 "labels":{"app":"db","statefulset.kubernetes.io/pod-name":"db-0"},
 "ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"db","uid":"77","controller":true}],
 "annotations":{"k8s.v1.cni.cncf.io/networks":"shop/storage","k8s.v1.cni.cncf.io/network-status":"[{\"name\":\"kube-ovn\"}]",
  "ovn.kubernetes.io/allocated":"true","ovn.kubernetes.io/cidr":"10.1.0.0/16,fd00:1::/64","ovn.kubernetes.io/gateway":"10.1.0.1,fd00:1::1",
  "ovn.kubernetes.io/ip_address":"10.1.0.5,fd00:1::5","ovn.kubernetes.io/logical_router":"ovn-cluster","ovn.kubernetes.io/logical_switch":"blue",
  "ovn.kubernetes.io/mac_address":"00:00:00:53:6B:B6","ovn.kubernetes.io/pod_nic_type":"veth-pair","ovn.kubernetes.io/routed":"true",
  "storage.shop.ovn.kubernetes.io/allocated":"true","storage.shop.ovn.kubernetes.io/cidr":"10.9.0.0/24","storage.shop.ovn.kubernetes.io/gateway":"10.9.0.1",
  "storage.shop.ovn.kubernetes.io/ip_address":"10.9.0.7","storage.shop.ovn.kubernetes.io/logical_switch":"storage",
  "storage.shop.ovn.kubernetes.io/mac_address":"00:00:00:11:22:33","storage.shop.ovn.kubernetes.io/routed":"true"},
 "managedFields":[{"manager":"kube-ovn-controller","operation":"Update"}]},
 "spec":{"nodeName":"n1","hostname":"db-0","restartPolicy":"Always","containers":[{"name":"db","image":"db:1"}]},
 "status":{"phase":"Running","hostIP":"172.30.0.11","podIP":"10.1.0.5","podIPs":[{"ip":"10.1.0.5"},{"ip":"fd00:1::5"}],"conditions":[{"type":"Ready","status":"True"}]}}`

func podText(changes ...string) string {
	return strings.Replace(strings.NewReplacer(changes...).Replace(recordedPod), "DELETION", "", 1)
}

// attachments says a Pod's value in a line.
func attachments(pods []routes.Pod) string {
	var out []string
	for _, p := range pods {
		text := fmt.Sprintf("%s %s %s", p.Subnet, p.Node, p.Addresses)
		if p.Lingers > 0 {
			text += " for " + p.Lingers.String()
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func TestPodsOfAnAPIServer(t *testing.T) {
	const (
		primary = "blue n1 [10.1.0.5 fd00:1::5]"
		storage = "storage n1 [10.9.0.7]"
	)
	for _, c := range []struct{ name, text, want string }{
		{"with an attachment", podText(), primary + ", " + storage},
		{"which Subnet an attachment has is not told", podText(`"storage.shop.ovn.kubernetes.io/logical_switch"`, `"x"`), primary},
		{"attachment of another IPAM", podText(`"storage.shop.ovn.`, `"storage.shop.`), primary},
		{"its own network is another CNI's", podText(`"ovn.kubernetes.io/`, `"x/`), storage},
		{"both interfaces in one Subnet", podText(`"storage"`, `"blue"`), primary + ", blue n1 [10.9.0.7]"},
		{"IPv6 alone", podText("10.1.0.5,fd00:1::5", "fd00:1::5"), "blue n1 [fd00:1::5], " + storage},
		{"IPv6 first, with blanks", podText("10.1.0.5,fd00:1::5", "FD00:1:0::5, 10.1.0.5"), "blue n1 [fd00:1::5 10.1.0.5], " + storage},
		{"an address mapped into IPv6", podText("10.1.0.5,fd00:1::5", "::ffff:10.1.0.5"), "blue n1 [10.1.0.5], " + storage},
		{"being made, not yet started", podText("Running", "Pending"), primary + ", " + storage},
		{"being made, no node yet", podText(`"nodeName":"n1",`, ""), ""},
		{"its end came", podText("Running", "Succeeded"), ""},
		{"it failed", podText("Running", "Failed"), ""},
		{"its node does not answer", podText("Running", "Unknown"), primary + ", " + storage},
		{"on the host's network", podText(`"nodeName":"n1",`, `"nodeName":"n1","hostNetwork":true,`), ""},
		// It waits for a Pod with the address to end, on whichever node.
		{"asks for a static address", podText(`"ovn.kubernetes.io/allocated":"true",`, ""), storage},
		{"asks for a static address in an attachment", podText(`"storage.shop.ovn.kubernetes.io/allocated":"true",`, ""), primary},
		{"its port in OVN is lost", podText(`"ovn.kubernetes.io/allocated":"true"`, `"ovn.kubernetes.io/allocated":""`), storage},
		{"being deleted", strings.Replace(recordedPod, "DELETION", `,"deletionTimestamp":"2026-11-25T12:00:30Z","deletionGracePeriodSeconds":30`, 1),
			primary + " for 1m1s, " + storage + " for 1m1s"},
		{"deleted by force", strings.Replace(recordedPod, "DELETION", `,"deletionTimestamp":"2026-11-25T12:00:00Z","deletionGracePeriodSeconds":0`, 1),
			primary + " for 1s, " + storage + " for 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole, slim := Read([]byte(c.text)), Read(Trim("v1", KindPod, []byte(c.text)))
			taken := Take("v1", KindPod, []byte(c.text)).Object
			pods, _ := whole.Value.([]routes.Pod)
			if got := attachments(pods); got != c.want || len(whole.Problems) > 0 {
				t.Errorf("%s, want %s; problems %v", got, c.want, whole.Problems)
			}
			if !reflect.DeepEqual(whole, slim) || !reflect.DeepEqual(whole, taken) {
				t.Errorf("trimmed it is %+v, decoded once %+v", slim, taken)
			}
		})
	}
}

// A virtual machine that migrates has two Pods with one address: the one that it comes
// from ends with the migration, and both are on the way to it until then.
func TestPodsOfAVirtualMachineThatMigrates(t *testing.T) {
	launcher := func(name, node, annotations, phase string) []routes.Pod {
		o := Read([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `","namespace":"vms","labels":{"kubevirt.io":"virt-launcher"},
			"annotations":{` + annotations + `"ovn.kubernetes.io/allocated":"true","ovn.kubernetes.io/ip_address":"10.1.0.9","ovn.kubernetes.io/logical_switch":"blue"}},
			"spec":{"nodeName":"` + node + `","restartPolicy":"Never"},"status":{"phase":"` + phase + `"}}`))
		pods, _ := o.Value.([]routes.Pod)
		return pods
	}
	job := `"kubevirt.io/migrationJobName":"move-1",`
	for _, c := range []struct {
		from, to []routes.Pod
		want     string
	}{
		{launcher("vm-a", "n1", "", "Running"), nil, "blue n1 [10.1.0.9]"},
		{launcher("vm-a", "n1", "", "Running"), launcher("vm-b", "n2", job, "Running"), "blue n1 [10.1.0.9], blue n2 [10.1.0.9]"},
		{launcher("vm-a", "n1", "", "Succeeded"), launcher("vm-b", "n2", job, "Running"), "blue n2 [10.1.0.9]"},
	} {
		if got := attachments(append(c.from, c.to...)); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// What lies outside the Subnet's CIDR is announced by nobody, also where the CIDR has
// changed since the Pod got its address.
func TestPodOutsideTheCIDRIsNotAnnounced(t *testing.T) {
	pods, _ := Read([]byte(podText("10.1.0.5,fd00:1::5", "10.2.0.5,10.1.0.6,fd00:1::5"))).Value.([]routes.Pod)
	on := routes.PodsOf(pods...).On("n1")["blue"]
	s := routes.Subnet{CIDRBlock: "10.1.0.0/16,fd00:1::/64"}.Parsed()
	var got []string
	for _, cidr := range s.CIDRs {
		for _, p := range on.In(cidr) {
			got = append(got, p.String())
		}
	}
	if text := strings.Join(got, " "); text != "10.1.0.6/32 fd00:1::5/128" {
		t.Error(text)
	}
}
