package routers

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// Where Debian's package has the daemons.
const (
	frrBgpd  = "/usr/lib/frr/bgpd"
	frrZebra = "/usr/lib/frr/zebra"
)

// frr is zebra and bgpd in a namespace, as long as the test t runs.
type frr struct {
	t              *testing.T
	namespace, dir string
	options        []string
	stopBgpd       func()
}

// interopFRRConfig is an ordinary eBGP router with MD5 and GTSM. The password and
// the address are the speaker's.
const interopFRRConfig = `
log stdout
router bgp 65100
 bgp router-id 10.255.0.2
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor ` + frrUplink + ` remote-as 65001
 neighbor ` + frrUplink + ` password ` + interopPassword + `
 neighbor ` + frrUplink + ` ttl-security hops 1
 neighbor ` + frrUplink + ` timers 3 9
 neighbor ` + frrUplink + ` timers connect 2
 address-family ipv4 unicast
  neighbor ` + frrUplink + ` activate
 exit-address-family
 address-family ipv6 unicast
  neighbor ` + frrUplink + ` activate
 exit-address-family
`

func startFRR(t *testing.T, namespace string) *frr {
	t.Helper()
	return runFRR(t, namespace, interopFRRConfig, "")
}

// runFRR starts FRR with the configurations of bgpd and zebra, and options of bgpd's.
func runFRR(t *testing.T, namespace, bgpd, zebra string, options ...string) *frr {
	t.Helper()
	// Not t.TempDir: FRR's daemons drop root and must reach it, and the path of a
	// unix socket is short.
	dir, err := os.MkdirTemp("", "frr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bgpd.conf"), []byte(bgpd), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "zebra.conf"), []byte(zebra), 0o644); err != nil {
		t.Fatal(err)
	}
	f := &frr{t: t, namespace: namespace, dir: dir, options: options}
	f.daemon(frrZebra)
	f.startBgpd(t)
	return f
}

func (f *frr) daemon(program string, args ...string) (stop func()) {
	name := filepath.Base(program)
	return daemon(f.t, f.namespace, append([]string{program, "-P", "0", "-i", filepath.Join(f.dir, name+".pid"),
		"-z", filepath.Join(f.dir, "zserv"), "--vty_socket", f.dir, "-f", filepath.Join(f.dir, name+".conf")}, args...)...)
}

// startBgpd starts it once zebra answers: without zebra, bgpd does not hear whether a
// next hop can be reached.
func (f *frr) startBgpd(t *testing.T) {
	t.Helper()
	must.Await(t, "zebra answers", func() bool {
		c, err := net.Dial("unix", filepath.Join(f.dir, "zserv"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	f.stopBgpd = f.daemon(frrBgpd, f.options...)
	if !must.Eventually(func() bool { return f.try("show bgp summary json") != "" }) {
		t.Fatal("bgpd does not answer")
	}
}

// restart kills bgpd, as a crash would, and starts it anew.
func (f *frr) restart(t *testing.T) {
	t.Helper()
	f.stopBgpd()
	f.startBgpd(t)
}

// try gives the answer to a command, "" on failure.
func (f *frr) try(command string) string {
	out, err := exec.Command("vtysh", "--vty_socket", f.dir, "-d", "bgpd", "-c", command).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// show reads the answer to a command with json.
func (f *frr) show(t *testing.T, command string, into any) {
	t.Helper()
	out := f.try(command)
	if out == "" {
		return
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

type frrPath struct {
	ASPath         struct{ String string }
	Metric         *int
	LocPrf         *int
	Community      struct{ String string }
	LargeCommunity struct{ String string }
	NextHops       []struct{ IP, Scope string }
	Stale          bool
}

// routes gives all that FRR has from the speaker.
func (f *frr) routes(t *testing.T) map[string]route {
	t.Helper()
	out := map[string]route{}
	for _, family := range []string{"ipv4", "ipv6"} {
		var table struct{ Routes map[string]json.RawMessage }
		f.show(t, "show bgp "+family+" unicast json", &table)
		for prefix := range table.Routes {
			for _, p := range f.paths(t, prefix) {
				r := route{asPath: p.ASPath.String, communities: p.Community.String, large: p.LargeCommunity.String}
				if r.asPath == "Local" {
					r.asPath = "" // our own AS
				}
				if p.LocPrf != nil {
					r.localPref = fmt.Sprint(*p.LocPrf)
				}
				if p.Metric != nil {
					r.med = fmt.Sprint(*p.Metric)
				}
				for _, h := range p.NextHops {
					if h.Scope != "link-local" {
						r.nextHop = h.IP
					}
				}
				out[prefix] = r
			}
		}
	}
	return out
}

func (f *frr) paths(t *testing.T, prefix string) []frrPath {
	t.Helper()
	family := "ipv4"
	if strings.Contains(prefix, ":") {
		family = "ipv6"
	}
	var d struct{ Paths []frrPath }
	f.show(t, fmt.Sprintf("show bgp %s unicast %s json", family, prefix), &d)
	return d.Paths
}

func (f *frr) want(t *testing.T, want map[string]route) {
	t.Helper()
	wantRoutes(t, want, func() map[string]route { return f.routes(t) })
}

// stale reports whether FRR keeps the route from before a restart.
func (f *frr) stale(t *testing.T, prefix string) bool {
	t.Helper()
	for _, p := range f.paths(t, prefix) {
		if p.Stale {
			return true
		}
	}
	return false
}

func (f *frr) neighbor(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	f.show(t, "show bgp neighbors "+frrUplink+" json", &all)
	return all[frrUplink]
}

func (f *frr) established(t *testing.T) bool {
	t.Helper()
	return f.neighbor(t)["bgpState"] == "Established"
}

// lastWords gives everything that FRR remembers of the end of the session.
func (f *frr) lastWords(t *testing.T) string {
	t.Helper()
	return fmt.Sprint(f.neighbor(t))
}

// watchFor looks at a prefix all the time, and gives at the end how often FRR was
// without it.
func (f *frr) watchFor(t *testing.T, prefix string) (lost func() int) {
	t.Helper()
	var wg sync.WaitGroup
	over := make(chan struct{})
	const enough = 10 // also on a slow machine
	n, looks := 0, 0
	wg.Go(func() {
		for {
			select {
			case <-over:
				if looks >= enough {
					return
				}
			case <-time.After(50 * time.Millisecond):
			}
			out := f.try("show bgp ipv4 unicast " + prefix + " json")
			looks++
			if !strings.Contains(out, "paths") {
				n++
			}
		}
	})
	return func() int {
		close(over)
		wg.Wait()
		return n
	}
}
