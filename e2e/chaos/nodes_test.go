package chaos

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// ip runs `ip` in a station's namespace.
func (r *run) ip(station, format string, args ...any) {
	r.Helper()
	must.Run(r, append([]string{"ip", "-n", r.Prefix + station}, strings.Fields(fmt.Sprintf(format, args...))...)...)
}

// in runs a program in a station's namespace.
func (r *run) in(station string, argv ...string) {
	r.Helper()
	must.Run(r, append([]string{"ip", "netns", "exec", r.Prefix + station}, argv...)...)
}

// poke has the lab's agent put right what is its own, as kube-ovn-cni would: it looks
// again when anything in the folder changes.
func (r *run) poke() {
	r.Helper()
	must.WriteFile(r, filepath.Join(r.ClusterDir(), "looks-again"), nil)
}

// cutOff is a fault by which the router hears nothing from a node.
func (r *run) cutOff(n, what string, make, mend func()) {
	r.Helper()
	r.say("%s: %s", n, what)
	r.shines()
	r.change(func() { r.cut[n] = true }, make)
	r.breaks(fault{what, n, func() { r.change(func() { delete(r.cut, n) }, mend) }})
}

// unnoticed is a fault that changes nothing that is announced.
func (r *run) unnoticed(n, what string, make, mend func()) {
	r.Helper()
	r.say("%s: %s", n, what)
	r.change(nil, make)
	r.allRead()
	r.breaks(fault{what, n, func() { r.change(nil, mend); r.allRead() }})
}

func (r *run) cableCut() {
	n := draw(r, r.heard())
	r.cutOff(n, "its cable to the router's network is cut", func() { r.ip("lan", "link set %s down", n) }, func() { r.ip("lan", "link set %s up", n) })
}

func (r *run) uplinkDown() {
	n := r.drawCalm()
	r.cutOff(n, "its uplink is taken down", func() { r.ip(n, "link set eth0 down") }, func() {
		r.ip(n, "link set eth0 up")
		r.ip(n, "addr replace %s/64 dev eth0 nodad", addressOf(n, true))
		r.restoreDefaults(n)
	})
}

// restoreDefaults gives a node the routes again that went with its uplink.
func (r *run) restoreDefaults(n string) {
	r.Helper()
	r.ip(n, "route replace default via 172.30.0.1")
	r.ip(n, "-6 route replace default via fd00:30::1")
	r.poke()
}

func (r *run) overlayLinkDown() {
	n := r.drawCalm()
	const what = "its link into the overlay is taken down"
	r.say("%s: %s", n, what)
	r.shines()
	r.change(func() { r.blind[n] = true }, func() { r.ip(n, "link set ovn0 down") })
	r.breaks(fault{what, n, func() {
		r.change(func() { delete(r.blind, n) }, func() { r.ip(n, "link set ovn0 up"); r.poke() })
	}})
}

// overlayRouteRemoved takes one route away, and has it put back by the agent, who
// must not see before that it is gone.
func (r *run) overlayRouteRemoved() {
	n, name := r.drawCalm(), draw(r, r.names(anySubnet))
	p := draw(r, r.subnets[name].cidrs)
	r.say("%s: its route to %s is removed and put back", n, p)
	r.awaitRoute(n, p)
	r.signal("agent", syscall.SIGSTOP)
	r.change(func() { r.lost[n] = p }, func() { r.ip(n, "route del %s", p) })
	r.allRead()
	r.change(func() { delete(r.lost, n) }, func() { r.signal("agent", syscall.SIGCONT); r.poke() })
}

func (r *run) awaitRoute(n string, p netip.Prefix) {
	r.Helper()
	must.Await(r, fmt.Sprintf("%s has a route to %s", n, p), func() bool {
		hops, err := r.NextHops(n, p)
		return err == nil && len(hops) > 0
	})
}

// addressAdded gives a node a second address: what it announces goes on by its first.
func (r *run) addressAdded() {
	n := draw(r, r.free())
	more := draw(r, []string{"172.30.0.2%s/24", "fd00:30::2%s/64"})
	more = fmt.Sprintf(more, n[1:]+"1")
	r.unnoticed(n, "its uplink has the address "+more+" besides", func() { r.ip(n, "addr add %s dev eth0 nodad", more) }, func() { r.ip(n, "addr del %s dev eth0", more) })
}

