package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// frrDaemon is where Debian's frr package has its daemons.
func frrDaemon(name string) string { return filepath.Join("/usr/lib/frr", name) }

// startFRR runs zebra and bgpd by hand, with sockets and pid files of their own,
// so that a router which the machine runs for itself is not touched.
func (l *Lab) startFRR(ctx context.Context) error {
	dir := filepath.Join(l.State, "frr")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("router frr: %w", err)
	}
	if err := giveToFRR(dir); err != nil {
		return err
	}
	zserv := filepath.Join(dir, "zserv.api")
	if err := l.startFRRDaemon("zebra", dir, zserv, "hostname tor\n"); err != nil {
		return err
	}
	// bgpd that does not find zebra tries again after 10 s only.
	err := until(ctx, proofBound, func() error {
		conn, err := net.Dial("unix", zserv)
		if err != nil {
			return fmt.Errorf("router frr: zebra does not answer: %w: %s", err, l.lastWords("zebra"))
		}
		return conn.Close()
	})
	if err != nil {
		return err
	}
	return l.startFRRDaemon("bgpd", dir, zserv, cmp.Or(l.RouterConfig, frrConfig()))
}

func (l *Lab) startFRRDaemon(name, dir, zserv, config string) error {
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return fmt.Errorf("router frr: %w", err)
	}
	return l.run(name, routerSpace, frrDaemon(name), "-f", file, "-i", filepath.Join(dir, name+".pid"),
		"-z", zserv, "--vty_socket", dir, "--log", "stdout")
}

// giveToFRR lets the daemons write their sockets: they give root up and run as
// the user that Debian's package makes.
func giveToFRR(dir string) error {
	owner, err := user.Lookup("frr")
	if err != nil {
		return fmt.Errorf("router frr: %w", err)
	}
	uid, uidErr := strconv.Atoi(owner.Uid)
	gid, gidErr := strconv.Atoi(owner.Gid)
	if err := errors.Join(uidErr, gidErr, os.Chown(dir, uid, gid)); err != nil {
		return fmt.Errorf("router frr: %w", err)
	}
	return nil
}

// frrConfig is bgpd's side of the peering: passive, multipath over equal paths,
// nothing sent.
func frrConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, "hostname tor\nrouter bgp %d\n bgp router-id %s\n no bgp ebgp-requires-policy\n", RouterASN, addrOf(torLAN4))
	fmt.Fprint(&b, " no bgp default ipv4-unicast\n")
	for _, n := range nodes() {
		for _, a := range n.lan {
			fmt.Fprintf(&b, " neighbor %s remote-as %d\n neighbor %s passive\n", a.Addr(), NodeASN, a.Addr())
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		fmt.Fprintf(&b, " address-family %s unicast\n  maximum-paths 64\n", family)
		for _, n := range nodes() {
			for _, a := range n.lan {
				fmt.Fprintf(&b, "  neighbor %s activate\n  neighbor %s route-map NOTHING out\n", a.Addr(), a.Addr())
			}
		}
		fmt.Fprint(&b, " exit-address-family\n")
	}
	fmt.Fprint(&b, "exit\nroute-map NOTHING deny 10\n")
	return b.String()
}

// startBIRD runs BIRD 2 in the foreground with sockets of its own.
func (l *Lab) startBIRD() error {
	file := filepath.Join(l.State, "bird.conf")
	if err := os.WriteFile(file, []byte(cmp.Or(l.RouterConfig, birdConfig())), 0o644); err != nil {
		return fmt.Errorf("router bird: %w", err)
	}
	return l.run("bird", routerSpace, "bird", "-f", "-c", file, "-s", filepath.Join(l.State, "bird.ctl"))
}

// birdConfig is the same peering for BIRD 2.
func birdConfig() string {
	var b strings.Builder
	fmt.Fprintf(&b, "log stderr all;\nrouter id %s;\nprotocol device {}\n", addrOf(torLAN4))
	for _, family := range []string{"ipv4", "ipv6"} {
		fmt.Fprintf(&b, "protocol kernel kernel_%s { merge paths yes; %s { import none; export where source = RTS_BGP; }; }\n", family, family)
	}
	for _, n := range nodes() {
		for _, a := range n.lan {
			name := n.name + "_4"
			if a.Addr().Is6() {
				name = n.name + "_6"
			}
			fmt.Fprintf(&b, `protocol bgp %s {
  local as %d;
  neighbor %s as %d;
  passive on;
  error wait time 1, 5;
  ipv4 { import all; export none; };
  ipv6 { import all; export none; };
}
`, name, RouterASN, a.Addr(), NodeASN)
		}
	}
	return b.String()
}
