package routers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// bird is a BIRD in a namespace.
type bird struct{ socket, config string }

// interopBIRDConfig is a route reflector of our own AS, so LOCAL_PREF is seen.
const interopBIRDConfig = `
router id 10.255.0.3;
protocol device {}
protocol bgp speaker {
  local ` + birdAddress + ` as 65001;
  neighbor ` + birdUplink + ` as 65001;
  password "` + interopPassword + `";
  passive on;
  rr client;
  ipv4 { import all; export none; };
  ipv6 { import all; export none; };
}
protocol bgp speaker6 {
  local ` + birdAddress6 + ` as 65001;
  neighbor ` + birdUplink6 + ` as 65001;
  passive on;
  rr client;
  ipv4 { import all; export none; extended next hop on; };
  ipv6 { import all; export none; };
}
`

func startBIRD(t *testing.T, namespace string) *bird {
	t.Helper()
	return runBIRD(t, namespace, interopBIRDConfig)
}

// runBIRD starts BIRD with a configuration.
func runBIRD(t *testing.T, namespace, config string) *bird {
	t.Helper()
	dir, err := os.MkdirTemp("", "bird") // the path of a unix socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bird{socket: filepath.Join(dir, "ctl"), config: filepath.Join(dir, "bird.conf")}
	must.WriteFile(t, b.config, []byte(config))
	daemon(t, namespace, "bird", "-f", "-c", b.config, "-s", b.socket, "-P", filepath.Join(dir, "pid"))
	must.Await(t, "BIRD answers", func() bool { return b.ask("show status") != "" })
	return b
}

func (b *bird) ask(command string) string {
	out, err := exec.Command("birdc", append([]string{"-s", b.socket}, strings.Fields(command)...)...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// routes reads "show route all": a line that begins with a prefix, followed by
// lines with one attribute each.
func (b *bird) routes() map[string]route {
	out := map[string]route{}
	prefix := ""
	for _, line := range strings.Split(b.ask("show route all"), "\n") {
		if first, _, _ := strings.Cut(line, " "); strings.Contains(first, "/") {
			prefix = first
		}
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || !strings.HasPrefix(key, "BGP.") {
			continue
		}
		r := out[prefix]
		switch value = strings.TrimSpace(value); key {
		case "BGP.as_path":
			r.asPath = value
		case "BGP.next_hop":
			r.nextHop, _, _ = strings.Cut(value, " ")
		case "BGP.med":
			r.med = value
		case "BGP.local_pref":
			r.localPref = value
		case "BGP.community":
			r.communities = value
		case "BGP.large_community":
			r.large = value
		}
		out[prefix] = r
	}
	return out
}

func (b *bird) want(t *testing.T, want map[string]route) {
	t.Helper()
	wantRoutes(t, want, b.routes)
}
