package speaker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v4/api"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

const ours = 65001

// wishFor gives a wish without paths.
func wishFor(sessions ...policy.Session) policy.Wish {
	return policy.Wish{RouterID: netip.MustParseAddr("192.0.2.1"), ASN: ours, Sessions: sessions, RIB: routes.RIB{}}
}

func export(class routes.Class, peer string, a policy.Attributes) policy.Export {
	return policy.Export{Class: class, Peer: peer, Attributes: a}
}

// pair gives a speaker with established sessions to two routers, tor-a (eBGP) and
// tor-b (iBGP), that are sent nothing yet.
func pair(t *testing.T) (*Speaker, policy.Wish, *router, *router) {
	t.Helper()
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src)
	b := newRouter(t, "tor-b", ours, ours, src)
	s := running(t, Options{})
	w := wishFor(a.session(ours), b.session(ours))
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a", "tor-b")
	return s, w, a, b
}

func TestEachPeerGetsItsOwnAttributes(t *testing.T) {
	s, w, a, b := pair(t)
	vip := netip.MustParseAddr("203.0.113.9")
	hop6 := netip.MustParseAddr("2001:db8::1")
	w.RIB = routes.RIBOf(pathsOf{
		pfx("10.1.0.0/16"):     {Class: 1},
		pfx("10.2.0.0/16"):     {Class: 2},
		pfx("10.3.0.0/16"):     {Class: 3, NextHop: vip},
		pfx("2001:db8:1::/64"): {Class: 0xFFFFFFFF00000004},
	})
	w.Exports = []policy.Export{
		export(1, "tor-a", policy.Attributes{
			Communities:      []routes.Community{65000<<16 | 100, 0xFFFFFF01},
			LargeCommunities: []routes.LargeCommunity{{GlobalAdmin: 65000, Data1: 1, Data2: 2}},
			MED:              ptr(uint32(0)), ASPathPrepend: 2,
		}),
		export(1, "tor-b", policy.Attributes{LocalPref: ptr(uint32(0)), MED: ptr(uint32(4294967295))}),
		export(2, "tor-a", policy.Attributes{}),
		export(3, "tor-a", policy.Attributes{}),
		export(3, "tor-b", policy.Attributes{LocalPref: ptr(uint32(150)), ASPathPrepend: 3}),
		export(0xFFFFFFFF00000004, "tor-a", policy.Attributes{NextHop: hop6}),
	}
	mustSync(t, s, w)
	self := a.neighbour.String()
	a.wantTable(
		"10.1.0.0/16 as=65001 65001 65001 com=65000:100,no-export large=65000:1:2 med=0 via="+self,
		"10.2.0.0/16 as=65001 via="+self,
		"10.3.0.0/16 as=65001 via=203.0.113.9",
		"2001:db8:1::/64 as=65001 via=2001:db8::1",
	)
	// Inside the AS: no prepending, LOCAL_PREF always there, 0 included.
	b.wantTable(
		"10.1.0.0/16 as= med=4294967295 pref=0 via="+self,
		"10.3.0.0/16 as= pref=150 via=203.0.113.9",
	)
	o := observe(t, s)
	if rib, err := s.servers()[0].ribNow(); err != nil || !reflect.DeepEqual(rib, w.RIB) || o.Originated != len(w.RIB) {
		t.Errorf("RIB read back: %v, %v, with %d prefixes, not %v", rib, err, o.Originated, w.RIB)
	}
	for i, want := range []int{4, 2} {
		if got := o.Sessions[i]; got.Advertised != want || got.LocalAddress != a.neighbour || len(got.Families) != 2 {
			t.Errorf("session %d: %+v, want %d advertised from %s", i, got, want, a.neighbour)
		}
	}
	if got := holdTime(t, s, a); got != 90*time.Second {
		t.Errorf("hold time %s", got)
	}
}

// marker is a prefix that a test sends last: what a peer heard before it is all
// that it was sent.
var marker = pfx("192.168.255.0/24")

