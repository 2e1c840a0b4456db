package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/host/program"
)

// Read gathers what there is to know about this network namespace, with the kernel's
// answers to what the Want asks. It does not fail as a whole: each part carries its own
// error.
func Read(ctx context.Context, w Want) Facts { return new(FilterReader).ReadAll(ctx, w) }

// ReadAll is Read by a reader that may have read the packet filter before.
func (r *FilterReader) ReadAll(ctx context.Context, w Want) Facts {
	f := Facts{Links: readLinks(ctx), Neighbours: neighboursOn(w.Overlay), Sysctls: ReadSysctls(), Sockets: readSockets(w.BGPPort), Processes: readProcesses()}
	f.Datapath = askAll(w, func(key string) Setting { return f.Sysctls[key] })
	f.Filter = r.Read(ctx)
	f.Filter.settle(f.Datapath)
	return f
}

// hasIPsec is whether the kernel has policies of IPsec, or does not tell.
func hasIPsec() bool {
	policies, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL)
	return len(policies) > 0 || err != nil && !errors.Is(err, unix.EPROTONOSUPPORT)
}

// postroutingBlind is whether this kernel may be one that does not tell postrouting by
// which link a packet came in: those before 5.7 (commit 28f8bfd1ac94 in Linux).
func postroutingBlind() bool {
	var u unix.Utsname
	var major, minor int
	if unix.Uname(&u) != nil {
		return true
	}
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return err != nil || major < 5 || major == 5 && minor < 7
}

// sysctlFiles are patterns below /proc/sys.
var sysctlFiles = []string{
	"net/ipv4/ip_forward", "net/ipv4/conf/*/rp_filter", "net/ipv4/conf/*/src_valid_mark", "net/ipv4/conf/*/forwarding",
	"net/ipv6/conf/*/forwarding", "net/ipv6/conf/*/force_forwarding", "net/ipv6/conf/*/disable_ipv6", "net/ipv6/conf/*/accept_ra",
	"net/netfilter/nf_conntrack_tcp_be_liberal", tcpLoose, "net/netfilter/nf_conntrack_max", ConntrackCount,
}

// ConntrackCount is how many connections there are: a sysctl that nobody sets.
const ConntrackCount = "net/netfilter/nf_conntrack_count"

// SysctlRoot is where sysctls are; net is that of the calling thread's network
// namespace.
const SysctlRoot = "/proc/sys"

// ReadSysctls reads the settings that matter, by path below /proc/sys.
func ReadSysctls() map[string]Setting {
	out := map[string]Setting{}
	for _, pattern := range sysctlFiles {
		paths, err := filepath.Glob(filepath.Join(SysctlRoot, pattern))
		if err != nil || len(paths) == 0 {
			continue
		}
		for _, path := range paths {
			key, _ := filepath.Rel(SysctlRoot, path)
			out[key] = ReadSysctl(key)
		}
	}
	return out
}

// ReadSysctl reads one setting.
func ReadSysctl(key string) Setting {
	b, err := os.ReadFile(filepath.Join(SysctlRoot, key))
	if err != nil {
		return Setting{Err: fmt.Errorf("read sysctl %s: %w", key, err)}
	}
	return Setting{Value: strings.TrimSpace(string(b))}
}

// ReadFilter reads the packet filter of every backend.
func ReadFilter(ctx context.Context) Filter {
	r := filterReader{ctx: ctx}
	// A large ruleset takes nft a while: meanwhile the others are read.
	waitNft := program.Begin(ctx, "", "nft", "-j", "list", "ruleset")
	for _, family := range []netfilter.Family{netfilter.IPv4, netfilter.IPv6} {
		for _, backend := range []netfilter.Backend{netfilter.IptablesLegacy, netfilter.IptablesNft} {
			r.beginIptables(backend, family)()
		}
	}
	r.nft(waitNft)
	r.beginIpsets()()
	return r.Filter
}

// ReadPrinted reads only what iptables-save prints of some families (true for IPv6), of
// both backends: all that has to be looked at on every change of a rule.
func ReadPrinted(ctx context.Context, families ...bool) Filter {
	r := filterReader{ctx: ctx}
	var reads []func()
	for _, six := range families {
		for _, backend := range []netfilter.Backend{netfilter.IptablesLegacy, netfilter.IptablesNft} {
			reads = append(reads, r.beginIptables(backend, FamilyOf(six)))
		}
	}
	for _, finish := range reads {
		finish()
	}
	return r.Filter
}

// Complete adds what is needed to judge: the ipsets, what the rules ask of the node, and
// what only nft can express in a table of iptables-nft.
func (f *Filter) Complete(ctx context.Context, d Datapath) {
	r := filterReader{Filter: *f, ctx: ctx}
	finish := []func(){r.beginIpsets()}
	for _, six := range []bool{false, true} {
		for _, t := range r.of(six).Tables {
			if t.Backend == netfilter.IptablesNft && t.Name != "nat" && !t.Empty() {
				finish = append(finish, r.beginReconcile(t))
			}
		}
	}
	for _, finish := range finish {
		finish()
	}
	r.settle(d)
	*f = r.Filter
}

