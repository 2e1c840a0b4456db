package bench

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// Autonomous systems of the node and of each router.
const (
	nodeASN   = 65000
	routerASN = 64512
)

// router is FRR or BIRD in a namespace of its own.
type router struct {
	*lab
	kind, space string
	// near is the node's address on the link, far the router's.
	near, far string
	// number is the link's; vty is where FRR's sockets are.
	number int
	vty    string
	bgpd   *process
	kernel *kernel
}

// newRouter makes a router's namespace and watches its kernel. origin marks the routes
// that the router's own program puts there (rtnetlink(7), rtm_protocol).
func (l *lab) newRouter(kind string, origin uint8) *router {
	l.Helper()
	r := &router{lab: l, kind: kind, space: l.space(kind)}
	r.near, r.far = l.link(l.node, r.space)
	r.number = l.links
	r.kernel = l.watch(r.space, origin)
	return r
}

// bird starts BIRD 2, which waits to be dialled.
func (l *lab) bird() *router {
	l.Helper()
	r := l.newRouter("bird", unix.RTPROT_BIRD)
	file := filepath.Join(l.dir, "bird.conf")
	must.WriteFile(l, file, fmt.Appendf(nil, `
router id %s;
protocol device {}
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
protocol bgp {
  local as %d;
  neighbor %s as %d;
  passive on;
  ipv4 { import all; export none; };
}
`, r.far, routerASN, r.near, nodeASN))
	l.spawn(r.space, "bird", "-f", "-c", file, "-s", filepath.Join(l.dir, "bird.ctl"))
	return r
}

// frr starts zebra and bgpd. It waits to be dialled where passive, and dials each second
// where not.
func (l *lab) frr(kind string, passive bool) *router {
	l.Helper()
	r := l.newRouter(kind, unix.RTPROT_BGP)
	// Not the test's folder: FRR's daemons are not root and must reach it.
	dir, err := os.MkdirTemp("", "frr")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { os.RemoveAll(dir) })
	r.vty = dir
	start := func(program, config string) *process {
		file := filepath.Join(dir, program+".conf")
		must.WriteFile(l, file, []byte(config))
		p := l.spawn(r.space, "/usr/lib/frr/"+program, "-P", "0", "-i", filepath.Join(dir, program+".pid"),
			"-z", filepath.Join(dir, "zserv"), "--vty_socket", dir, "-f", file, "--log", "stdout")
		must.Await(l, program+" answers", func() bool { return answers(filepath.Join(dir, program+".vty")) })
		return p
	}
	start("zebra", "")
	config := fmt.Sprintf(`
router bgp %d
 bgp router-id %s
 no bgp ebgp-requires-policy
 neighbor %[3]s remote-as %[4]d
 neighbor %[3]s timers 3 9
 neighbor %[3]s timers connect 1
`, routerASN, r.far, r.near, nodeASN)
	if passive {
		config += fmt.Sprintf(" neighbor %s passive\n", r.near)
	}
	r.bgpd = start("bgpd", config)
	return r
}

// answers reports whether somebody listens on a unix socket.
func answers(socket string) bool {
	c, err := net.Dial("unix", socket)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// show gives bgpd's answer to a command.
func (r *router) show(command string) string {
	out, _ := exec.Command("vtysh", "--vty_socket", r.vty, "-d", "bgpd", "-c", command).Output() // "" is no answer
	return strings.TrimSpace(string(out))
}

// ready reports whether a router would take a session: after one that ended bgpd is idle for
// ever longer (bgpd/bgp_fsm.c, v_start). BIRD always is.
func (r *router) ready() bool {
	return r.vty == "" || strings.Contains(r.show("show bgp neighbors "+r.near+" json"), `"bgpState":"Active"`)
}

// poke makes a router that waits for its next try dial now: bgpd dials when the route to
// its neighbour has changed (bgpd/bgp_fsm.c, bgp_fsm_nht_update).
func (r *router) poke() {
	r.Helper()
	err := within(r.space, func() error {
		way, err := netlink.RouteGet(net.ParseIP(r.near))
		if err != nil {
			return err
		}
		to := &netlink.Route{LinkIndex: way[0].LinkIndex, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: net.ParseIP(r.near).To4(), Mask: net.CIDRMask(32, 32)}}
		if err := netlink.RouteAdd(to); err != nil {
			return err
		}
		return netlink.RouteDel(to)
	})
	if err != nil {
		r.Fatal(err)
	}
}

// kernel counts the routes of one origin in a namespace, by what the kernel tells.
type kernel struct {
	*lab
	space  string
	origin uint8

	mu    sync.Mutex
	there int
	// wanted is the number that somebody waits for, and reached is told when it came.
	wanted  int
	reached chan time.Time
}

// watch begins to count.
func (l *lab) watch(space string, origin uint8) *kernel {
	l.Helper()
	k := &kernel{lab: l, space: space, origin: origin, wanted: -1}
	at, err := netns.GetFromName(space)
	if err != nil {
		l.Fatal(err)
	}
	defer at.Close()
	s, err := nl.SubscribeAt(at, netns.None(), unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_ROUTE)
	if err == nil {
		err = s.SetReceiveBufferSize(256<<20, true)
	}
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(s.Close)
	go k.read(s)
	return k
}

func (k *kernel) read(s *nl.NetlinkSocket) {
	for {
		messages, _, err := s.Receive()
		if err != nil {
			return
		}
		now := time.Now()
		k.mu.Lock()
		for _, m := range messages {
			k.note(m, now)
		}
		k.mu.Unlock()
	}
}

// note counts one message.
func (k *kernel) note(m syscall.NetlinkMessage, now time.Time) {
	const protocol = 5 // the offset of rtm_protocol in struct rtmsg
	if len(m.Data) < unix.SizeofRtMsg || m.Data[protocol] != k.origin {
		return
	}
	switch {
	case m.Header.Type == unix.RTM_NEWROUTE && m.Header.Flags&unix.NLM_F_REPLACE == 0:
		k.there++
	case m.Header.Type == unix.RTM_DELROUTE:
		k.there--
	}
	if k.there == k.wanted {
		k.wanted = -1
		k.reached <- now
	}
}

// expect gives a channel that tells when the kernel has so many routes.
func (k *kernel) expect(n int) <-chan time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wanted, k.reached = -1, make(chan time.Time, 1)
	if k.there == n {
		k.reached <- time.Now()
	} else {
		k.wanted = n
	}
	return k.reached
}

// empty reports whether there is no route.
func (k *kernel) empty() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.there <= 0
}

// list asks the kernel itself.
func (k *kernel) list() []netlink.Route {
	k.Helper()
	var list []netlink.Route
	err := within(k.space, func() (err error) {
		list, err = netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Protocol: netlink.RouteProtocol(k.origin)}, netlink.RT_FILTER_PROTOCOL)
		return err
	})
	if err != nil {
		k.Fatal(err)
	}
	return list
}

// until waits for what expect has promised.
func (k *kernel) until(reached <-chan time.Time, why func() string) time.Time {
	k.Helper()
	select {
	case at := <-reached:
		return at
	case <-time.After(bound):
		k.mu.Lock()
		there := k.there
		k.mu.Unlock()
		k.Fatalf("not the routes expected in %s: %d counted, %d there: %s", bound, there, len(k.list()), why())
	}
	return time.Time{}
}
