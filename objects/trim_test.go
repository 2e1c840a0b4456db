package objects

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/routes"
)

func TestTrimKeepsWhatCounts(t *testing.T) {
	text := `{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"blue","uid":"u","resourceVersion":"7",
		"creationTimestamp":"2026-01-02T03:04:05Z","managedFields":[{"manager":"kubectl"}],"labels":{"a":"b"},
		"annotations":{"fairway.dev/med":"5","kubectl.kubernetes.io/last-applied-configuration":"{}","ovn.kubernetes.io/bgp":"true"}},
		"spec":{"cidrBlock":"10.1.0.0/16","gatewayNodeSelectors":[{"matchLabels":{"r":"1"}}],"acls":[{"priority":1}],"excludeIps":["10.1.0.1"]},
		"status":{"v4usingIPs":17,"activateGateway":"n1","conditions":[{"type":"Error","status":"True"},{"type":"Ready","status":"False","reason":"Passing"},{"type":"Validated","status":"True","lastUpdateTime":"x"}]}}`
	slim := Trim("kubeovn.io/v1", KindSubnet, []byte(text))
	for _, gone := range []string{"managedFields", "acls", "excludeIps", "v4usingIPs", "last-applied", "Error", "Passing", "lastUpdateTime", `"labels"`} {
		if strings.Contains(string(slim), gone) {
			t.Errorf("%s is still there: %s", gone, slim)
		}
	}
	whole, slimmed := Read([]byte(text)), Read(slim)
	if a, b := whole.Value.(*Subnet), slimmed.Value.(*Subnet); !sameSubnet(a, b) {
		t.Errorf("whole   %+v\ntrimmed %+v", a, b)
	}
	if again := Trim("kubeovn.io/v1", KindSubnet, slim); string(again) != string(slim) {
		t.Errorf("trimmed twice: %s", again)
	}
	taken := Take("kubeovn.io/v1", KindSubnet, []byte(text))
	if string(taken.Text) != string(slim) || !reflect.DeepEqual(taken.Object, slimmed) || taken.UID != "u" || taken.ResourceVersion != "7" {
		t.Errorf("taken   %+v\ntrimmed %+v", taken, slimmed)
	}
	// What does not fit is for the conversion to tell of.
	odd := strings.Replace(text, `"10.1.0.0/16"`, `7`, 1)
	if o := Read(Trim("kubeovn.io/v1", KindSubnet, []byte(odd))); o.Value != nil || len(o.Problems) != 1 || o.Problems[0].Field != "spec.cidrBlock" {
		t.Errorf("%+v", o)
	}
}

func sameSubnet(a, b *Subnet) bool {
	x, _ := json.Marshal(a.Subnet)
	y, _ := json.Marshal(b.Subnet)
	return bytes.Equal(x, y) && a.Subnet.Validated && routes.Selected(a.Annotations, routes.Settings{AdoptKubeOVN: true})
}

// What the reporter writes into a BGPPeer is for people: it is no news to a daemon, and
// no field that nobody knows.
func TestStatusOfABGPPeerDoesNotCount(t *testing.T) {
	const text = `{"apiVersion":"fairway.dev/v1alpha1","kind":"BGPPeer","metadata":{"name":"tor"},
		"spec":{"peerAddress":"192.0.2.1","peerASN":65000},
		"status":{"up":"2/3","conditions":[{"type":"Ready","status":"False"}],"of another version":{}}}`
	if o := Read([]byte(text)); o.Value == nil || len(o.Problems) != 0 {
		t.Errorf("whole: %+v", o)
	}
	slim := Trim("fairway.dev/v1alpha1", KindBGPPeer, []byte(text))
	if strings.Contains(string(slim), "status") {
		t.Errorf("trimmed: %s", slim)
	}
}
