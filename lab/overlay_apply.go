package lab

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// applyNetwork makes nodes and overlay route as o says. It compares with what
// is in the kernel and adds before it removes, so traffic that stays is never
// interrupted.
func (w *wiring) applyNetwork(o overlay) error {
	errs := []error{w.applySwitches(o.switches), w.applyReturns(o.returns)}
	for _, n := range nodes() {
		errs = append(errs, w.applyNodeRoutes(n, o.cidrs), w.applyMasquerade(n, o.masqueraded))
	}
	return errors.Join(errs...)
}

// applyNodeRoutes keeps a node's routes by ovn0. The source is the node's own
// address, as kube-ovn-cni sets it. The join addresses go first: IPv6 loses its
// one where somebody took the link down.
func (w *wiring) applyNodeRoutes(n station, cidrs []netip.Prefix) error {
	s := w.spaces[n.name]
	errs := []error{s.address("ovn0", n.join...)}
	for _, cidr := range cidrs {
		is6 := cidr.Addr().Is6()
		r := route{to: cidr, via: []netip.Addr{joinGateway(is6)}, link: "ovn0", src: ofFamily(n.lan, is6).Addr()}
		errs = append(errs, s.replaceRoute(r, routeProtocolStart))
	}
	link, err := s.LinkByName("ovn0")
	if err != nil {
		return fmt.Errorf("namespace %s: link ovn0: %w", s.name, err)
	}
	have, err := s.RouteList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("namespace %s: routes of ovn0: %w", s.name, err)
	}
	for _, r := range have {
		byGateway := r.Gw != nil && addrFromIP(r.Gw) == joinGateway(r.Gw.To4() == nil)
		if byGateway && !slices.Contains(cidrs, prefixOf(r.Dst)) {
			if err := s.RouteDel(&r); err != nil {
				errs = append(errs, fmt.Errorf("namespace %s: remove route %s: %w", s.name, prefixOf(r.Dst), err))
			}
		}
	}
	return errors.Join(errs...)
}

// applyMasquerade hides Pods behind a node's address where they leave it, as
// Kube-OVN does by iptables (pkg/daemon/gateway_linux.go). The whole table is
// replaced in one transaction.
func (w *wiring) applyMasquerade(n station, cidrs []netip.Prefix) error {
	cmd := exec.Command("ip", "netns", "exec", w.prefix+n.name, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(masquerade(cidrs))
	_, err := output(cmd)
	return err
}

func masquerade(cidrs []netip.Prefix) string {
	var b strings.Builder
	b.WriteString("add table inet ovn\ndelete table inet ovn\ntable inet ovn {\n chain postrouting {\n")
	b.WriteString("  type nat hook postrouting priority srcnat;\n")
	for _, p := range cidrs {
		family := "ip"
		if p.Addr().Is6() {
			family = "ip6"
		}
		fmt.Fprintf(&b, "  %s saddr %s oifname \"eth0\" masquerade\n", family, p)
	}
	b.WriteString(" }\n}\n")
	return b.String()
}

// applyReturns keeps one rule for each return path; the priority orders them so
// that longer prefixes win, as routes would.
func (w *wiring) applyReturns(want []returnPath) error {
	ovn := w.spaces[overlaySpace]
	have, err := ovn.returns()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range want {
		if !slices.Contains(have, r) {
			if err := ovn.RuleAdd(r.rule()); err != nil {
				errs = append(errs, fmt.Errorf("return path of %s: %w", r.from, err))
			}
		}
	}
	for _, r := range have {
		if !slices.Contains(want, r) {
			if err := ovn.RuleDel(r.rule()); err != nil {
				errs = append(errs, fmt.Errorf("remove return path of %s: %w", r.from, err))
			}
		}
	}
	return errors.Join(errs...)
}

// returns reads the rules that applyReturns made.
func (s *space) returns() ([]returnPath, error) {
	var out []returnPath
	for _, is6 := range []bool{false, true} {
		rules, err := s.RuleList(family(is6))
		if err != nil {
			return nil, fmt.Errorf("namespace %s: rules: %w", s.name, err)
		}
		for _, r := range rules {
			if r.Src != nil && r.Table > returnTableBase && r.Table < returnTableBase+1<<nodeCount {
				out = append(out, returnPath{prefixOf(r.Src), r.Table})
			}
		}
	}
	return out, nil
}

func (r returnPath) rule() *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family = family(r.from.Addr().Is6())
	rule.Priority = returnPriority + r.from.Addr().BitLen() - r.from.Bits()
	rule.Src, rule.Table = ipNet(r.from), r.table
	return rule
}

