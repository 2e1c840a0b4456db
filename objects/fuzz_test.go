package objects

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/fairway-bgp/fairway/objects/objectstest"
)

// No input makes a panic, and no document takes another with it, in front of it
// or behind.
func FuzzOneDocumentNeverHarmsAnother(f *testing.F) {
	objectstest.AddSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		bystander := "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: bystander-of-fuzz}\nspec: {cidrBlock: 10.0.0.0/16}\n"
		stream := []byte(bystander + "---\n")
		stream = append(stream, text...)
		stream = append(stream, "\n---\n"+bystander...)
		objects := Parse("in.yaml", stream)
		var seen []Object
		for _, o := range objects {
			if o.Name == "bystander-of-fuzz" && o.Kind == KindSubnet {
				seen = append(seen, o)
			}
		}
		if len(seen) != 2 {
			t.Fatalf("%d of the 2 good documents are left of %q", len(seen), stream)
		}
		want, _ := seen[0].Value.(*Subnet)
		if got, _ := seen[1].Value.(*Subnet); want == nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v became %+v", want, got)
		}
	})
}

// FuzzTrim: trimming changes nothing that a conversion reads.
func FuzzTrim(f *testing.F) {
	f.Add(`{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"blue","annotations":{"fairway.dev/advertise":"true"}},"spec":{"cidrBlock":"10.1.0.0/16"},"status":{"conditions":[{"type":"Validated","status":"True"},{"type":"Ready","status":"False","reason":"NoReadyGateway","lastUpdateTime":"2026-01-02T03:04:05Z"}]}}`)
	f.Add(`{"apiVersion":"kubeovn.io/v1","kind":"Vlan","metadata":{"name":"v7"},"spec":{"id":7,"provider":"net1"}}`)
	f.Add(`{"apiVersion":"v1","kind":"Node","metadata":{"name":"n1","labels":{"a":"b"},"annotations":{"ovn.kubernetes.io/allocated":"true"}},"spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}],"conditions":[{"type":"Ready","status":"False","message":"[x, node is shutting down]"}]}}`)
	f.Add(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"d","annotations":{"ovn.kubernetes.io/ip_address":"10.1.0.5","ovn.kubernetes.io/logical_switch":"blue"}},"spec":{"nodeName":"n1"},"status":{"phase":"Running"}}`)
	f.Add(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"d"},"data":{"password":"c2VjcmV0"}}`)
	f.Add(`{"apiVersion":"fairway.dev/v1alpha1","kind":"BGPPeer","metadata":{"name":"a"},"spec":{"peerAddress":"192.0.2.9","peerASN":64512,"holdTime":"9s"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var h struct{ APIVersion, Kind string }
		if json.Unmarshal([]byte(text), &h) != nil {
			return
		}
		whole := Read([]byte(text))
		if decode, _, _ := decoderOf(h.APIVersion, h.Kind); decode == nil || whole.Value == nil || whole.Broken {
			return
		}
		slim := Trim(h.APIVersion, h.Kind, []byte(text))
		if got := Read(slim); !reflect.DeepEqual(asLive(got.Value), asLive(whole.Value)) {
			t.Errorf("whole   %+v\ntrimmed %+v\nof %s", whole.Value, got.Value, slim)
		}
		if taken := Take(h.APIVersion, h.Kind, []byte(text)); string(taken.Text) != string(slim) || !reflect.DeepEqual(taken.Object, Read(slim)) {
			t.Errorf("taken   %+v\ntrimmed %+v of %s", taken, Read(slim), slim)
		}
		if again := Trim(h.APIVersion, h.Kind, slim); string(again) != string(slim) {
			t.Errorf("%s\ntrimmed again: %s", slim, again)
		}
	})
}

// asLive takes away what only files need: whether a controller has been there.
func asLive(value any) any {
	switch v := value.(type) {
	case *Subnet:
		live := *v
		live.Formatted, live.Controlled = false, false
		return live
	case Node:
		v.Reported = false
		return v
	}
	return value
}

// FuzzTogether: documents that one parser reads are what each is to a parser of its own.
func FuzzTogether(f *testing.F) {
	objectstest.AddSeeds(f)
	f.Add([]byte("a: 1\rb: 2\n---\n---\n# nothing\n---\n{a: 1} {b: 2}\n---\n? [k]\n: v\n--- &a\nx: &b [yes, 0x10, 1e3, .inf, 2026-01-02]\ny: *b\n---\nm: {<<: *b}\n--- |\n text\n--- \"a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var want []Object
		for _, d := range split(text) {
			want = append(want, parse("in.yaml", d)...)
		}
		if got := Parse("in.yaml", text); !reflect.DeepEqual(got, want) {
			t.Fatalf("together  %+v\none by one %+v\nof %q", got, want, text)
		}
	})
}
