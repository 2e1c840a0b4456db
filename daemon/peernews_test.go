package daemon

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// TestNewsOfABGPPeer looks every 5 s at what becomes of a session.
func TestNewsOfABGPPeer(t *testing.T) {
	for _, c := range []struct {
		name string
		// looks are "REASON MESSAGE" each; AllUp is good.
		looks, want []string
	}{
		{"well from the beginning", []string{"AllUp", "AllUp", "AllUp"}, []string{"", "", ""}},
		{"down from the beginning", []string{"SessionDown", "SessionDown", "SessionDown", "SessionDown"}, []string{"", "", "SessionDown", ""}},
		{"fails and recovers", []string{"AllUp", "SessionDown", "SessionDown", "SessionDown", "AllUp", "AllUp", "AllUp"}, []string{"", "", "", "SessionDown", "", "", "AllUp"}},
		{"fails for another reason", []string{"SessionDown", "SessionDown", "SessionDown", "Invalid", "Invalid", "Invalid"}, []string{"", "", "SessionDown", "", "", "Invalid"}},
		{"flaps", []string{"AllUp", "SessionDown", "AllUp", "SessionDown", "AllUp", "SessionDown"}, []string{"", "", "", "", "", ""}},
		{"for reasons that take turns", []string{"SessionDown a", "SessionDown b", "SessionDown a", "SessionDown b", "SessionDown a"}, []string{"", "", "SessionDown", "", ""}},
		{"another node fails", []string{"SessionDown a", "SessionDown a", "SessionDown a", "SessionDown b", "SessionDown b", "SessionDown b"}, []string{"", "", "SessionDown", "", "", "SessionDown"}},
		{"is not known for a while", []string{"AllUp", "Unknown", "Unknown", "Unknown", "AllUp"}, []string{"", "", "", "", ""}},
		{"made later", []string{"", "SessionDown", "AllUp", "AllUp", "AllUp"}, []string{"", "", "", "", "AllUp"}},
	} {
		var n peerNews
		at := time.Unix(0, 0)
		for i, look := range c.looks {
			at = at.Add(5 * time.Second)
			now := map[string]v1alpha1.BGPPeerStatus{}
			if look != "" {
				now["tor"] = peerStatus(look)
			}
			got := ""
			for _, r := range n.next(now, mostReported, at) {
				got += r.reason
				if r.warning != (r.reason != "AllUp") {
					t.Errorf("%s: %+v", c.name, r)
				}
			}
			if got != c.want[i] {
				t.Errorf("%s: look %d tells %q, want %q", c.name, i, got, c.want[i])
			}
		}
	}
}

func peerStatus(look string) v1alpha1.BGPPeerStatus {
	reason, message, _ := strings.Cut(look, " ")
	is := map[string]metav1.ConditionStatus{"AllUp": metav1.ConditionTrue, "Unknown": metav1.ConditionUnknown}[reason]
	if is == "" {
		is = metav1.ConditionFalse
	}
	return v1alpha1.BGPPeerStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: is, Reason: reason, Message: message}}}
}
