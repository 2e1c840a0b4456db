package host_test

// What other programs put on a node, as their own documentation and behaviour
// have it: reduced to what a forwarded packet meets.

// dockerRules: dockerd sets the policy of FORWARD to DROP and accepts what its
// bridges have (Docker: "Packet filtering and firewalls").
const dockerRules = `*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
`

// kubeProxyPlain: the filter part of kube-proxy in iptables mode, started with
// be_liberal 0 (pkg/proxy/iptables/proxier.go). Newer ones count what they drop
// by an nfacct match besides, which not every kernel has.
const kubeProxyPlain = `*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`

// kubeOVNRules: what kube-ovn-cni keeps (pkg/daemon/gateway_linux.go).
const kubeOVNRules = `*filter
-A FORWARD -m set --match-set ovn40subnets dst -j ACCEPT
-A FORWARD -m set --match-set ovn40subnets src -j ACCEPT
-A FORWARD -m set --match-set ovn40services dst -j ACCEPT
-A FORWARD -m set --match-set ovn40services src -j ACCEPT
COMMIT
*mangle
:OVN-POSTROUTING - [0:0]
-A POSTROUTING -m comment --comment "kube-ovn postrouting rules" -j OVN-POSTROUTING
-A OVN-POSTROUTING -p tcp -m set --match-set ovn40subnets src -m tcp --tcp-flags RST RST -m state --state INVALID -j DROP
COMMIT
*nat
:OVN-POSTROUTING - [0:0]
:OVN-MASQUERADE - [0:0]
-A POSTROUTING -m comment --comment "kube-ovn postrouting rules" -j OVN-POSTROUTING
-A OVN-POSTROUTING -m set --match-set ovn40services src -m set --match-set ovn40subnets dst -m mark --mark 0x4000/0x4000 -j OVN-MASQUERADE
-A OVN-POSTROUTING -m set --match-set ovn40subnets-nat src -m set ! --match-set ovn40subnets dst -j OVN-MASQUERADE
-A OVN-MASQUERADE -j MARK --set-xmark 0x0/0xffffffff
-A OVN-MASQUERADE -j MASQUERADE
COMMIT
`

// kubeOVNSets: %s is a member of the subnets that are NATed.
const kubeOVNSets = `create ovn40subnets hash:net
create ovn40subnets-nat hash:net
create ovn40services hash:net
add ovn40subnets 10.166.0.0/16
add ovn40subnets 100.64.0.0/16
add ovn40services 10.96.0.0/12
`

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

// ufwRules: ufw with its default of dropping what is routed, its chains of the
// forward way (ufw-framework(8)).
const ufwRules = `*filter
:FORWARD DROP [0:0]
:ufw-before-logging-forward - [0:0]
:ufw-before-forward - [0:0]
:ufw-after-forward - [0:0]
:ufw-after-logging-forward - [0:0]
:ufw-reject-forward - [0:0]
:ufw-user-forward - [0:0]
-A FORWARD -j ufw-before-logging-forward
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-after-forward
-A FORWARD -j ufw-after-logging-forward
-A FORWARD -j ufw-reject-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
-A ufw-after-logging-forward -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
COMMIT
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
