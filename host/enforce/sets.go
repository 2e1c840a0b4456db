package enforce

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/host"
	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
)

// setChanges are inputs for `ipset restore`: what is added before rules name it, and what
// is removed after the last rule that does is gone, for the kernel neither takes a rule
// that names a missing set nor destroys one that is named.
func setChanges(sets netfilter.IPSets, wanted map[string][]netip.Prefix) (added, removed string) {
	for _, six := range []bool{false, true} {
		name, family := host.SetName(six), "inet"
		if six {
			family = "inet6"
		}
		before, after := oneSet(name, family, sets[name], wanted[name])
		added, removed = added+before, removed+after
	}
	return added, removed
}

func oneSet(name, family string, have *netfilter.IPSet, wanted []netip.Prefix) (added, removed string) {
	switch {
	case len(wanted) == 0 && have == nil:
		return "", ""
	case len(wanted) == 0:
		return "", "destroy " + name + "\n"
	}
	var add, del strings.Builder
	var members []string
	if have == nil {
		fmt.Fprintf(&add, "create %s hash:net family %s maxelem 1048576\n", name, family)
	} else {
		members = have.Members()
	}
	want := make(map[string]bool, len(wanted))
	for _, p := range wanted {
		want[memberText(p)] = true
		if !slices.Contains(members, memberText(p)) {
			fmt.Fprintf(&add, "add %s %s\n", name, memberText(p))
		}
	}
	for _, h := range members {
		// An exception ("nomatch") is replaced by what is added under its name.
		if net, _, _ := strings.Cut(h, " "); !want[net] {
			fmt.Fprintf(&del, "del %s %s\n", name, net)
		}
	}
	return add.String(), del.String()
}

// memberText is a network as ipset prints it: a single address without length.
func memberText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// feedSets hands an input to ipset; none where it is empty.
func feedSets(ctx context.Context, input string) error {
	if input == "" {
		return nil
	}
	_, err := program.Feed(ctx, input, "ipset", "restore", "-exist")
	return err
}

// removeSets tries again for a while: the kernel gives a set free some time
// after the rules that named it (nf_tables frees rules in the background).
func removeSets(ctx context.Context, input string) error {
	var err error
	for range 20 {
		if err = feedSets(ctx, input); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}
