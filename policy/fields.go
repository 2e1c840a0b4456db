package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/bfd"
)

// When says from when on a changed setting of a session counts.
type When string

const (
	// InPlace: at once, and the session stays.
	InPlace When = "inPlace"
	// NextSession: from the next session on; the one that runs stays as it is.
	NextSession When = "nextSession"
	// NewOpen: the session is reset, because BGP says it in OPEN alone.
	NewOpen When = "newOpen"
	// NewConnection: the session is reset, because it belongs to the TCP connection.
	NewConnection When = "newConnection"
)

// Resets reports whether the session is reset at once.
func (w When) Resets() bool { return w == NewOpen || w == NewConnection }

// FieldChange is a setting of a session that differs.
type FieldChange struct {
	// Field is its name in BGPPeer's spec.
	Field string `json:"field"`
	// From and To are for people; of a password they say only whether there is one.
	From string `json:"from"`
	To   string `json:"to"`
	When When   `json:"when"`
	// Why says what makes it so, for people; "" for InPlace.
	Why string `json:"why"`
}

// field is one setting of a session.
type field struct {
	// in names the field of Session or SessionSettings.
	in string
	// name is that of BGPPeer's spec.
	name string
	when When
	why  string
	// value gives what counts of it: two sessions with equal values do not differ.
	value func(Session) string
	// shown gives it for people, nil for the value.
	shown func(Session) string
}

// fields answers for every setting of a session what a change of it does; who changes
// sessions and who foretells that both ask here.
func fields() []field {
	return []field{
		{in: "Peer", name: "metadata.name", when: InPlace, value: func(s Session) string { return s.Peer }},
		{in: "Address", name: "peerAddress", when: NewConnection, why: "is whom the session is with", value: func(s Session) string { return addressText(s.Address) }},
		// Where they lead to another address, that resets it.
		{in: "Interface", name: "interface", when: InPlace, value: func(s Session) string { return cmp.Or(s.Interface, "none") }},
		{in: "Discovery", name: "peerDiscovery", when: InPlace, value: func(s Session) string { return cmp.Or(string(s.Discovery), "none") }},
		{in: "Missing", name: "", when: InPlace, value: func(Session) string { return "" }}, // says what is, and sets nothing
		{in: "PeerASN", name: "peerASN", when: NewOpen, why: "is in the router's OPEN", value: func(s Session) string { return fmt.Sprint(s.PeerASN) }},
		// It is PeerASN that counts.
		{in: "DynamicASN", name: "dynamicASN", when: InPlace, value: func(s Session) string { return cmp.Or(string(s.DynamicASN), "none") }},
		{in: "LocalASN", name: "localASN", when: NewOpen, why: "is in OPEN", value: func(s Session) string { return fmt.Sprint(s.LocalASN) }},
		{in: "Password", name: PasswordField, when: NextSession, why: "is the key of the next TCP connection", value: func(s Session) string { return string(s.Password) }, shown: func(s Session) string { return cmp.Or(s.Password.String(), "none") }},
		{in: "Port", name: "port", when: NewConnection, why: "is where the TCP connection goes", value: func(s Session) string { return fmt.Sprint(s.Port) }},
		{in: "SourceAddress", name: "sourceAddress", when: NewConnection, why: "is where the TCP connection comes from", value: func(s Session) string { return addressText(s.SourceAddress) }},
		{in: "EBGPMultihop", name: "ebgpMultihop", when: NewConnection, why: "is the TTL of the TCP connection", value: func(s Session) string { return onOff(s.EBGPMultihop && !s.Internal()) }},
		{in: "TTLSecurity", name: "ttlSecurity", when: NewConnection, why: "is the TTL of the TCP connection", value: func(s Session) string { return onOff(s.TTLSecurity) }},
		{in: "Passive", name: "passive", when: NewConnection, why: "says who makes the TCP connection", value: func(s Session) string { return onOff(s.Passive) }},
		{in: "GracefulRestartTime", name: "gracefulRestart", when: NewOpen, why: "is in OPEN", value: func(s Session) string { return restartText(s.GracefulRestartTime) }},
		{in: "BFD", name: "bfd", when: InPlace, value: func(s Session) string { return bfdText(s.BFD) }},
		{in: "Families", name: "families", when: NewOpen, why: "is in OPEN", value: func(s Session) string { return familiesText(s.Families) }},
		{in: "HoldTime", name: "holdTime", when: NextSession, why: "is negotiated in OPEN", value: func(s Session) string { return secondsText(s.HoldTime) }},
		{in: "KeepaliveTime", name: "keepaliveTime", when: NextSession, why: "is negotiated in OPEN", value: func(s Session) string { return secondsText(s.KeepaliveTime) }},
		{in: "ConnectRetryTime", name: "connectRetryTime", when: NextSession, why: "is for the next dial", value: func(s Session) string { return secondsText(s.ConnectRetryTime) }},
		// It is offered in every OPEN, and only decides the next hops.
		{in: "ExtendedNextHop", name: "extendedNextHop", when: InPlace, value: func(s Session) string { return onOff(s.ExtendedNextHop) }},
		{in: "MaxPodPrefixes", name: "maxPodPrefixes", when: InPlace, value: func(s Session) string { return podPrefixesText(s.MaxPodPrefixes) }},
		{in: "Defaults", name: attributesField, when: InPlace, value: func(s Session) string { return s.Defaults.text() }},
	}
}

// FieldChanges gives the settings in which two sessions differ: first those that reset
// it, then those that count from the next session on, then those that change in place.
func FieldChanges(have, want Session) []FieldChange {
	out := []FieldChange{}
	for _, f := range fields() {
		if f.value(have) == f.value(want) {
			continue
		}
		show := f.value
		if f.shown != nil {
			show = f.shown
		}
		out = append(out, FieldChange{f.name, show(have), show(want), f.when, f.why})
	}
	return out
}

// Resetting gives the names of those changes that reset the session.
func Resetting(changes []FieldChange) []string {
	var names []string
	for _, c := range changes {
		if c.When.Resets() {
			names = append(names, c.Field)
		}
	}
	return names
}

// Text names the setting and its two values, as far as they are to be shown.
func (c FieldChange) Text() string {
	if c.From == c.To || c.Field == attributesField {
		return c.Field
	}
	return fmt.Sprintf("%s %s -> %s", c.Field, c.From, c.To)
}

// PasswordField is the password by its name in a FieldChange.
const PasswordField = "password"

// attributesField is told by the prefixes that it changes.
const attributesField = "attributes"

func bfdText(b bfd.Settings) string {
	if !b.On() {
		return "off"
	}
	return fmt.Sprintf("%s/%s x %d", b.Transmit, b.Receive, b.Multiplier)
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

func onOff(b bool) string { return fmt.Sprint(b) }

func secondsText(d time.Duration) string { return fmt.Sprintf("%ds", int(d/time.Second)) }

func restartText(d time.Duration) string {
	if d == 0 {
		return "off"
	}
	return secondsText(d)
}

func podPrefixesText(n uint32) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

func familiesText(list []Family) string {
	names := make([]string, 0, len(list))
	for _, f := range list {
		names = append(names, string(f))
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func (d Defaults) text() string {
	b := appendList(nil, d.Communities, appendText)
	b = appendList(b, d.LargeCommunities, appendText)
	b = appendNumber(append(b, " med "...), d.MED)
	b = appendNumber(append(b, " localPref "...), d.LocalPref)
	return string(appendNumber(append(b, " asPathPrepend "...), d.ASPathPrepend))
}
