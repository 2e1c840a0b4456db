package enforce

import (
	"fmt"
	"io"

	"github.com/fairway-bgp/fairway/host"
)

// WriteReference prints the documentation of what is put on a host, in Markdown.
func WriteReference(w io.Writer) error {
	_, err := fmt.Fprintf(w, reference, host.OverruledBudget, host.FewNetworks, host.ManyNetworks, lockPath, lockedInterval, legacyInterval, absentInterval, doubtInterval, setsInterval, auditInterval, auditedInterval, ledgerName)
	return err
}

// reference says what --host=enforce and check --fix put on a host.
const reference = `
# What enforce puts on a host

` + "`--host=enforce` and `fairway check --fix`" + ` change what is listed here and nothing else. Every rule has a comment that
begins with ` + "`fairway:`" + `; jumps stand in base chains only, never inside OVN-*, KUBE-* or anybody's chain.

- **Accepts.** For each rule or policy of iptables (legacy, nft; IPv4, IPv6) that drops packets of an announced CIDR, a
  chain ` + "`FAIRWAY-CHAIN`" + ` (FAIRWAY-FORWARD, FAIRWAY-POSTROUTING; a second one in the same place is FAIRWAY-FORWARD-2), jumped to
  right before that rule; where it is in a chain of somebody's, right before the jump in the base chain that leads there;
  where it is the policy, at the end. It accepts packets from the CIDR by the overlay link and to it, and asks all that
  the dropping rule asks: before ` + "`-m conntrack --ctstate INVALID -j DROP`" + ` it accepts INVALID only. What is opened is
  therefore what that rule would have dropped of the CIDR's traffic, and what is above keeps its say: bans, limits, other
  people's accepts.
- **No accept** where it would let in somebody whom other rules turn away or limit: where one chain both bans and drops,
  where a ban stands behind the drop, where the drop names particular addresses, or where it ends an allow list (others
  are let in before it, by address or port). Then the finding stays wrong and names what its owner offers.
  Whom an accept would let in is asked of everybody whom rules name, until %d rules were gone through for a family;
  of who is named behind that nothing is asked, and the accept is written.
  ` + "`--accept=first`" + ` puts an accept for all of the CIDR's traffic at the head of that base chain all the same: it overrules
  every ban, limit and allow list in that chain.
- Rules name up to %d CIDRs one by one, so that what iptables-save prints of them loads at the next boot; more are in the
  ipsets ` + "`fairway4` and `fairway6`" + `. Without the program ipset rules name up to %d, and an error says how many are left out.
- The sysctls of the checks forwarding and rp_filter. Forwarding is set on the uplinks and the overlay link alone where
  that does: for IPv4, and for IPv6 by force_forwarding (Linux 6.17). Else net.ipv6.conf.all.forwarding, and accept_ra=2
  first on a link that learned its default route.
- With ` + "`--host-notrack`" + ` only, ` + "`FAIRWAY-PREROUTING`" + ` in table raw: asymmetric CIDRs are no longer tracked, for hosts where a native
  nftables chain drops INVALID, which no accept elsewhere undoes. The price: replies of Pods to a NodePort with
  externalTrafficPolicy Local are no longer translated back.

An accept is written before the one that it replaces is taken away, so no packet meets less than before. After each write
the rules are read again, and corrected where somebody has changed them meanwhile. If others put a rule above, the
traffic is lost until that is seen: an error falls on the side of the drop.

Changes by others are noticed by nftables' netlink events. iptables-legacy tells nobody, but its programs take the lock
` + "`%s`" + `: its tables are looked at as soon as one of them is done. Who does not take that lock, such as a container
without the host's file, is seen within %s; where there is no such file tables are looked at every %s. Whether there are
any is asked every %s. Other rules of the same number and size, by somebody without the lock, are seen by comparing all of
them, at least every %s, or where that takes long so seldom that it is one hundredth of the time. Our ipsets are looked at
every %s. Of forwarding and reverse path filters the kernel tells. A rule of ours that others have altered counts as gone,
also where it has kept its comment. Everything is looked at every %s; where only rules have changed that no forwarded packet
meets (a ban in INPUT of iptables-legacy), the findings follow so slowly that looking is one hundredth of the time. With
` + "`--host=audit`" + ` iptables-legacy is looked at every %s. What the kernel says to be as it was is not read again.

From the flush of a whole table to our rules being back it takes 0.13 s with iptables-nft and 0.15 s with iptables-legacy,
and 0.05 s where only the base chain was flushed; 0.2, 0.16 and 0.13 s where each processor has twice the work that it can
do. Measured as another program sees it, on two processors, with docker's rules and one CIDR: one program reads the rules, and
one more writes each rule and the jump, so more CIDRs, and ten thousands of rules, make it longer.
Whoever undoes it again and again is not fought for ever: see the check contested.

A withdrawn CIDR leaves the rules, and the last one takes the chains along. The rules stay while a daemon is replaced.

` + "`fairway check --undo`" + ` takes everything away and restores each sysctl that was really written and still has Fairway's value.
The old values are kept in the file ` + "`%s`" + ` of ` + "`--host-state`" + `, and with them what the kernel changes along: forwarding of
each link, and whether redirects are taken. Tables and base chains that had to be made go too, unless others use them by
then; one of iptables-legacy stays, empty, while the kernel has its module. Where a daemon enforces, undo does nothing and
says so. A table that iptables-nft cannot read, because somebody has put a rule of nft's own into it, is read by nft, and
written by iptables-nft all the same; where there is no iptables any more, undo uses nft.
`
