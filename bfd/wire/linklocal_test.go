package wire

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/needs"
)

// TestTwoLoopsComeUpOverLinkLocalAddresses is how neighbours without addresses of their
// own watch their path. It runs in a namespace of its own, which has both ends of a link.
func TestTwoLoopsComeUpOverLinkLocalAddresses(t *testing.T) {
	if os.Getenv("BFD_TEST_INSIDE") != "" {
		joined(t, "fe80::a%v0", "fe80::b%v1", false)
		return
	}
	needs.Root(t, "ip")
	space := fmt.Sprintf("fwwire%d", os.Getpid())
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	ip("netns add " + space)
	t.Cleanup(func() { ip("netns del " + space) })
	ip("-n " + space + " link add v0 type veth peer name v1")
	for _, end := range []string{"fe80::a/64 dev v0", "fe80::b/64 dev v1"} {
		ip("-n " + space + " addr add " + end + " nodad")
	}
	ip("-n " + space + " link set v0 up")
	ip("-n " + space + " link set v1 up")
	inside := exec.Command("ip", "netns", "exec", space, os.Args[0], "-test.run", t.Name()+"$", "-test.v")
	inside.Env = append(os.Environ(), "BFD_TEST_INSIDE=1")
	if out, err := inside.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
