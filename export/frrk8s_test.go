package export

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// metallbCluster is two nodes and the peers that a node's own FRR can and cannot have, with
// a Subnet for each attribute.
func metallbCluster() FRRK8sInput {
	s := policy.Snapshot{Snapshot: routes.Snapshot{Settings: routes.DefaultSettings, Nodes: []routes.Node{node("n1", "172.30.0.11"), node("n2", "172.30.0.12")}}}
	for i := range s.Nodes {
		s.Nodes[i].Allocated = true
	}
	s.Nodes[0].Labels = map[string]string{hostnameLabel: "n1.example"}
	for _, e := range []policy.Session{torA(64512), torB(64512), core(64512)} {
		s.Peers = append(s.Peers, policy.Peer{Name: e.Peer, LocalASN: e.LocalASN, PasswordSecret: "word-of-" + e.Peer, SessionSettings: e.SessionSettings})
	}
	internal := policy.Peer{Name: "rr", LocalASN: 64512, SessionSettings: policy.SessionSettings{
		Address: addr("172.30.0.3"), Port: 1179, PeerASN: 64512, SourceAddress: addr("172.30.0.11"), HoldTime: 30 * time.Second, KeepaliveTime: 10 * time.Second, ConnectRetryTime: 5 * time.Second, Families: both(), BFD: bfd.Settings{Multiplier: 3},
	}}
	other := policy.Peer{Name: "other-as", LocalASN: 64999, SessionSettings: policy.SessionSettings{Address: addr("172.30.0.4"), Port: 179, PeerASN: 65000, Families: both()}}
	unnumbered := policy.Peer{Name: "unnumbered", LocalASN: 64512, SessionSettings: policy.SessionSettings{Interface: "eth1", DynamicASN: policy.External, Port: 179, Families: both()}}
	gateway := policy.Peer{Name: "gateway", LocalASN: 64512, SessionSettings: policy.SessionSettings{Discovery: policy.DefaultGateway, PeerASN: 65000, Port: 179, Families: both()}}
	s.Peers = append(s.Peers, internal, other, unnumbered, gateway)
	subnet := func(name, cidr string, annotations ...string) {
		with := map[string]string{routes.AnnotationAdvertise: "true"}
		for i := 0; i < len(annotations); i += 2 {
			with[annotations[i]] = annotations[i+1]
		}
		s.Subnets = append(s.Subnets, routes.Subnet{Name: name, CIDRBlock: cidr, VPC: "ovn-cluster", Provider: "ovn", GatewayType: routes.Distributed,
			Validated: true, Ready: true, Annotations: with}.Parsed())
	}
	subnet("plain", "10.1.0.0/16,fd00:1::/64")
	subnet("tagged", "10.2.0.0/16", routes.AnnotationCommunities, "65000:10,no-export,65000:1:2")
	subnet("preferred", "10.3.0.0/16", routes.AnnotationLocalPref, "200")
	subnet("costly", "10.4.0.0/16", routes.AnnotationMED, "50", routes.AnnotationASPathPrepend, "2")
	subnet("elsewhere", "10.5.0.0/16", routes.AnnotationNextHop, "172.30.0.100")
	subnet("standing-by", "10.6.0.0/16", routes.AnnotationStandby, "true")
	last := s.Subnets[len(s.Subnets)-1]
	last.GatewayType, last.GatewayNode, last.ActiveGateway = routes.Centralized, "n1,n2", "n1"
	in := FRRK8sInput{Input: Input{Nodes: s.Nodes}, Namespace: "frr-k8s-system", Secrets: map[string]string{"tor-a": "word-of-tor-a"}}
	for _, n := range s.Nodes {
		in.Plans = append(in.Plans, policy.Make(s, n.Name))
	}
	return in
}

func writeFRRK8s(t *testing.T, in FRRK8sInput) (string, []string) {
	t.Helper()
	var b bytes.Buffer
	notes, err := WriteFRRK8s(&b, in)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), notes
}

func TestFRRK8sGolden(t *testing.T) {
	text, _ := writeFRRK8s(t, metallbCluster())
	golden(t, "metallb.frr-k8s", text)
	if strings.Contains(text, secret) {
		t.Error("the password is printed")
	}
}