// syncAndHear brings the speaker to the wish, then announces and withdraws the
// marker, and gives what each router heard of the wish.
func syncAndHear(t *testing.T, s *Speaker, w policy.Wish, routers ...*router) [][]string {
	t.Helper()
	for _, r := range routers {
		r.forget()
	}
	mustSync(t, s, w)
	marked := w
	marked.RIB = routes.Apply(w.RIB, routes.Changes{Set: []*routes.Route{{Prefix: marker, Path: routes.Path{Class: 99}}}})
	marked.Exports = slices.Clone(w.Exports)
	for _, r := range routers {
		marked.Exports = append(marked.Exports, export(99, r.name, policy.Attributes{}))
	}
	mustSync(t, s, marked)
	mustSync(t, s, w)
	out := make([][]string, len(routers))
	for i, r := range routers {
		if !within(patience, func() bool { out[i] = r.heard(); return slices.Contains(out[i], "-"+marker.String()) }) {
			t.Fatalf("%s: the marker does not come and go", r.name)
		}
		out[i] = slices.DeleteFunc(out[i], func(s string) bool { return s[1:] == marker.String() })
	}
	return out
}

func TestSyncTwiceSendsNothing(t *testing.T) {
	s, w, a, b := pair(t)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}, pfx("2001:db8:1::/64"): {Class: 2, NextHop: netip.MustParseAddr("2001:db8::9")}})
	all := policy.Attributes{
		NextHop: netip.MustParseAddr("2001:db8::1"), Communities: []routes.Community{0xFFFFFF01},
		LargeCommunities: []routes.LargeCommunity{{GlobalAdmin: 1, Data1: 2, Data2: 3}}, MED: ptr(uint32(7)), ASPathPrepend: 1,
	}
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{}), export(1, "tor-b", policy.Attributes{LocalPref: ptr(uint32(0))}), export(2, "tor-a", all)}
	mustSync(t, s, w)
	if !within(patience, func() bool { return len(a.table()) == 2 && len(b.table()) == 1 }) {
		t.Fatal("the paths do not arrive")
	}
	settled(t, s, a)
	settled(t, s, b)
	before := observe(t, s)
	updates := [2]uint64{a.received(), b.received()}
	for range 5 {
		mustSync(t, s, w)
	}
	if got := [2]uint64{a.received(), b.received()}; got != updates {
		t.Errorf("UPDATEs went from %d to %d", updates, got)
	}
	if after := observe(t, s); !reflect.DeepEqual(before, after) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	if got := syncAndHear(t, s, w, a, b); len(got[0])+len(got[1]) > 0 {
		t.Errorf("heard %v", got)
	}
}

