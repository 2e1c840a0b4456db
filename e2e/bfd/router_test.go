package bfd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// Kinds of routers.
const (
	frr  = "frr"
	bird = "bird"
)

const routerASN = 65100

// router is FRR or BIRD in a namespace, linked to the node.
type router struct {
	testing.TB
	w                            *world
	kind, space, address, uplink string
	dir                          string
	// bgp and bfd run, both the same at BIRD.
	bgp, bfd *process
}

func (w *world) startRouter(kind string, i int) *router {
	w.Helper()
	r := &router{TB: w, w: w, kind: kind, space: w.space(kind), address: fmt.Sprintf("172.31.%d.2", i), uplink: fmt.Sprintf("172.31.%d.1", i)}
	r.dir = filepath.Join(w.dir, kind)
	if err := os.Mkdir(r.dir, 0o777); err != nil {
		w.Fatal(err)
	}
	if err := os.Chmod(r.dir, 0o777); err != nil {
		w.Fatal(err)
	}
	must.Run(w, "ip", "-n", w.node, "link", "add", "to-"+kind, "type", "veth", "peer", "name", "uplink", "netns", r.space)
	for _, end := range [][3]string{{w.node, "to-" + kind, r.uplink}, {r.space, "uplink", r.address}} {
		must.Run(w, "ip", "-n", end[0], "addr", "add", end[2]+"/24", "dev", end[1])
		must.Run(w, "ip", "-n", end[0], "link", "set", end[1], "up")
	}
	if kind == bird {
		r.startBIRD()
	} else {
		r.startFRR()
	}
	return r
}

func (r *router) startBIRD() {
	ms := r.w.timers.interval.Milliseconds()
	config := filepath.Join(r.dir, "bird.conf")
	must.WriteFile(r, config, []byte(fmt.Sprintf(`
router id 10.255.0.3;
log stderr all;
protocol device {}
protocol kernel { ipv4 { export all; import none; }; }
protocol bfd { interface "uplink" { min rx interval %[1]d ms; min tx interval %[1]d ms; multiplier %[2]d; }; }
protocol bgp node {
  local %[3]s as %[4]d;
  neighbor %[5]s as 65001;
  passive on;
  bfd on;
  graceful restart aware;
  error wait time 1, 2; # a minute, otherwise
  ipv4 { import all; export none; };
}
`, ms, r.w.timers.multiplier, r.address, routerASN, r.uplink)))
	r.bgp = r.run("bird", "-f", "-c", config, "-s", filepath.Join(r.dir, "ctl"), "-P", filepath.Join(r.dir, "pid"))
	r.bfd = r.bgp
}

func (r *router) startFRR() {
	ms := r.w.timers.interval.Milliseconds()
	for name, config := range map[string]string{
		"zebra": "", "bfdd": fmt.Sprintf("log stdout\nbfd\n profile node\n  transmit-interval %[1]d\n  receive-interval %[1]d\n  detect-multiplier %[2]d\n exit\nexit\n", ms, r.w.timers.multiplier),
		"bgpd": fmt.Sprintf(`log stdout
router bgp %[1]d
 bgp router-id 10.255.0.2
 no bgp ebgp-requires-policy
 bgp log-neighbor-changes
 neighbor %[2]s remote-as 65001
 neighbor %[2]s passive
 neighbor %[2]s bfd
 neighbor %[2]s bfd profile node
 neighbor %[2]s advertisement-interval 0
`, routerASN, r.uplink),
	} {
		must.WriteFile(r, filepath.Join(r.dir, name+".conf"), []byte(config))
	}
	r.frr("zebra")
	must.Await(r, "zebra answers", func() bool {
		c, err := net.Dial("unix", filepath.Join(r.dir, "zserv"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	r.startBFD()
	r.startBGP()
}

func (r *router) startBFD() {
	if r.kind == bird {
		r.startBIRD()
		return
	}
	r.bfd = r.frr("bfdd", "--bfdctl", filepath.Join(r.dir, "bfdd.sock"))
	must.Await(r, "bfdd answers", func() bool { return r.ask("bfdd", "show bfd peers json") != "" })
}

func (r *router) startBGP() {
	if r.kind == bird {
		r.startBIRD()
		return
	}
	r.bgp = r.frr("bgpd")
	must.Await(r, "bgpd answers", func() bool { return r.ask("bgpd", "show bgp summary json") != "" })
}

// frr starts one of FRR's daemons.
func (r *router) frr(name string, args ...string) *process {
	return r.run(append([]string{"/usr/lib/frr/" + name, "-P", "0", "-i", filepath.Join(r.dir, name+".pid"),
		"-z", filepath.Join(r.dir, "zserv"), "--vty_socket", r.dir, "-f", filepath.Join(r.dir, name+".conf")}, args...)...)
}

// run starts a router's program, at a real-time priority where that is allowed: a router is
// a machine of its own, which is not busy with what this one is.
func (r *router) run(argv ...string) *process {
	return r.w.start(r.space, append([]string{"sh", "-c", `chrt -r -p 1 $$ >/dev/null 2>&1; exec "$@"`, "router"}, argv...)...)
}

// ask gives FRR's or BIRD's answer to a command, "" on failure.
func (r *router) ask(daemon, command string) string {
	argv := []string{"vtysh", "--vty_socket", r.dir, "-d", daemon, "-c", command}
	if r.kind == bird {
		argv = append([]string{"birdc", "-s", filepath.Join(r.dir, "ctl")}, strings.Fields(command)...)
	}
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}
