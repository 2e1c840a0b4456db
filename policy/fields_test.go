package policy

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
	"github.com/fairway-bgp/fairway/routes"
)

// settings names the fields of a Session and of the SessionSettings in it.
func settings(t *testing.T) []reflect.StructField {
	t.Helper()
	var out []reflect.StructField
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Session]()) {
		if !f.Anonymous {
			out = append(out, f)
		}
	}
	return out
}

// TestNewSettingOfASessionHasNoAnswer is what fails when a field is added to a session
// and nobody says whether a change of it resets the session.
func TestNewSettingOfASessionHasNoAnswer(t *testing.T) {
	answers := map[string]int{}
	for _, f := range fields() {
		answers[f.in]++
		if f.when != InPlace && f.why == "" {
			t.Errorf("%s: a change is not in place, and nothing says why", f.in)
		}
	}
	for _, f := range settings(t) {
		if answers[f.Name] != 1 {
			t.Errorf("policy.fields has %d answers for Session.%s: say there what a change of it does to the session", answers[f.Name], f.Name)
		}
		delete(answers, f.Name)
	}
	for name := range answers {
		t.Errorf("policy.fields answers for %s, which a Session does not have", name)
	}
}

// TestChangedSettingIsNotNoticed changes each field of a session alone.
func TestChangedSettingIsNotNoticed(t *testing.T) {
	have := Session{Peer: "tor-a", LocalASN: 65001, SessionSettings: SessionSettings{
		Address: netip.MustParseAddr("192.0.2.1"), Port: 179, PeerASN: 65100, Families: []Family{IPv4Unicast},
	}}
	facts := map[string]bool{} // what no BGPPeer sets
	for _, f := range fields() {
		facts[f.in] = f.name == ""
	}
	for _, f := range settings(t) {
		if facts[f.Name] {
			continue
		}
		want := have
		change(t, reflect.ValueOf(&want).Elem().FieldByIndex(f.Index))
		changes := FieldChanges(have, want)
		if len(changes) != 1 {
			t.Errorf("Session.%s changes from %+v to %+v: %+v", f.Name, have, want, changes)
			continue
		}
		if text := changes[0].Text(); !strings.HasPrefix(text, changes[0].Field) {
			t.Errorf("Session.%s: %s", f.Name, text)
		}
	}
	if got := FieldChanges(have, have); len(got) != 0 {
		t.Errorf("a session differs from itself: %+v", got)
	}
}

// change gives a value that is not what was there.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	med := uint32(7)
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.9")))
		return
	case time.Duration:
		v.SetInt(int64(42 * time.Second))
		return
	case []Family:
		v.Set(reflect.ValueOf([]Family{IPv4Unicast, IPv6Unicast}))
		return
	case bfd.Settings:
		v.Set(reflect.ValueOf(bfd.Settings{Transmit: time.Second, Receive: time.Second, Multiplier: 3}))
		return
	case Defaults:
		v.Set(reflect.ValueOf(Defaults{Communities: []routes.Community{1}, MED: &med}))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(v.Uint() + 1)
	default:
		t.Fatalf("teach this test a value of type %s", v.Type())
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	have := Session{SessionSettings: SessionSettings{Password: "old-word"}}
	want := Session{SessionSettings: SessionSettings{Password: "new-word"}}
	for _, c := range FieldChanges(have, want) {
		if strings.Contains(c.Text()+c.From+c.To, "-word") {
			t.Errorf("a password is shown: %+v", c)
		}
	}
}