func TestChangesReachOnlyWhomTheyConcern(t *testing.T) {
	s, w, a, b := pair(t)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}, pfx("10.2.0.0/16"): {Class: 2}, pfx("10.3.0.0/16"): {Class: 2}})
	w.Exports = []policy.Export{
		export(1, "tor-a", policy.Attributes{}), export(1, "tor-b", policy.Attributes{}),
		export(2, "tor-a", policy.Attributes{}), export(2, "tor-b", policy.Attributes{}),
	}
	mustSync(t, s, w)
	if !within(patience, func() bool { return len(a.table()) == 3 && len(b.table()) == 3 }) {
		t.Fatal("the paths do not arrive")
	}
	expect := func(symptom string, wantA, wantB []string) {
		t.Helper()
		got := syncAndHear(t, s, w, a, b)
		if !slices.Equal(got[0], wantA) || !slices.Equal(got[1], wantB) {
			t.Errorf("%s: heard\n\t%v\n\t%v\nwant\n\t%v\n\t%v", symptom, got[0], got[1], wantA, wantB)
		}
	}

	// A Subnet's attributes: its path gets another class.
	w.RIB = with(w.RIB, pfx("10.1.0.0/16"), routes.Path{Class: 3})
	w.Exports = []policy.Export{
		export(2, "tor-a", policy.Attributes{}), export(2, "tor-b", policy.Attributes{}),
		export(3, "tor-a", policy.Attributes{MED: ptr(uint32(5))}), export(3, "tor-b", policy.Attributes{MED: ptr(uint32(5))}),
	}
	expect("attributes of one Subnet", []string{"+10.1.0.0/16"}, []string{"+10.1.0.0/16"})

	// A peer's defaults: the rules of that peer change.
	w.Exports = []policy.Export{
		export(2, "tor-a", policy.Attributes{MED: ptr(uint32(9))}), export(2, "tor-b", policy.Attributes{}),
		export(3, "tor-a", policy.Attributes{MED: ptr(uint32(5))}), export(3, "tor-b", policy.Attributes{MED: ptr(uint32(5))}),
	}
	expect("defaults of one peer", []string{"+10.1.0.0/16", "+10.2.0.0/16", "+10.3.0.0/16"}, []string{})

	// A rule goes while its paths stay: that peer loses them.
	w.Exports = slices.DeleteFunc(slices.Clone(w.Exports), func(e policy.Export) bool { return e.Peer == "tor-b" && e.Class == 2 })
	expect("a rule removed", []string{}, []string{"+10.1.0.0/16", "-10.2.0.0/16", "-10.3.0.0/16"})
	b.wantTable("10.1.0.0/16 as= med=5 pref=100 via=" + b.neighbour.String())

	// And comes back.
	w.Exports = append(w.Exports, export(2, "tor-b", policy.Attributes{}))
	expect("a rule added", []string{}, []string{"+10.1.0.0/16", "+10.2.0.0/16", "+10.3.0.0/16"})

	// A path changes to a class that only one peer may have.
	w.RIB = with(w.RIB, pfx("10.3.0.0/16"), routes.Path{Class: 4})
	w.Exports = append(w.Exports, export(4, "tor-a", policy.Attributes{}))
	expect("a path moves to fewer peers", []string{"+10.3.0.0/16"}, []string{"-10.3.0.0/16"})

	// So does the last path of its class, whose rules go at the same time: those
	// tell GoBGP that tor-b is owed a withdrawal.
	w.RIB = with(w.RIB, pfx("10.1.0.0/16"), routes.Path{Class: 4})
	w.Exports = slices.DeleteFunc(slices.Clone(w.Exports), func(e policy.Export) bool { return e.Class == 3 })
	expect("the last path of a class moves", []string{"+10.1.0.0/16"}, []string{"-10.1.0.0/16"})

	// Paths go together with their rules. GoBGP withdraws from everybody, also from
	// a peer that never had the path; that is harmless.
	w.RIB = without(w.RIB, pfx("10.1.0.0/16"))
	w.RIB = without(w.RIB, pfx("10.3.0.0/16"))
	w.Exports = slices.DeleteFunc(slices.Clone(w.Exports), func(e policy.Export) bool { return e.Class == 4 })
	gone := []string{"-10.1.0.0/16", "-10.3.0.0/16"}
	expect("paths and their rules removed", gone, gone)
}

func TestPeerIsAddedAndRemovedBesideAnother(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src)
	b := newRouter(t, "tor-b", 65200, ours, src)
	s := running(t, Options{})
	w := wishFor(a.session(ours))
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{})}
	mustSync(t, s, w)
	line := "10.1.0.0/16 as=65001 via=" + src.String()
	a.wantTable(line)
	before := settled(t, s, a)

	both := w
	both.Sessions = append(slices.Clone(w.Sessions), b.session(ours))
	both.Exports = append(slices.Clone(w.Exports), export(1, "tor-b", policy.Attributes{MED: ptr(uint32(1))}))
	mustSync(t, s, both)
	b.wantTable("10.1.0.0/16 as=65001 med=1 via=" + src.String())
	mustSync(t, s, w)
	b.wantTable()
	if after := sessionOf(t, s, "tor-a"); !reflect.DeepEqual(before, after) {
		t.Errorf("tor-a before %+v, after %+v", before, after)
	}
	if n := len(observe(t, s).Sessions); n != 1 {
		t.Errorf("%d sessions left", n)
	}
	// No session at all is a wish like any other.
	mustSync(t, s, wishFor())
	a.wantTable()
}