// ReadSets reads the ipsets alone.
func (f *Filter) ReadSets(ctx context.Context) {
	r := filterReader{Filter: *f, ctx: ctx}
	r.beginIpsets()()
	*f = r.Filter
}

// beginReconcile corrects what iptables-nft-save printed of a table by what nft says of it.
func (r *filterReader) beginReconcile(t *netfilter.Table) (finish func()) {
	wait := program.Begin(r.ctx, "", "nft", "-j", "list", "table", string(t.Family), t.Name)
	return func() {
		listing, err := wait()
		if err != nil {
			r.moving = true
			return // the table is gone, or there is no nft, and what is printed counts
		}
		r.noteListed(listing)
		if tables, err := netfilter.ParseNft([]byte(listing)); err == nil && len(tables) > 0 {
			t.Reconcile(tables[0])
		}
	}
}

// settle gives the rules what they ask of the node.
func (f *Filter) settle(d Datapath) {
	secured, blind := hasIPsec(), postroutingBlind()
	for _, six := range []bool{false, true} {
		rules := f.of(six)
		rules.Local, rules.Links, rules.RoutesByMark = d.Addresses, d.Links, d.Policy.Marks[six]
		rules.PostroutingBlind, rules.IPsec = blind, secured
	}
}

type filterReader struct {
	Filter
	ctx context.Context
}

// unread notes why something could not be read; that only root may is said once.
func (r *filterReader) unread(err error) {
	text := err.Error()
	if os.Geteuid() != 0 && (strings.Contains(text, "must be root") || strings.Contains(text, "denied") || strings.Contains(text, "not permitted")) {
		text = "only root may read the packet filter"
	}
	if !slices.Contains(r.Unread, text) {
		r.Unread = append(r.Unread, text)
	}
}

// beginIptables reads one backend of one family.
func (r *filterReader) beginIptables(b netfilter.Backend, f netfilter.Family) (finish func()) {
	if b == netfilter.IptablesLegacy && len(LegacyTables(f)) == 0 {
		return func() {}
	}
	tool, err := Tool(b, f, "-save")
	switch {
	case err == nil:
	case b == netfilter.IptablesLegacy:
		return func() { r.unread(err) } // its tables are there, and nothing can read them
	default:
		return func() { r.addMixed(f, "filter", "mangle", "raw") }
	}
	wait := program.Begin(r.ctx, "", tool)
	return func() { r.takeIptables(b, f, wait) }
}

// takeIptables takes in what iptables-save printed.
func (r *filterReader) takeIptables(b netfilter.Backend, f netfilter.Family, wait func() (string, error)) {
	text, err := wait()
	if err != nil {
		r.unread(err)
		return
	}
	tables, err := netfilter.ParseIptables(text, b, f)
	if err != nil {
		r.unread(err)
		return
	}
	rules := r.of(f == netfilter.IPv6)
	rules.Tables = append(rules.Tables, tables...)
	if b == netfilter.IptablesNft {
		r.readMixed(f, text)
	} else {
		r.notePrinted(text)
	}
}

