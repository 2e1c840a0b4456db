package host

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// masqueraded reports whether Kube-OVN's set of networks to masquerade has the
// CIDR itself as a member, by the kernel's own test of that.
func masqueraded(p netip.Prefix) (bool, error) {
	set, address := "ovn40subnets-nat", nl.IPSET_ATTR_IPADDR_IPV4
	if p.Addr().Is6() {
		set, address = "ovn60subnets-nat", nl.IPSET_ATTR_IPADDR_IPV6
	}
	data := nl.NewRtAttr(nl.IPSET_ATTR_DATA|int(nl.NLA_F_NESTED), nil)
	data.AddRtAttr(nl.IPSET_ATTR_IP|int(nl.NLA_F_NESTED), nil).AddRtAttr(address|int(nl.NLA_F_NET_BYTEORDER), p.Addr().AsSlice())
	data.AddRtAttr(nl.IPSET_ATTR_CIDR, nl.Uint8Attr(uint8(p.Bits())))
	r := setRequest(nl.IPSET_CMD_TEST, set)
	r.AddData(data)
	_, err := r.Execute(unix.NETLINK_NETFILTER, 0)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.Errno(nl.IPSET_ERR_EXIST)): // no such member
		return false, nil
	}
	return false, fmt.Errorf("ipset %s: %w", set, err)
}

// setRequest begins a request about an ipset, or about all where the name is "".
func setRequest(command int, set string) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(command|unix.NFNL_SUBSYS_IPSET<<8, nl.GetIpsetFlags(command))
	r.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_NETLINK, Version: nl.NFNETLINK_V0})
	r.AddData(nl.NewRtAttr(nl.IPSET_ATTR_PROTOCOL, nl.Uint8Attr(nl.IPSET_PROTOCOL)))
	if set != "" {
		r.AddData(nl.NewRtAttr(nl.IPSET_ATTR_SETNAME, nl.ZeroTerminated(set)))
	}
	return r
}

// SetListing is a number that stands for all that the kernel says of a set; 0 where
// there is none, or it says nothing.
func SetListing(name string) uint64 {
	messages, err := setRequest(nl.IPSET_CMD_LIST, name).Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil || len(messages) == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, m := range messages {
		h.Write(m)
	}
	return h.Sum64()
}
