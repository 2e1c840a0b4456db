package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host/program"
)

// readLinks reads what is at the links of this network namespace beside rules.
func readLinks(ctx context.Context) Links {
	out := Links{MTU: map[string]int{}, NoNeighbours: map[string]bool{}, Arptables: arptables(ctx)}
	links, err := netlink.LinkList()
	if err != nil {
		out.Err = fmt.Errorf("list links: %w", err)
		return out
	}
	qdiscs, err := netlink.QdiscList(nil)
	if err != nil {
		out.Err = fmt.Errorf("list queueing disciplines of links: %w", err)
		return out
	}
	for _, l := range links {
		a := l.Attrs()
		out.MTU[a.Name] = a.MTU
		out.NoNeighbours[a.Name] = a.RawFlags&unix.IFF_NOARP != 0
		if a.Xdp != nil && a.Xdp.Attached {
			out.Programs = append(out.Programs, Program{Link: a.Name, What: fmt.Sprintf("XDP program (id %d)", a.Xdp.ProgId)})
		}
		for _, q := range qdiscs {
			if q.Attrs().LinkIndex == a.Index {
				out.addQdisc(l, q)
			}
		}
		out.addAttached(l)
	}
	return out
}

// arptables says what there is of arptables-legacy, "" for nothing. Like those of
// iptables-legacy its table is made at the first use.
func arptables(ctx context.Context) string {
	names, err := os.ReadFile("/proc/thread-self/net/arp_tables_names")
	if err != nil || len(names) == 0 {
		return "" // this kernel has none, or nobody has used it
	}
	text, err := program.Output(ctx, "arptables-legacy-save")
	if err != nil {
		return "tables of arptables-legacy are there, and cannot be read: " + err.Error()
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "-A ") || strings.HasPrefix(line, ":") && strings.Contains(line, " DROP") {
			return "arptables-legacy: " + strings.TrimSpace(line)
		}
	}
	return ""
}

// addQdisc adds what a queueing discipline drops by order: its filters at the hooks
// ingress and egress (tc(8), clsact), filters with an action of other ones, and netem's
// losses. Disciplines that limit a rate are no loss by themselves.
func (l *Links) addQdisc(link netlink.Link, q netlink.Qdisc) {
	name, at := link.Attrs().Name, q.Attrs()
	if n, is := q.(*netlink.Netem); is && (n.Loss > 0 || n.CorruptProb > 0) {
		l.Programs = append(l.Programs, Program{Link: name, What: "netem discipline that loses packets"})
	}
	// Filters hang on these parents.
	places := map[uint32]string{at.Handle: "of discipline " + q.Type()}
	switch q.Type() {
	case "noqueue", "noop", "mq", "pfifo", "bfifo", "pfifo_fast":
		return // these have no filters, and most links have one of them
	case "ingress":
		places = map[uint32]string{at.Handle: "at ingress"}
	case "clsact":
		places = map[uint32]string{netlink.HANDLE_MIN_INGRESS: "at ingress", netlink.HANDLE_MIN_EGRESS: "at egress"}
	}
	for parent, place := range places {
		filters, err := netlink.FilterList(link, parent)
		if err != nil {
			l.Err = errors.Join(l.Err, fmt.Errorf("list filters of %s: %w", name, err))
			continue
		}
		seen := map[Program]bool{}
		for _, f := range filters {
			p := Program{Link: name, What: fmt.Sprintf("tc filter %s %s", f.Type(), place), Only: familyOfEther(f.Attrs().Protocol)}
			if onHook := q.Type() == "ingress" || q.Type() == "clsact"; !seen[p] && (onHook || hasAction(f)) && !isOtherEther(f.Attrs().Protocol) {
				seen[p] = true
				l.Programs = append(l.Programs, p)
			}
		}
	}
}

// hasAction is whether a filter may do more than choose a class.
func hasAction(f netlink.Filter) bool {
	switch f := f.(type) {
	case *netlink.U32:
		return len(f.Actions) > 0 || f.Police != nil
	case *netlink.MatchAll:
		return len(f.Actions) > 0
	case *netlink.Flower:
		return len(f.Actions) > 0
	case *netlink.FwFilter:
		return f.Police != nil
	case *netlink.BpfFilter:
		return f.DirectAction
	}
	return true
}

// familyOfEther is the family of a filter's protocol (ethertype); "" for all.
func familyOfEther(protocol uint16) Family {
	switch protocol {
	case unix.ETH_P_IP:
		return IPv4
	case unix.ETH_P_IPV6:
		return IPv6
	}
	return ""
}

// isOtherEther is whether a filter sees neither family: that of LLDP, say.
func isOtherEther(protocol uint16) bool {
	switch protocol {
	case 0, unix.ETH_P_ALL, unix.ETH_P_IP, unix.ETH_P_IPV6, unix.ETH_P_8021Q, unix.ETH_P_8021AD, unix.ETH_P_ARP:
		return false
	}
	return true
}

// Places of programs that bpf(2) alone tells of (enum bpf_attach_type in
// linux/bpf.h).
var attachTypes = []struct {
	number uint32
	what   string
}{{46, "tcx program at ingress"}, {47, "tcx program at egress"}}

// attachQuery is what bpf(BPF_PROG_QUERY) takes (union bpf_attr in linux/bpf.h).
type attachQuery struct {
	ifindex, attachType, queryFlags, attachFlags uint32
	progIDs                                      uint64
	count, _                                     uint32
	progAttachFlags, linkIDs, linkAttachFlags    uint64
	revision                                     uint64
}

// bpfProgQuery is the command of bpf(2).
const bpfProgQuery = 16

// addAttached adds programs of tcx. A kernel before 6.6 has none and says EINVAL.
func (l *Links) addAttached(link netlink.Link) {
	for _, at := range attachTypes {
		q := attachQuery{ifindex: uint32(link.Attrs().Index), attachType: at.number}
		_, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgQuery, uintptr(unsafe.Pointer(&q)), unsafe.Sizeof(q))
		switch {
		case errno == unix.EPERM || errno == unix.ENOSYS || errno == unix.EACCES:
			l.Unseen = fmt.Errorf("bpf(2): %w", errno)
		case errno == 0 && q.count > 0:
			l.Programs = append(l.Programs, Program{Link: link.Attrs().Name, What: at.what})
		}
	}
}
