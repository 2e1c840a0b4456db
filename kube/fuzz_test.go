package kube

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// seedsForFuzzing are inputs from which a fuzzer finds its way.
func seedsForFuzzing(f *testing.F) {
	for _, s := range []string{
		seed,
		peerText("tor-a", peerAddr, peerAS, "families: [ipv4-unicast]", "holdTime: 9s", "passwordSecretRef: {name: md5}", "attributes: {communities: ['1:2'], med: 5}"),
		secretPre + "data: {password: eA==}\n",
		"kind: SubnetList\napiVersion: kubeovn.io/v1\nitems: [{metadata: {name: a}, spec: {gatewayNodeSelectors: [{matchLabels: {a: b}}]}}]\n",
		"kind: List\nitems: [null, 5, {kind: List, items: []}]\n",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {ovn.kubernetes.io/ip_address: 10.0.0.1, ovn.kubernetes.io/logical_switch: s}}\nspec: {nodeName: n}\n",
		"apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {a: 5}}\nstatus: {addresses: [{type: InternalIP, address: 1.2.3.4}]}\n",
		"a: &a [*a]\n", "? {a: b}\n: c\n", "--- |\n x\n...\n", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"é"}}`, "a: b\n...\n%YAML 1.1\n--- !!binary x\n",
	} {
		f.Add([]byte(s))
	}
}

// No input makes a panic, and no document takes another with it, in front of it
// or behind.
func FuzzOneDocumentNeverHarmsAnother(f *testing.F) {
	seedsForFuzzing(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		bystander := "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: bystander-of-fuzz}\nspec: {cidrBlock: 10.0.0.0/16}\n"
		stream := []byte(bystander + "---\n")
		stream = append(stream, text...)
		stream = append(stream, "\n---\n"+bystander...)
		objects := parse("in.yaml", stream)
		var seen []object
		for _, o := range objects {
			if o.name == "bystander-of-fuzz" && o.kind == kindSubnet {
				seen = append(seen, o)
			}
		}
		if len(seen) != 2 {
			t.Fatalf("%d of the 2 good documents are left of %q", len(seen), stream)
		}
		want, _ := seen[0].value.(subnetDraft)
		if got, _ := seen[1].value.(subnetDraft); want.Name == "" || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v became %+v", want, got)
		}
	})
}

// Whatever follows a good version, a watch never loses a Subnet or a BGPPeer
// that the text still names wrongly, and takes the good version again.
func FuzzWatchNeverPanics(f *testing.F) {
	seedsForFuzzing(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		good := []byte(seed + nodeText("of-fuzz"))
		versions := [][]byte{good, text, nil, good}
		var first, v view
		for i, data := range versions {
			v = v.next([]look{{root: "in", sources: []source{{name: "in/a.yaml", data: data}}}}, routes.DefaultSettings, noon)
			if i == 0 {
				first = v
			}
		}
		// Nodes of the text are remembered, and what came back is younger.
		v.contents.GoneNodes = nil
		for i := range v.contents.Snapshot.Subnets {
			v.contents.Snapshot.Subnets[i].Created = time.Time{}
		}
		if !reflect.DeepEqual(v.contents, first.contents) {
			t.Fatalf("after %q the good version gives\n%+v\nwant\n%+v", text, v.contents, first.contents)
		}
	})
}

// A file of which only a part has been written changes nothing, wherever it ends:
// unless that is a line end, where it cannot be told from a shorter file.
func TestEveryPrefixOfAFile(t *testing.T) {
	whole := seed + peerText("tor-a", peerAddr, peerAS, "passwordSecretRef: {name: md5}") + secretPre + "stringData: {password: x}\n" +
		"---\nkind: NodeList\napiVersion: v1\nitems:\n- metadata: {name: n1}\n  status: {}\n- metadata: {name: n2}\n"
	at := func(v view, n int) view {
		return v.next([]look{{root: "in", sources: []source{{name: "a.yaml", data: []byte(whole[:n])}}}}, routes.DefaultSettings, noon)
	}
	good := at(view{}, len(whole))
	for n := range len(whole) {
		if n > 0 && whole[n-1] == '\n' {
			continue
		}
		v := at(good, n)
		if !reflect.DeepEqual(v.contents.Snapshot, good.contents.Snapshot) {
			t.Errorf("after %q there is\n%+v", whole[:n], v.contents.Snapshot)
		}
		if len(v.contents.Problems) == 0 {
			t.Errorf("no problem after %q", whole[:n])
		}
	}
}

// FuzzTrim: trimming changes nothing that a conversion reads.
func FuzzTrim(f *testing.F) {
	f.Add(`{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"blue","annotations":{"fairway.dev/advertise":"true"}},"spec":{"cidrBlock":"10.1.0.0/16"},"status":{"conditions":[{"type":"Validated","status":"True"},{"type":"Ready","status":"False","reason":"NoReadyGateway","lastUpdateTime":"2026-01-02T03:04:05Z"}]}}`)
	f.Add(`{"apiVersion":"kubeovn.io/v1","kind":"Vlan","metadata":{"name":"v7"},"spec":{"id":7,"provider":"net1"}}`)
	f.Add(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","labels":{"a":"b"},"annotations":{"ovn.kubernetes.io/allocated":"true"}},"spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}],"conditions":[{"type":"Ready","status":"False","message":"[x, node is shutting down]"}]}}`)
	f.Add(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"d","annotations":{"ovn.kubernetes.io/ip_address":"10.1.0.5","ovn.kubernetes.io/logical_switch":"blue"}},"spec":{"nodeName":"n1"},"status":{"phase":"Running"}}`)
	f.Add(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"d"},"data":{"password":"c2VjcmV0"}}`)
	f.Add(`{"apiVersion":"fairway.dev/v1alpha1","kind":"BGPPeer","metadata":{"name":"a"},"spec":{"peerAddress":"192.0.2.9","peerASN":64512,"holdTime":"9s"}}`)
	byKind := map[string]resource{}
	for _, r := range []resource{subnetResource(), vlanResource(), nodeResource(), podResource(), secretResource(), peerResource()} {
		byKind[r.version.String()+" "+r.kind] = r
	}
	f.Fuzz(func(t *testing.T, text string) {
		var h struct{ APIVersion, Kind string }
		if json.Unmarshal([]byte(text), &h) != nil {
			return
		}
		r, ok := byKind[h.APIVersion+" "+h.Kind]
		whole := readPiece([]byte(text))
		if !ok || whole.value == nil || whole.torn {
			return
		}
		slim := trim(r, []byte(text))
		if got := readPiece(slim); !reflect.DeepEqual(asLive(got.value), asLive(whole.value)) {
			t.Errorf("whole   %+v\ntrimmed %+v\nof %s", whole.value, got.value, slim)
		}
		if again := trim(r, slim); string(again) != string(slim) {
			t.Errorf("%s\ntrimmed again: %s", slim, again)
		}
	})
}

// asLive takes away what only files need: whether a controller has been there.
func asLive(value any) any {
	switch v := value.(type) {
	case subnetDraft:
		v.formatted = false
		return v
	case nodeDraft:
		v.reported = false
		return v
	}
	return value
}