// applySwitches keeps one bridge for each Subnet, with the logical router's
// addresses on it.
func (w *wiring) applySwitches(want []logicalSwitch) error {
	ovn := w.spaces[overlaySpace]
	links, err := ovn.LinkList()
	if err != nil {
		return fmt.Errorf("namespace %s: links: %w", ovn.name, err)
	}
	have := map[string]netlink.Link{}
	for _, l := range links {
		if l.Type() == "bridge" && l.Attrs().Name != "join" {
			have[l.Attrs().Name] = l
		}
	}
	var errs []error
	for _, sw := range want {
		if have[sw.linkName()] == nil {
			errs = append(errs, ovn.bridge(sw.linkName()))
		}
		delete(have, sw.linkName())
		errs = append(errs, ovn.address(sw.linkName(), sw.gateways...), ovn.removeOtherAddresses(sw))
	}
	for name, l := range have {
		if err := ovn.LinkDel(l); err != nil {
			errs = append(errs, fmt.Errorf("namespace %s: remove %s: %w", ovn.name, name, err))
		}
	}
	return errors.Join(errs...)
}

// removeOtherAddresses takes away the gateway addresses of former CIDRs.
func (s *space) removeOtherAddresses(sw logicalSwitch) error {
	link, err := s.LinkByName(sw.linkName())
	if err != nil {
		return fmt.Errorf("namespace %s: link %s: %w", s.name, sw.linkName(), err)
	}
	addrs, err := s.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("namespace %s: addresses of %s: %w", s.name, sw.linkName(), err)
	}
	var errs []error
	for _, a := range addrs {
		p := prefixOf(a.IPNet)
		if !p.Addr().IsLinkLocalUnicast() && !slices.Contains(sw.gateways, p) {
			if err := s.AddrDel(link, &a); err != nil {
				errs = append(errs, fmt.Errorf("namespace %s: remove address %s: %w", s.name, p, err))
			}
		}
	}
	return errors.Join(errs...)
}

// addPodSpace makes a Pod's namespace and plugs it into its logical switch.
func (w *wiring) addPodSpace(p pod, sw logicalSwitch) error {
	name := w.prefix + p.spaceName()
	if err := addSpace(name); err != nil {
		return err
	}
	s, err := openSpace(name)
	if err != nil {
		return err
	}
	defer s.close()
	ovn := w.spaces[overlaySpace]
	if err := connect(s, "eth0", ovn, p.portName()); err != nil {
		return err
	}
	if err := ovn.plug(p.portName(), sw.linkName()); err != nil {
		return err
	}
	for _, a := range p.addrs {
		gw := ofFamily(sw.gateways, a.Is6())
		if !gw.Contains(a) {
			return fmt.Errorf("pod %s: address %s is outside Subnet %s", p.name, a, sw.name)
		}
		if err := s.address("eth0", netip.PrefixFrom(a, gw.Bits())); err != nil {
			return err
		}
		if err := s.replaceRoute(route{to: defaultRoute(a.Is6()), via: []netip.Addr{gw.Addr()}}, routeProtocolStart); err != nil {
			return err
		}
	}
	return nil
}

// hashOf is a short stable stand-in for a name that is too long.
func hashOf(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // hash.Hash never returns an error
	return fmt.Sprintf("%08x", h.Sum32())
}
