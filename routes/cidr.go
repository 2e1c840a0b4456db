package routes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ParseCIDRBlock reads spec.cidrBlock: CIDRs separated by commas, IPv4, IPv6 or
// both in either order (pkg/util/net.go, CheckProtocol). Host bits are masked
// away. A CIDR that is there twice is given once, two that overlap otherwise are
// an error. The error names the part that
// does not parse; then the parts that do are of no use either.
func ParseCIDRBlock(s string) ([]netip.Prefix, error) {
	if strings.TrimSpace(s) == "" {
		return nil, fmt.Errorf("spec.cidrBlock is empty")
	}
	var out []netip.Prefix
	for _, part := range strings.Split(s, ",") {
		part = strings.TrimSpace(part)
		p, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("spec.cidrBlock: %q is not a CIDR such as 10.166.0.0/16 or fd00::/64", part)
		}
		if p.Addr().Is4In6() {
			return nil, fmt.Errorf("spec.cidrBlock: %q is an IPv4-mapped IPv6 CIDR: write it as IPv4", part)
		}
		if p = p.Masked(); slices.Contains(out, p) {
			continue
		}
		if i := slices.IndexFunc(out, p.Overlaps); i >= 0 {
			return nil, fmt.Errorf("spec.cidrBlock: %s and %s overlap", out[i], p)
		}
		out = append(out, p)
	}
	return out, nil
}