func TestChangedSessionResetsOnlyItself(t *testing.T) {
	src := loopback()
	secret := func(word string) func(*router, *api.Peer) {
		return func(_ *router, p *api.Peer) { p.Conf.AuthPassword = word }
	}
	a := newRouter(t, "tor-a", 65100, ours, src, secret("first"))
	b := newRouter(t, "tor-b", 65200, ours, src)
	s := running(t, Options{})
	sa := a.session(ours)
	sa.Password = "first"
	w := wishFor(sa, b.session(ours))
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a", "tor-b")
	before := settled(t, s, b)

	// Timers alone reset nothing.
	w.Sessions[0].HoldTime = 60 * time.Second
	mustSync(t, s, w)
	if got := sessionOf(t, s, "tor-a"); got.State != Established || got.Flaps != 0 {
		t.Errorf("new timers: %+v", got)
	}
	// A new password counts from the next connection on, which the router brings about
	// when it gets the same.
	w.Sessions[0].Password = "second"
	mustSync(t, s, w)
	if got := sessionOf(t, s, "tor-a"); got.State != Established || got.Flaps != 0 || !got.OldPassword {
		t.Errorf("a new password: %+v", got)
	}
	side := a.peer()
	secret("second")(a, side)
	if _, err := a.UpdatePeer(context.Background(), &api.UpdatePeerRequest{Peer: side}); err != nil {
		t.Fatal(err)
	}
	if !within(patience, func() bool {
		mustSync(t, s, w)
		got := sessionOf(t, s, "tor-a")
		return got.State == Established && got.Flaps == 1 && !got.OldPassword
	}) {
		t.Fatalf("the router has the new password too: %+v", sessionOf(t, s, "tor-a"))
	}
	if got := holdTime(t, s, a); got != 60*time.Second {
		t.Errorf("the new timers do not count: the hold time is %s", got)
	}
	if after := sessionOf(t, s, "tor-b"); !reflect.DeepEqual(before, after) {
		t.Errorf("tor-b before %+v, after %+v", before, after)
	}
}

func TestPassiveSessionBesideActiveOne(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src)
	port := freePort(t, netip.IPv4Unspecified())
	b := newRouter(t, "tor-b", 65200, ours, src, func(r *router, p *api.Peer) {
		p.Transport = &api.Transport{RemotePort: uint32(port), LocalAddress: r.addr.String()}
		p.Timers = &api.Timers{Config: &api.TimersConfig{ConnectRetry: 2}}
		p.Conf.AuthPassword = "word"
	})
	s := running(t, Options{ListenPort: int32(port)})
	w := wishFor(a.session(ours))
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{}), export(1, "tor-b", policy.Attributes{})}
	mustSync(t, s, w)
	a.wantTable("10.1.0.0/16 as=65001 via=" + src.String())
	before := settled(t, s, a)

	// A busy port is an error of that session alone, and mends itself.
	taken, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	sb := b.session(ours)
	sb.Passive, sb.SourceAddress, sb.Password = true, netip.Addr{}, "word"
	w.Sessions = append(w.Sessions, sb)
	err = s.Sync(context.Background(), w)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d is in use", port)) {
		t.Errorf("busy port: %v", err)
	}
	taken.Close()
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-b")
	b.wantTable("10.1.0.0/16 as=65001 via=" + src.String())
	if after := sessionOf(t, s, "tor-a"); !reflect.DeepEqual(before, after) {
		t.Errorf("tor-a before %+v, after %+v", before, after)
	}
	if n := len(observe(t, s).Sessions); n != 2 {
		t.Errorf("%d sessions", n)
	}
	// Without passive sessions nothing listens.
	w.Sessions = w.Sessions[:1]
	mustSync(t, s, w)
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

