package host_test

import "github.com/fairway-bgp/fairway/host/hosttest"

// What other programs put on a node, as their own documentation and behaviour
// have it: reduced to what a forwarded packet meets.
const (
	dockerRules    = hosttest.DockerRules
	kubeProxyPlain = hosttest.KubeProxyPlain
	kubeOVNRules   = hosttest.KubeOVNRules
	kubeOVNSets    = hosttest.KubeOVNSets
	ufwRules       = hosttest.UfwRules
)

// kubeOVNPolicy: what kube-ovn-cni adds for a Subnet with natOutgoingPolicyRules, of
// which the first forwards what goes to 192.168.0.0/16 and the second translates
// the rest (pkg/daemon/gateway_linux.go).
const kubeOVNPolicy = `*nat
:OVN-NAT-POLICY - [0:0]
:OVN-NAT-PSUBNET-0a1b2c3d4e5f - [0:0]
-I OVN-POSTROUTING 1 -m set --match-set ovn40subnets-nat-policy src -m set ! --match-set ovn40subnets dst -j OVN-NAT-POLICY
-I OVN-POSTROUTING 2 -m mark --mark 0x90001/0x90001 -j OVN-MASQUERADE
-I OVN-POSTROUTING 3 -m mark --mark 0x90002/0x90002 -j RETURN
-A OVN-NAT-POLICY -s 10.166.0.0/16 -m comment --comment natPolicySubnet-routed -j OVN-NAT-PSUBNET-0a1b2c3d4e5f
-A OVN-NAT-PSUBNET-0a1b2c3d4e5f -m set --match-set ovn40natpr-1f2e3d4c5b6a-dst dst -j MARK --set-xmark 0x90002/0x90002
-A OVN-NAT-PSUBNET-0a1b2c3d4e5f -m mark ! --mark 0x90002/0x90002 -j MARK --set-xmark 0x90001/0x90001
COMMIT
`

// kubeOVNPolicySets are the sets of kubeOVNPolicy.
const kubeOVNPolicySets = `create ovn40subnets-nat-policy hash:net
create ovn40natpr-1f2e3d4c5b6a-dst hash:net
add ovn40subnets-nat 10.166.0.0/16
add ovn40subnets-nat-policy 10.166.0.0/16
add ovn40natpr-1f2e3d4c5b6a-dst 192.168.0.0/16
`

// firewalldRules: firewalld's table of nftables, the forward way of its default
// zone (firewalld: nftables backend).
const firewalldRules = `table inet firewalld {
 chain mangle_PREROUTING {
  type filter hook prerouting priority mangle + 10; policy accept;
  jump mangle_PREROUTING_ZONES
 }
 chain mangle_PREROUTING_ZONES {
  return
 }
 chain nat_POSTROUTING {
  type nat hook postrouting priority srcnat + 10; policy accept;
 }
 chain filter_PREROUTING {
  type filter hook prerouting priority filter + 10; policy accept;
  icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
  meta nfproto ipv6 fib saddr . mark . iif oif missing drop
 }
 chain filter_FORWARD {
  type filter hook forward priority filter + 10; policy accept;
  ct state { established, related } accept
  ct status dnat accept
  iifname "lo" accept
  ct state invalid drop
  ip6 daddr { ::/96, 2002::/24 } reject with icmpv6 addr-unreachable
  jump filter_FORWARD_ZONES
  reject with icmpx admin-prohibited
 }
 chain filter_FORWARD_ZONES {
  iifname "up0" goto filter_FWD_public
  goto filter_FWD_public
 }
 chain filter_FWD_public {
  jump filter_FWD_public_allow
  reject with icmpx admin-prohibited
 }
 chain filter_FWD_public_allow {
  %s
 }
}
`