// fieldsOfFRRK8s are those of the CRD that the objects use, with what it asks of their
// values (frrconfigurations.frrk8s.metallb.io, version v1beta1).
func fieldsOfFRRK8s() map[string]string {
	const router, neighbor = ".spec.bgp.routers[]", ".spec.bgp.routers[].neighbors[]"
	const asn, cidr, address, duration = `^[1-9]\d{0,9}$`, `^[0-9a-f.:]+/\d+$`, `^[0-9a-f.:]+$`, `^\d+s$`
	const name = `^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	return map[string]string{
		".apiVersion": `^frrk8s\.metallb\.io/v1beta1$`, ".kind": "^FRRConfiguration$",
		".metadata.name": name, ".metadata.namespace": name, ".metadata.labels.app.kubernetes.io/managed-by": name,
		".spec.nodeSelector.matchLabels.kubernetes.io/hostname": name,
		router + ".asn": asn, router + ".prefixes[]": cidr,
		neighbor + ".address": address, neighbor + ".interface": "^[-a-z0-9.]+$", neighbor + ".dynamicASN": "^(internal|external)$", neighbor + ".asn": asn, neighbor + ".port": `^\d{1,5}$`, neighbor + ".sourceaddress": address,
		neighbor + ".passwordSecret.name": name, neighbor + ".holdTime": duration, neighbor + ".keepaliveTime": duration, neighbor + ".connectTime": duration,
		neighbor + ".ebgpMultiHop": "^true$", neighbor + ".enableGracefulRestart": "^true$", neighbor + ".dualStackAddressFamily": "^true$",
		neighbor + ".toAdvertise.allowed.mode": "^(all|filtered)$", neighbor + ".toAdvertise.allowed.prefixes[]": cidr,
		neighbor + ".toAdvertise.withCommunity[].community": `^(\d+:\d+|large:\d+:\d+:\d+)$`, neighbor + ".toAdvertise.withCommunity[].prefixes[]": cidr,
		neighbor + ".toAdvertise.withLocalPref[].localPref": `^[1-9]\d*$`, neighbor + ".toAdvertise.withLocalPref[].prefixes[]": cidr,
	}
}

// TestFRRK8sWouldRefuseTheObjects goes through every field of the objects, and through what
// frr-k8s asks besides: what goes out to a neighbor is among the router's prefixes, and
// what has a community or local-pref among what goes out.
func TestFRRK8sWouldRefuseTheObjects(t *testing.T) {
	text, _ := writeFRRK8s(t, metallbCluster())
	known := fieldsOfFRRK8s()
	for _, document := range strings.Split(text, "\n---\n")[1:] {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		lists := map[string][]string{}
		var walk func(path string, value any)
		walk = func(path string, value any) {
			switch v := value.(type) {
			case map[string]any:
				for k, x := range v {
					walk(path+"."+k, x)
				}
			case []any:
				for _, x := range v {
					walk(path+"[]", x)
				}
			default:
				if want, is := known[path]; !is || !regexp.MustCompile(want).MatchString(fmt.Sprint(v)) {
					t.Errorf("%s: %v does not fit %q", path, v, want)
				}
				lists[path] = append(lists[path], fmt.Sprint(v))
			}
		}
		walk("", object)
		const router, neighbor = ".spec.bgp.routers[]", ".spec.bgp.routers[].neighbors[].toAdvertise"
		for part, whole := range map[string]string{
			neighbor + ".allowed.prefixes[]":         router + ".prefixes[]",
			neighbor + ".withCommunity[].prefixes[]": neighbor + ".allowed.prefixes[]",
			neighbor + ".withLocalPref[].prefixes[]": neighbor + ".allowed.prefixes[]",
		} {
			for _, p := range lists[part] {
				if !slices.Contains(lists[whole], p) {
					t.Errorf("%s has %s, and %s has not", part, p, whole)
				}
			}
		}
	}
}

// TestAttributeIsLostUnseenByFRRK8s: what an object cannot say names the Subnet or BGPPeer.
func TestAttributeIsLostUnseenByFRRK8s(t *testing.T) {
	text, notes := writeFRRK8s(t, metallbCluster())
	for _, want := range []string{
		"Subnet costly: 10.4.0.0/16 to BGPPeer tor-a by node n1 goes out without MED 50 and 2 prepended to its AS path",
		"Subnet costly: 10.4.0.0/16 to BGPPeer rr by node n2 goes out without MED 50,",
		"Subnet elsewhere: 10.5.0.0/16 to BGPPeer tor-a by node n1 is left out: its next hop 172.30.0.100",
		"Subnet standing-by: 10.6.0.0/16 to BGPPeer tor-a by node n2 is left out: it stands by",
		"BGPPeer core.dc1 is left out: spec.passive is true",
		"BGPPeer rr: spec.bfd is left out",
		"BGPPeer gateway is left out: spec.peerDiscovery",
		"BGPPeer tor-b is left out: spec.ttlSecurity is true",
		"BGPPeer other-as is left out: its localASN 64999 is not 64512",
		"BGPPeer tor-a: frr-k8s wants the password in a Secret of type kubernetes.io/basic-auth",
	} {
		if !slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, want) }) {
			t.Errorf("no note says %q:\n%s", want, strings.Join(notes, "\n"))
		}
		if !strings.Contains(text, want) {
			t.Errorf("no comment says %q", want)
		}
	}
}

func TestNoNodeHasASessionThatFRRK8sCouldHave(t *testing.T) {
	in := metallbCluster()
	in.Peer = "core.dc1"
	var b bytes.Buffer
	if _, err := WriteFRRK8s(&b, in); err == nil || !strings.Contains(err.Error(), "spec.passive is true") || b.Len() > 0 {
		t.Errorf("error %v, and it prints %q", err, b.String())
	}
}