func TestBadSessionsDoNotStopOthers(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src)
	s := running(t, Options{})
	// Junk in place of an OPEN.
	junk, err := net.Listen("tcp", netip.AddrPortFrom(loopback(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer junk.Close()
	served := make(chan struct{}, 16)
	go func() {
		for {
			c, err := junk.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
			// 19 octets of unknown type, which crash GoBGP v3.
			c.Write(append(slices.Repeat([]byte{0xff}, 16), 0, 19, 77))
			c.Close()
			select {
			case served <- struct{}{}:
			default:
			}
		}
	}()
	at := netip.MustParseAddrPort(junk.Addr().String())
	bad := a.session(ours)
	bad.Peer, bad.Address, bad.Port = "junk", at.Addr(), at.Port()
	twice := a.session(ours)
	twice.Peer = "twice"
	both := a.session(ours)
	both.Peer, both.Address, both.EBGPMultihop, both.TTLSecurity = "both", loopback(), true, true
	nobody := a.session(ours)
	nobody.Peer, nobody.Address = "nobody", loopback()
	w := wishFor(both, bad, nobody, a.session(ours), twice)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{}), export(1, "junk", policy.Attributes{}), export(1, "stranger", policy.Attributes{})}
	err = s.Sync(context.Background(), w)
	if err == nil || !strings.Contains(err.Error(), "twice") || !strings.Contains(err.Error(), "both") {
		t.Errorf("Sync: %v", err)
	}
	a.wantTable("10.1.0.0/16 as=65001 via=" + src.String())
	<-served
	if !within(patience, func() bool { return sessionOf(t, s, "junk").LastError != "" }) {
		t.Errorf("junk leaves no trace: %+v", sessionOf(t, s, "junk"))
	}
	if !within(patience, func() bool { return strings.Contains(sessionOf(t, s, "nobody").LastError, "refuses connections") }) {
		t.Errorf("a refused connection leaves no trace: %+v", sessionOf(t, s, "nobody"))
	}
	if got := sessionOf(t, s, "tor-a"); got.State != Established || got.Flaps != 0 {
		t.Errorf("tor-a: %+v", got)
	}
}

func TestImportsNothing(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src)
	b := newRouter(t, "tor-b", 65200, ours, src)
	s := running(t, Options{})
	w := wishFor(a.session(ours), b.session(ours))
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a", "tor-b")
	for _, p := range []string{"0.0.0.0/0", "10.1.0.0/16"} {
		path := apiPath(common{}.pathOf(pfx(p), routes.Path{}, time.Now()))
		if _, err := a.AddPath(context.Background(), &api.AddPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	if !within(patience, func() bool { return sessionOf(t, s, "tor-a").Received == 2 }) {
		t.Fatalf("the router's paths do not arrive: %+v", sessionOf(t, s, "tor-a"))
	}
	if o := observe(t, s); o.Originated != 0 {
		t.Errorf("the RIB has %d prefixes", o.Originated)
	}
	// The same prefix as our own, from a peer, takes nothing away.
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-b", policy.Attributes{})}
	mustSync(t, s, w)
	b.wantTable("10.1.0.0/16 as=65001 via=" + src.String())
}

func TestStopTellsWhy(t *testing.T) {
	s, w, a, _ := pair(t)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{})}
	mustSync(t, s, w)
	a.wantTable("10.1.0.0/16 as=65001 via=" + a.neighbour.String())
	if err := s.Stop(context.Background(), "node drained"); err != nil {
		t.Fatal(err)
	}
	a.wantTable()
	if o := observe(t, s); len(o.Sessions)+o.Originated != 0 {
		t.Errorf("after Stop: %+v", o)
	}
	if err := s.Sync(context.Background(), w); err == nil {
		t.Error("Sync after Stop works")
	}
}