func (r *run) addressReplaced() {
	n := r.drawCalm()
	own, other := addressOf(n, false), "172.30.0.9"+n[1:]
	r.cutOff(n, "its uplink's address is replaced by one that the router does not know", func() {
		r.ip(n, "addr del %s/24 dev eth0", own)
		r.ip(n, "addr add %s/24 dev eth0", other)
		r.ip(n, "route replace default via 172.30.0.1")
	}, func() {
		r.ip(n, "addr del %s/24 dev eth0", other)
		r.ip(n, "addr add %s/24 dev eth0", own)
		r.restoreDefaults(n)
	})
}

func (r *run) firewallFlushed() {
	n := draw(r, r.free())
	r.say("%s: its firewall is flushed", n)
	r.change(nil, func() { r.in(n, "nft", "flush", "ruleset") })
	r.allRead()
}

// drops are the two ways to refuse what a hook of the firewall sees.
func (r *run) drops(n, hook string) (make, mend func()) {
	if r.rng.IntN(2) == 0 {
		rule := fmt.Sprintf("table inet misfortune { chain everything { type filter hook %s priority 0; policy drop; }; }\n", hook)
		return func() { r.in(n, "nft", rule) }, func() { r.in(n, "nft", "delete table inet misfortune") }
	}
	policy := func(verdict string) func() {
		return func() { r.in(n, "iptables-nft", "-P", strings.ToUpper(hook), verdict) }
	}
	return policy("DROP"), policy("ACCEPT")
}

func (r *run) forwardDropped() {
	n := draw(r, r.free())
	make, mend := r.drops(n, "forward")
	r.unnoticed(n, "its firewall forwards nothing", make, mend)
}

func (r *run) inputDropped() {
	n := r.drawCalm()
	make, mend := r.drops(n, "input")
	r.cutOff(n, "its firewall lets nothing in", make, mend)
}

// daemon is the process of a node's daemon.
func (r *run) daemon(n string) int {
	r.Helper()
	var pid int
	if _, err := fmt.Sscan(must.Run(r, "pgrep", "-f", "^"+r.Binary+" run .*--node "+n+" "), &pid); err != nil {
		r.Fatal(err)
	}
	return pid
}

// fewDescriptors leaves a daemon none to open anything with, and has it miss a change.
func (r *run) fewDescriptors() {
	n := draw(r, r.free())
	r.say("%s: the daemon has no descriptors left for a moment", n)
	pid := r.daemon(n)
	r.change(func() { r.set(beacon, func(s *subnet) { s.advertise = !s.advertise }) }, func() {
		usual := r.limit(pid, descriptors(r, pid))
		r.writeSubnet(beacon)
		time.Sleep(moment)
		r.limit(pid, int(usual))
	})
}

// limit sets how many descriptors a process may have, and gives how many it might.
func (r *run) limit(pid, most int) (usual uint64) {
	r.Helper()
	var had unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &had); err != nil {
		r.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(most), Max: had.Max}, nil); err != nil {
		r.Fatal(err)
	}
	return had.Cur
}

func descriptors(r *run, pid int) int {
	r.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		r.Fatal(err)
	}
	return len(open)
}

// runFolderFull starts a daemon whose run folder takes nothing.
func (r *run) runFolderFull() {
	n := draw(r, r.free())
	folder := filepath.Join(r.State, "run", n)
	r.say("%s: the daemon is started with a run folder that is full", n)
	r.ended(n, syscall.SIGTERM)
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=4k,nr_inodes=2"); err != nil {
		r.Fatal(err)
	}
	mounted := true
	unmount := func() {
		if mounted {
			mounted = false
			if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
				r.Error(err)
			}
		}
	}
	r.Cleanup(unmount)
	must.WriteFile(r, filepath.Join(folder, "full"), make([]byte, 4096))
	r.started(n)
	r.ended(n, syscall.SIGTERM)
	unmount()
	r.started(n)
}
