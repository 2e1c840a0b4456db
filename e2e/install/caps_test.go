package install

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/e2e/must"
	"github.com/fairway-bgp/fairway/e2e/needs"
)

// deed is something that the daemon does on a node and that a capability may be
// asked for. needs is those without which it fails.
type deed struct {
	name  string
	needs []string
	do    func() error
}

// deeds, as the Pod's user 0 does them.
func deeds() []deed {
	command := func(argv ...string) func() error {
		return func() error {
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		}
	}
	return []deed{
		{"TCP MD5 password (RFC 2385)", nil, func() error {
			return onSocket(func(fd int) error {
				key := &unix.TCPMD5Sig{Keylen: 6}
				key.Addr.Family = unix.AF_INET
				copy(key.Addr.Data[2:], []byte{127, 0, 0, 1}) // after the port
				copy(key.Key[:], "secret")
				return unix.SetsockoptTCPMD5Sig(fd, unix.IPPROTO_TCP, unix.TCP_MD5SIG, key)
			})
		}},
		{"TTL security (RFC 5082)", nil, func() error {
			return onSocket(func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, 255) })
		}},
		{"leave by one link", nil, func() error {
			return onSocket(func(fd int) error { return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo") })
		}},
		{"wait for passive peers", []string{"net_bind_service"}, func() error {
			l, err := net.Listen("tcp", "127.0.0.1:179")
			if err == nil {
				err = l.Close()
			}
			return err
		}},
		{"read native nftables rules", []string{"net_admin"}, command("nft", "list", "ruleset")},
		{"read iptables-nft rules", []string{"net_admin"}, command("iptables-nft-save")},
		{"read iptables-legacy rules", []string{"net_admin", "net_raw"}, command("iptables-legacy-save")},
		{"read ipsets", []string{"net_admin"}, command("ipset", "save")},
		{"write iptables-nft rules", []string{"net_admin"}, command("iptables-nft", "-A", "FORWARD", "-m", "comment", "--comment", "tried")},
		{"write iptables-legacy rules", []string{"net_admin", "net_raw"}, command("iptables-legacy", "-A", "FORWARD", "-m", "comment", "--comment", "tried")},
	}
}

func onSocket(do func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

// TestCapabilities does each deed with the chart's capabilities, and with each of
// them taken away: exactly those deeds fail that are said to need it. It runs
// itself again as user 0 with a bounding set, in a network namespace of its own.
func TestCapabilities(t *testing.T) {
	if os.Getenv("CAPABILITIES_CHILD") != "" {
		for _, d := range deeds() {
			if err := d.do(); err != nil {
				fmt.Printf("cannot %s: %v\n", d.name, strings.ReplaceAll(err.Error(), "\n", " "))
			}
		}
		return
	}
	needs.Root(t, "ip", "setpriv", "nft", "iptables-nft", "iptables-legacy", "ipset")
	namespace := fmt.Sprintf("fwc%d", os.Getpid())
	must.Run(t, "ip", "netns", "add", namespace)
	t.Cleanup(func() { must.Run(t, "ip", "netns", "del", namespace) })
	must.Run(t, "ip", "netns", "exec", namespace, "ip", "link", "set", "lo", "up")
	// Legacy tables exist once they have been used; before that nobody is refused.
	must.Run(t, "ip", "netns", "exec", namespace, "iptables-legacy", "-N", "THERE")

	granted := chartCapabilities(t)
	for _, taken := range append([]string{""}, granted...) {
		left := slices.DeleteFunc(slices.Clone(granted), func(c string) bool { return c == taken })
		cannot := tryDeeds(t, namespace, left)
		for _, d := range deeds() {
			want := slices.Contains(d.needs, taken)
			if got := strings.Contains(cannot, "cannot "+d.name+":"); got != want {
				t.Errorf("without %q: unable to %s: %t, want %t\n%s", taken, d.name, got, want, cannot)
			}
		}
	}
}

// chartCapabilities gives what the chart's Pod has, in setpriv's spelling.
func chartCapabilities(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, o := range rendered(t) {
		if o.GetKind() != "DaemonSet" {
			continue
		}
		container := o.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
		for _, c := range container["securityContext"].(map[string]any)["capabilities"].(map[string]any)["add"].([]any) {
			out = append(out, strings.ToLower(c.(string)))
		}
	}
	return out
}

// tryDeeds does all deeds with these capabilities and gives what it says.
func tryDeeds(t *testing.T, namespace string, capabilities []string) string {
	t.Helper()
	bounding := "-all"
	for _, c := range capabilities {
		bounding += ",+" + c
	}
	cmd := exec.CommandContext(t.Context(), "ip", "netns", "exec", namespace, "setpriv", "--bounding-set="+bounding, "--inh-caps=-all", "--no-new-privs",
		os.Args[0], "-test.run=^TestCapabilities$")
	cmd.Env = append(os.Environ(), "CAPABILITIES_CHILD=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("with %v: %v\n%s", capabilities, err, out)
	}
	return string(out)
}
