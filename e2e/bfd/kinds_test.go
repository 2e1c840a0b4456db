package bfd

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// otherKinds adds sessions of both routers that run over IPv6, and over addresses that are
// on no common network (RFC 5883), and has all of their BFD freeze.
func (w *world) otherKinds() {
	var objects, names []string
	for i, r := range w.routers {
		n := i + 1
		six, far := [2]string{fmt.Sprintf("fd00:31:%d::1", n), fmt.Sprintf("fd00:31:%d::2", n)}, [2]string{fmt.Sprintf("10.255.%d.1", n), fmt.Sprintf("10.255.%d.2", n)}
		for j, end := range [][3]string{{w.node, "to-" + r.kind, r.address}, {r.space, "uplink", r.uplink}} {
			must.Run(w, "ip", "-n", end[0], "addr", "add", six[j]+"/64", "dev", end[1], "nodad")
			must.Run(w, "ip", "-n", end[0], "addr", "add", far[j]+"/32", "dev", "lo")
			must.Run(w, "ip", "-n", end[0], "route", "add", far[1-j]+"/32", "via", end[2])
		}
		r.alsoServes(six, far)
		for name, spec := range map[string]string{"six": "peerAddress: '" + six[1] + "', sourceAddress: '" + six[0] + "'", "far": "peerAddress: " + far[1] + ", sourceAddress: " + far[0] + ", ebgpMultihop: true"} {
			names = append(names, r.kind+"-"+name)
			objects = append(objects, fmt.Sprintf("{apiVersion: fairway.dev/v1alpha1, kind: BGPPeer, metadata: {name: %s-%s}, spec: {%s, peerASN: %d, localASN: 65001%s}}\n", r.kind, name, spec, routerASN, w.timers.withBFD()))
		}
	}
	must.WriteFile(w, filepath.Join(w.dir, "objects", "more.yaml"), []byte(strings.Join(objects, "---\n")))
	for _, name := range names {
		w.await("BFD of "+name+" is up", func() bool {
			s := w.named(name)
			return s.Established() && s.BFD != nil && s.BFD.State == "Up" && s.BFD.RouterState == "Up"
		})
	}
	for _, r := range w.routers {
		r.bfd.Process.Signal(syscall.SIGSTOP)
	}
	for _, name := range names {
		w.await(name+" is ended", func() bool { return strings.HasPrefix(w.named(name).LastError, "BFD: no packet from the router for") })
	}
	for _, r := range w.routers {
		r.bfd.Process.Signal(syscall.SIGCONT)
	}
	for _, name := range names {
		w.await(name+" is back", func() bool { return w.named(name).Established() })
	}
}

// alsoServes gives the router two more neighbors: ours is the first address of each pair.
func (r *router) alsoServes(six, far [2]string) {
	if r.kind == bird {
		config := filepath.Join(r.dir, "bird.conf")
		text := string(must.ReadFile(r, config))
		for name, ends := range map[string][2]string{"six": six, "far": far} {
			hops := "direct"
			if name == "far" {
				hops = "multihop 2"
			}
			text += fmt.Sprintf("protocol bgp %s {\n local %s as %d;\n neighbor %s as 65001;\n %s;\n passive on;\n bfd on;\n error wait time 1, 2;\n ipv4 { import none; export none; };\n ipv6 { import none; export none; };\n}\n", name, ends[1], routerASN, ends[0], hops)
		}
		ms := r.w.timers.interval.Milliseconds()
		text = strings.Replace(text, "protocol bfd {", fmt.Sprintf("protocol bfd { multihop { min rx interval %[1]d ms; min tx interval %[1]d ms; multiplier %[2]d; };", ms, r.w.timers.multiplier), 1)
		must.WriteFile(r, config, []byte(text))
		if got := r.ask("bird", "configure"); !strings.Contains(got, "econfigur") {
			r.Fatalf("BIRD: %s", got)
		}
		return
	}
	for address, lines := range map[string][]string{
		six[0]: {"passive", "bfd", "bfd profile node"},
		far[0]: {"passive", "ebgp-multihop 2", "update-source " + far[1], "bfd", "bfd profile node"},
	} {
		argv := []string{"vtysh", "--vty_socket", r.dir, "-d", "bgpd", "-c", "configure", "-c", fmt.Sprintf("router bgp %d", routerASN), "-c", "neighbor " + address + " remote-as 65001"}
		for _, l := range lines {
			argv = append(argv, "-c", "neighbor "+address+" "+l)
		}
		must.Run(r, argv...)
	}
}
