package export

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/policy"
)

// A mistake in a template shows only when its line is reached: every setting is
// tried alone, missing alone, and with each kind of address and AS.
func TestTemplatesPrintWhateverTheSettings(t *testing.T) {
	bad := regexp.MustCompile(`<no value>|<nil>|%!|\{\{|\}\}|(?m)[ \t]$`)
	for name, in := range settingsOneByOne() {
		for _, f := range Formats() {
			if f == IPRoute {
				continue // always static
			}
			if out := write(t, f, in); bad.MatchString(out) || !strings.HasSuffix(out, "\n") || strings.HasSuffix(out, "\n\n") {
				t.Errorf("%s, %s: %q in\n%s", f, name, bad.FindString(out), out)
			}
		}
	}
}

// settingsOneByOne are the sessions of tor-a with one setting on or one off.
func settingsOneByOne() map[string]Input {
	switches := []func(*policy.Session){
		func(s *policy.Session) { s.Passive = true },
		func(s *policy.Session) { s.TTLSecurity = true },
		func(s *policy.Session) { s.EBGPMultihop = true },
		func(s *policy.Session) { s.ExtendedNextHop = true },
		func(s *policy.Session) { s.Password, s.Port = "", 1790 },
		func(s *policy.Session) { s.HoldTime, s.GracefulRestartTime = 0, 0 },
		func(s *policy.Session) { s.ConnectRetryTime = 1500 * time.Millisecond },
		func(s *policy.Session) { s.Families = s.Families[:1] },
		func(s *policy.Session) { s.Families = s.Families[len(s.Families)-1:] },
		func(s *policy.Session) { s.PeerASN = 64512 },
	}
	out := map[string]Input{}
	for _, router := range []string{"172.30.0.1", "fd00:30::2", "fe80::1%eth0"} {
		for i := range switches {
			out[fmt.Sprintf("%s with %d", router, i)] = withSessions(router, switches[i:i+1])
			out[fmt.Sprintf("%s without %d", router, i)] = withSessions(router, slices.Concat(switches[:i], switches[i+1:]))
		}
	}
	return out
}

func withSessions(router string, settings []func(*policy.Session)) Input {
	in := cluster()
	in.Peer = "tor-a"
	for i := range in.Plans {
		s := torA(64512 + uint32(i%2))
		s.Address = addr(router)
		if s.Address.Zone() != "" {
			s.SourceAddress = netip.MustParseAddr(fmt.Sprintf("fd00:30::%d", i+1))
		}
		for _, set := range settings {
			set(&s)
		}
		in.Plans[i].Sessions = []policy.Session{s}
	}
	return in
}

func TestLinesWithNothingButABlockAreNotPrinted(t *testing.T) {
	for _, c := range []struct{ sheet, want string }{
		{"a\n  {{if x}}\n b\n  {{else}}\n c\n  {{end}}\nd\n", "a\n{{if x\n}} b\n{{else\n}} c\n{{end\n}}d\n"},
		{"{{/* one\n  two */}}\n{{range .X}}\n", "{{/* one\n  two \n*/}}{{range .X\n}}"},
		{"{{$a := .B}}\n{{$a = .C}}\n", "{{$a := .B\n}}{{$a = .C\n}}"},
		{"{{template \"le\" .}} route {{.X}}\n", "{{template \"le\" .}} route {{.X}}\n"},
		{"{{.X}}\n\n{{$a}}\nif {{if .X}}\n", "{{.X}}\n\n{{$a}}\nif {{if .X}}\n"},
	} {
		if got := withoutBlockLines(c.sheet); got != c.want {
			t.Errorf("%q\n became %q,\n    not %q", c.sheet, got, c.want)
		}
	}
}

// A template can print all that it is given, even what is not exported.
func TestTemplatesAreNotGivenThePassword(t *testing.T) {
	in := cluster()
	in.Peer = "tor-a"
	p, err := peeringOf(FRR, in)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sheet(FRR)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = s.Parse("{{.}}"); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.Execute(&b, p); err != nil || !strings.Contains(b.String(), placeholder) || strings.Contains(b.String(), secret) {
		t.Errorf("%v: %s", err, b.String())
	}
}
