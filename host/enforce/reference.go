package enforce

import (
	"fmt"
	"io"
)

// WriteReference prints the documentation of what is put on a host, in Markdown.
func WriteReference(w io.Writer) error {
	_, err := fmt.Fprintf(w, reference, legacyInterval, setsInterval, auditInterval, ledgerName)
	return err
}

// reference says what --host=enforce and check --fix put on a host.
const reference = `
# What enforce puts on a host

` + "`--host=enforce` and `fairway check --fix`" + ` change what is listed here and nothing else. Every rule has a comment that
begins with ` + "`fairway:`" + `; never is one put inside OVN-* or KUBE-*, which their owners rewrite.

- The chain ` + "`FAIRWAY-FORWARD`" + `, jumped to from the first place of filter FORWARD, in each iptables backend (legacy, nft;
  IPv4, IPv6) whose filter table has rules: accepts from and to the announced CIDRs by the overlay link, in every
  conntrack state. The CIDRs are in the ipsets ` + "`fairway4` and `fairway6`" + `, so the rules stay two; without the program ipset
  there are two a CIDR.
- Where returns are asymmetric and mangle POSTROUTING has rules, ` + "`FAIRWAY-POSTROUTING`" + `: accepts RSTs in state INVALID.
- The sysctls of the checks forwarding and rp_filter; accept_ra=2 first on a link that learned its default route.
- With ` + "`--host-notrack`" + ` only, ` + "`FAIRWAY-PREROUTING`" + ` in table raw: asymmetric CIDRs are no longer tracked, for hosts where a native
  nftables chain drops INVALID, which no accept elsewhere undoes. The price: replies of Pods to a NodePort with
  externalTrafficPolicy Local are no longer translated back.

Changes by others are noticed by nftables' netlink events; iptables-legacy has none, so its tables, where there are any, are
looked at every %s; our ipsets every %s. A rule of ours that others have altered counts as gone, also where it has
kept its comment. Sysctls are looked at every %s. A withdrawn CIDR leaves the sets, and the last one takes the chains
along. The rules stay while a daemon is replaced.

` + "`fairway check --undo`" + ` takes everything away and restores each sysctl that still has Fairway's value. The old values are
kept in the file ` + "`%s`" + ` of ` + "`--host-state`" + `, and with them what the kernel changes along: forwarding of each link,
and whether redirects are taken. Tables and base chains that had to be made go too, unless others use them by then; one
of iptables-legacy stays, empty, while the kernel has its module. Where a daemon enforces, undo does nothing and says so.
A table that iptables-nft can no longer read, because somebody has put a rule of nft's own into it, keeps Fairway's chain
as it is, and undo takes that away with nft.
`
