package enforce_test

import (
	"context"
	"testing"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/enforce"
	"github.com/fairway-bgp/fairway/host/hosttest"
)

// looks are the two that an Enforcer has: at all, and at the quick part.
func looks(e *enforce.Enforcer) map[bool]func(context.Context, host.Want) (bool, error) {
	return map[bool]func(context.Context, host.Want) (bool, error){true: e.Enforce, false: e.EnforceFilter}
}

// lookAt has an Enforcer look, and gives whether it had to do something.
func lookAt(t *testing.T, n *hosttest.Space, e *enforce.Enforcer, w host.Want, whole bool) (did bool) {
	t.Helper()
	if err := n.Do(func() (err error) { did, err = looks(e)[whole](context.Background(), w); return err }); err != nil {
		t.Fatal(err)
	}
	return did
}

// known has everything in place, and looked at until it counts as known.
func known(t *testing.T, n *hosttest.Space, e *enforce.Enforcer, w host.Want) {
	t.Helper()
	lookAt(t, n, e, w, true)
	for range 3 {
		for _, whole := range []bool{true, false} {
			if lookAt(t, n, e, w, whole) {
				t.Fatal("something had to be done again")
			}
		}
	}
}

// TestWhatIsKnownIsMendedAllTheSame: a look that is spared because nothing has changed is
// not spared where something has, whatever it is.
func TestWhatIsKnownIsMendedAllTheSame(t *testing.T) {
	for what, c := range map[string]struct {
		meddle string
		whole  bool // the quick part does not look at it
	}{
		"a rule of ours replaced by one of its size":   {meddle: "iptables-legacy-save | sed 's/-i ovn0/-i nope/' | iptables-legacy-restore"},
		"a rule of ours in iptables-nft":               {meddle: "iptables-nft-save | sed 's/-i ovn0/-i nope/' | iptables-nft-restore"},
		"our set's content":                            {meddle: "ipset del fairway4 10.166.0.0/16; ipset add fairway4 10.99.0.0/16"},
		"our jump gone":                                {meddle: "iptables-legacy -F FORWARD"},
		"our jump gone, and another rule in its place": {meddle: "iptables-legacy-save | sed 's/^-A FORWARD .*FAIRWAY-FORWARD$/-A FORWARD -s 198.51.100.1 -j ACCEPT/' | iptables-legacy-restore"},
		"a drop before our jump":                       {meddle: "iptables-legacy -I FORWARD -j DROP"},
		"a policy that drops":                          {meddle: "ip6tables-legacy -P FORWARD DROP"},
		"a drop in another table":                      {meddle: "iptables-legacy -t mangle -A FORWARD -j DROP"},
		"forwarding":                                   {meddle: "echo 0 > /proc/sys/net/ipv4/conf/up0/forwarding", whole: true},
		"the way of replies":                           {meddle: "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip addr add 192.0.2.1/24 dev v0; ip route replace default via 192.0.2.2", whole: true},
	} {
		t.Run(what, func(t *testing.T) {
			n := node(t)
			n.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
			n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
			w := several()
			w.Networks = append(w.Networks, dual().Networks...)
			e := &enforce.Enforcer{State: t.TempDir()}
			n.Sysctl("net.ipv4.conf.up0.rp_filter", "1")
			known(t, n, e, w)
			n.Sh(c.meddle)
			if !lookAt(t, n, e, w, c.whole) {
				t.Error("nothing was done about it")
			}
			known(t, n, e, w)
		})
	}
}

// TestALookAtWhatIsKnownRunsNoProgram: it is the kernel that is asked.
func TestALookAtWhatIsKnownRunsNoProgram(t *testing.T) {
	n := node(t)
	n.RunWith(hosttest.DockerRules, "iptables-legacy-restore")
	n.RunWith(hosttest.DockerRules, "iptables-nft-restore")
	e := &enforce.Enforcer{State: t.TempDir()}
	known(t, n, e, several())
	t.Setenv("PATH", "")
	for _, whole := range []bool{true, false} {
		if lookAt(t, n, e, several(), whole) {
			t.Error("something had to be done")
		}
	}
}