func TestPeerSaysWhyItLeft(t *testing.T) {
	news := bell.New()
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src)
	s := running(t, Options{Bell: news.Ring})
	mustSync(t, s, wishFor(a.session(ours)))
	wantEstablished(t, s, "tor-a")
	<-news.Rung()
	if _, err := a.ShutdownPeer(context.Background(), &api.ShutdownPeerRequest{Address: src.String(), Communication: "rack move, ticket 7"}); err != nil {
		t.Fatal(err)
	}
	if !within(patience, func() bool { return strings.Contains(sessionOf(t, s, "tor-a").LastError, "rack move, ticket 7") }) {
		t.Errorf("session: %+v", sessionOf(t, s, "tor-a"))
	}
	if got, want := sessionOf(t, s, "tor-a").LastReset.Why, (Why{NotificationReceived, "6/2"}); got != want {
		t.Errorf("the last reset is by %v, want %v", got, want)
	}
	<-news.Rung()
	wantEstablished(t, s, "tor-a")
	if got := sessionOf(t, s, "tor-a"); got.Flaps != 1 || got.LastError != "" {
		t.Errorf("after its return: %+v", got)
	}
}

// GoBGP makes a restarting speaker wait for all its peers with graceful restart,
// also for those that are away.
func TestAbsentPeerHoldsNobodyBack(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src, func(_ *router, p *api.Peer) {
		p.GracefulRestart = &api.GracefulRestart{Enabled: true, RestartTime: 120}
		for _, f := range p.AfiSafis {
			f.MpGracefulRestart = &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: true}}
		}
	})
	here, away := a.session(ours), a.session(ours)
	here.GracefulRestartTime, away.GracefulRestartTime = 2*time.Minute, 2*time.Minute
	away.Peer, away.Address = "away", loopback()
	s := running(t, Options{})
	w := wishFor(away, here)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{})}
	mustSync(t, s, w)
	a.wantTable("10.1.0.0/16 as=65001 via=" + src.String())
	// From then on changes go out at once.
	w.RIB = without(w.RIB, pfx("10.1.0.0/16"))
	mustSync(t, s, w)
	a.wantTable()
}

// A crash or an update of the speaker: the peer keeps the routes.
func TestStopForRestartLeavesRoutes(t *testing.T) {
	src := loopback()
	a := newRouter(t, "tor-a", 65100, ours, src, func(_ *router, p *api.Peer) {
		p.GracefulRestart = &api.GracefulRestart{Enabled: true, RestartTime: 120}
		for _, f := range p.AfiSafis {
			f.MpGracefulRestart = &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: true}}
		}
	})
	session := a.session(ours)
	session.GracefulRestartTime = 2 * time.Minute
	w := wishFor(session)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}, pfx("10.2.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{})}
	s := running(t, Options{})
	mustSync(t, s, w)
	one, two := "10.1.0.0/16 as=65001 via="+src.String(), "10.2.0.0/16 as=65001 via="+src.String()
	a.wantTable(one, two)
	if err := s.StopForRestart(context.Background()); err != nil {
		t.Fatal(err)
	}
	down := func() bool { return a.peer().State.SessionState != api.PeerState_SESSION_STATE_ESTABLISHED }
	if !within(patience, down) {
		t.Fatal("the session stays up")
	}
	a.wantTable(one, two)
	a.forget()
	// What went meanwhile goes when the speaker is back, and nothing else.
	w.RIB = without(w.RIB, pfx("10.2.0.0/16"))
	s = running(t, Options{})
	mustSync(t, s, w)
	a.wantTable(one)
	if heard := a.heard(); slices.Contains(heard, "-10.1.0.0/16") {
		t.Errorf("heard %v", heard)
	}
}

func TestNewRouterID(t *testing.T) {
	s, w, a, _ := pair(t)
	w.RIB = routes.RIBOf(pathsOf{pfx("10.1.0.0/16"): {Class: 1}})
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{})}
	mustSync(t, s, w)
	w.RouterID = netip.MustParseAddr("192.0.2.77")
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a", "tor-b")
	a.wantTable("10.1.0.0/16 as=65001 via=" + a.neighbour.String())
	if id := a.peer().State.RouterId; id != "192.0.2.77" {
		t.Errorf("the router sees router id %s", id)
	}
	w.RouterID = netip.Addr{}
	mustSync(t, s, w)
	wantEstablished(t, s, "tor-a")
}

