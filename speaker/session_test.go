package speaker

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
)

// TestChangedSettingDoesNotReachGoBGP goes through the settings that are not changed in
// place: of each, GoBGP's peer must tell whether it is as wanted.
func TestChangedSettingDoesNotReachGoBGP(t *testing.T) {
	have := policy.Session{Peer: "tor-a", LocalASN: 65001, SessionSettings: policy.SessionSettings{
		Address: netip.MustParseAddr("192.0.2.1"), Port: 179, PeerASN: 65100, Families: []policy.Family{policy.IPv4Unicast},
		HoldTime: 90 * time.Second, KeepaliveTime: 30 * time.Second, ConnectRetryTime: 5 * time.Second,
	}}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[policy.Session]()) {
		want := have
		if f.Anonymous || !changed(reflect.ValueOf(&want).Elem().FieldByIndex(f.Index)) {
			continue
		}
		wanted := policy.FieldChanges(have, want)
		if len(wanted) == 1 && wanted[0].When == policy.InPlace {
			continue
		}
		got := policy.FieldChanges(settingsOf(peerOf(have), have.SourceAddress), settingsOf(peerOf(want), want.SourceAddress))
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("Session.%s: wanted is %+v, and GoBGP is asked for %+v", f.Name, wanted, got)
		}
	}
}

// changed gives a setting another value; false where it knows none.
func changed(v reflect.Value) bool {
	switch x := v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.9")))
	case time.Duration:
		v.SetInt(int64(x + 3*time.Second))
	case []policy.Family:
		v.Set(reflect.ValueOf([]policy.Family{policy.IPv6Unicast}))
	default:
		switch v.Kind() {
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Uint16, reflect.Uint32:
			v.SetUint(v.Uint() + 1)
		default:
			return false
		}
	}
	return true
}