// Tool finds the program of a backend, such as iptables-nft-save for the verb "-save", or
// the plain iptables-save where that is this backend's.
func Tool(b netfilter.Backend, f netfilter.Family, verb string) (string, error) {
	name := program.Name(b, f, verb)
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	plain := strings.Replace(name, strings.TrimPrefix(string(b), "iptables"), "", 1)
	if path, err := exec.LookPath(plain); err == nil {
		version, err := exec.Command(path, "-V").Output()
		isNft := strings.Contains(string(version), "nf_tables")
		if err == nil && isNft == (b == netfilter.IptablesNft) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}

// nft takes in what nft lists: tables of its own, and corrections of those that
// iptables-nft has printed.
func (r *filterReader) nft(wait func() (string, error)) {
	listing, err := wait()
	if errors.Is(err, exec.ErrNotFound) {
		err = errors.New("nft is not installed")
	}
	if err != nil {
		r.unread(err)
		return
	}
	r.noteListed(listing)
	tables, err := netfilter.ParseNft([]byte(listing))
	if err != nil {
		r.unread(err)
		return
	}
	for _, t := range tables {
		var printed *netfilter.Table
		if t.Family == netfilter.IPv4 || t.Family == netfilter.IPv6 {
			printed = r.of(t.Family == netfilter.IPv6).Find(netfilter.IptablesNft, t.Family, t.Name)
		}
		if printed != nil && !printed.Reconcile(t) && !t.NeedsListing() {
			continue
		}
		// What people read is the rule as nft prints it.
		texts, err := program.Output(r.ctx, "nft", "-a", "list", "table", string(t.Family), t.Name)
		if err != nil {
			r.unread(err)
		}
		t.Describe(netfilter.ParseNftTexts(texts))
		if printed != nil {
			printed.ReadListing(texts)
			continue
		}
		t.ReadListing(texts)
		r.addNative(t)
	}
}

// addNative adds a table of nft's own, one that iptables-nft does not show. Those of
// other families than IPv4's and IPv6's see packets of both.
func (r *filterReader) addNative(t *netfilter.Table) {
	if t.Family != netfilter.IPv6 { // ARP is IPv4's
		r.IPv4.Tables = append(r.IPv4.Tables, t)
	}
	if t.Family != netfilter.IPv4 && t.Family != netfilter.ARP {
		r.IPv6.Tables = append(r.IPv6.Tables, t)
	}
}

// beginIpsets reads the kernel's ipsets. Without the program, a rule that asks for a
// set is unknown.
func (r *filterReader) beginIpsets() (finish func()) {
	if _, err := exec.LookPath("ipset"); err != nil {
		return func() {}
	}
	wait := program.Begin(r.ctx, "", "ipset", "save")
	return func() {
		text, err := wait()
		if err != nil {
			r.moving = true
			return
		}
		r.SetTool = true
		r.notePrinted(text)
		sets, err := netfilter.ParseIPSets(text)
		if err != nil {
			r.unread(err)
			return
		}
		r.IPv4.Sets, r.IPv6.Sets = sets, sets
	}
}

// readProcesses reads the names of programs. In a container it sees the
// container's alone.
func readProcesses() Processes {
	var p Processes
	proc, err := os.Open("/proc")
	if err != nil {
		return Processes{Err: fmt.Errorf("list processes: %w", err)}
	}
	defer proc.Close()
	entries, err := proc.Readdirnames(-1)
	if err != nil {
		return Processes{Err: fmt.Errorf("list processes: %w", err)}
	}
	for _, entry := range entries {
		if entry[0] < '0' || entry[0] > '9' {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", entry, "cmdline"))
		if err != nil || len(b) == 0 {
			continue // ended, or a part of the kernel
		}
		name, _, _ := bytes.Cut(b, []byte{0})
		p.Names = append(p.Names, filepath.Base(string(name)))
	}
	slices.Sort(p.Names)
	p.Names = slices.Compact(p.Names)
	// Process 2 is the kernel's kthreadd, which only the first namespace shows.
	p.Partial = !kernelThread()
	return p
}

func kernelThread() bool {
	b, err := os.ReadFile("/proc/2/comm")
	return err == nil && strings.TrimSpace(string(b)) == "kthreadd"
}

// ListTable reads one table with nft; nil where there is none.
func ListTable(ctx context.Context, f netfilter.Family, name string) (*netfilter.Table, error) {
	listing, err := program.Output(ctx, "nft", "-j", "list", "table", string(f), name)
	if err != nil {
		if strings.Contains(err.Error(), "No such file or directory") {
			return nil, nil
		}
		return nil, err
	}
	tables, err := netfilter.ParseNft([]byte(listing))
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	return tables[0], nil
}

// readMixed reads the tables that iptables-nft-save names as incompatible and leaves
// out.
func (r *filterReader) readMixed(f netfilter.Family, saved string) {
	for line := range strings.Lines(saved) {
		name, ok := strings.CutPrefix(line, "# Table `")
		name, _, incompatible := strings.Cut(name, "' is incompatible")
		if ok && incompatible {
			r.addMixed(f, name)
		}
	}
}

// addMixed reads tables of iptables-nft by nft, if they are there.
func (r *filterReader) addMixed(f netfilter.Family, names ...string) {
	for _, name := range names {
		t, err := ListTable(r.ctx, f, name)
		if err != nil && !errors.Is(err, exec.ErrNotFound) {
			r.unread(err)
		}
		if t != nil {
			r.Mixed, r.moving = append(r.Mixed, t), true // what moves there is not looked for
		}
	}
}

// MixedOf are the mixed tables of a family.
func (f *Filter) MixedOf(six bool) []*netfilter.Table {
	return slices.DeleteFunc(slices.Clone(f.Mixed), func(t *netfilter.Table) bool { return t.Family != FamilyOf(six) })
}

// writable are the rules of a family with the mixed tables among those of iptables-nft,
// which can write to them, although it cannot read them.
func (f *Filter) writable(six bool) *netfilter.Ruleset {
	rules := *f.of(six)
	rules.Tables = slices.Clone(rules.Tables)
	for _, t := range f.MixedOf(six) {
		rules.Tables = slices.DeleteFunc(rules.Tables, func(o *netfilter.Table) bool {
			return o.Backend == netfilter.Nft && o.Family == t.Family && o.Name == t.Name
		})
		written := *t
		written.Backend = netfilter.IptablesNft
		rules.Tables = append(rules.Tables, &written)
	}
	return &rules
}