func TestNothingWanted(t *testing.T) {
	s := running(t, Options{})
	mustSync(t, s, policy.Wish{})
	if o := observe(t, s); len(o.Sessions)+o.Originated != 0 {
		t.Errorf("%+v", o)
	}
	err := s.Sync(context.Background(), policy.Wish{Sessions: []policy.Session{{Peer: "x", LocalASN: 1, SessionSettings: policy.SessionSettings{Address: loopback(), PeerASN: 2}}}})
	if err == nil || !strings.Contains(err.Error(), "router id") {
		t.Errorf("no router id: %v", err)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 5 {
		s, err := New(Options{Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan error, 1)
		go func() { over <- s.Run(ctx) }()
		w := wishFor(policy.Session{Peer: "nobody", LocalASN: ours, SessionSettings: policy.SessionSettings{
			Address: loopback(), PeerASN: 65100, Port: 1, Families: []policy.Family{policy.IPv4Unicast},
		}})
		mustSync(t, s, w)
		w.RouterID = netip.MustParseAddr("192.0.2.2")
		mustSync(t, s, w)
		if i%2 == 0 {
			if err := s.Stop(ctx, "over"); err != nil {
				t.Error(err)
			}
		}
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
		if err := s.Sync(context.Background(), w); err == nil {
			t.Error("Sync works after Run")
		}
	}
	if !within(patience, func() bool { return runtime.NumGoroutine() <= before }) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	}
}

func TestTenThousandPrefixes(t *testing.T) {
	s, w, a, b := pair(t)
	w.RIB = manyPaths(10000, 1)
	w.Exports = []policy.Export{export(1, "tor-a", policy.Attributes{MED: ptr(uint32(5))}), export(1, "tor-b", policy.Attributes{})}
	begin := time.Now()
	mustSync(t, s, w)
	synced := time.Since(begin)
	count := func(n int) func() bool {
		return func() bool { return len(a.table()) == n && len(b.table()) == n }
	}
	if !within(patience, count(10000)) {
		t.Fatalf("tor-a has %d, tor-b %d", len(a.table()), len(b.table()))
	}
	t.Logf("Sync %v, both peers have all after %v", synced, time.Since(begin))
	w.RIB = nil
	mustSync(t, s, w)
	if !within(patience, count(0)) {
		t.Fatalf("tor-a has %d, tor-b %d", len(a.table()), len(b.table()))
	}
}

func manyPaths(n int, class routes.Class) routes.RIB {
	out := pathsOf{}
	for i := range n {
		out[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)] = routes.Path{Class: class}
	}
	return routes.RIBOf(out)
}

// pathsOf has the path of each prefix.
type pathsOf = map[netip.Prefix]routes.Path

// with gives a RIB with another path for a prefix.
func with(rib routes.RIB, prefix netip.Prefix, path routes.Path) routes.RIB {
	return routes.Apply(rib, routes.Changes{Set: []*routes.Route{{Prefix: prefix, Path: path}}})
}

// without gives a RIB without a prefix.
func without(rib routes.RIB, prefix netip.Prefix) routes.RIB {
	return routes.Apply(rib, routes.Changes{Withdraw: []netip.Prefix{prefix}})
}

// TestAServerWithoutRoutesIsSmall: GoBGP's own choice of tables takes ten megabytes.
func TestAServerWithoutRoutesIsSmall(t *testing.T) {
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := inUse()
	s := running(t, Options{})
	mustSync(t, s, wishFor(newRouter(t, "tor", 65100, ours, loopback()).session(ours)))
	const most = 4 << 20
	if after := inUse(); after > before+most {
		t.Errorf("%d octets more are in use, of which at most %d are expected", after-before, most)
	}
}
