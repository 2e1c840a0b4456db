package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/columns"
	"github.com/fairway-bgp/fairway/export"
	"github.com/fairway-bgp/fairway/policy"
)

// routerFlags are the flags of plan that are about a router's configuration alone:
// what it takes beyond the plan, and whether a file of it still fits.
type routerFlags struct {
	allowed, listening []string
	maxLength          int
	file               string
	frrK8sNamespace    string
	allow              []export.Range
	listen             []netip.Prefix
	// asn is the router's own AS, ports the router's to the nodes.
	asn   uint32
	at    []string
	ports map[string]string
}

// namespaceFlag is the one that is for -o frr-k8s alone.
const namespaceFlag = "frr-k8s-namespace"

// checkFRRK8s refuses what is for the routers beside -o frr-k8s, and the other way round.
func (f *routerFlags) checkFRRK8s(c *cobra.Command, format export.Format) error {
	if format != export.FRRK8s {
		if c.Flags().Changed(namespaceFlag) {
			return fmt.Errorf("--%s is for -o %s: give that too", namespaceFlag, export.FRRK8s)
		}
		return nil
	}
	for _, name := range append([]string{"static"}, routerFlagNames()...) {
		if name != namespaceFlag && c.Flags().Changed(name) {
			return fmt.Errorf("--%s is about a router, and -o %s about the nodes: leave it out", name, export.FRRK8s)
		}
	}
	return nil
}

// routerFlagNames are those flags.
func routerFlagNames() []string {
	return []string{"allow", "max-length", "listen", "check", "router-asn", "router-port", namespaceFlag}
}

func (f *routerFlags) addFlags(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.allowed, "allow", nil, "for the router dialects: range from which the router takes every prefix, as 10.0.0.0/8 or '10.0.0.0/8 le 24'; may be given more than once")
	c.Flags().IntVar(&f.maxLength, "max-length", 0, "the longest prefix of each --allow that has no \"le\" of its own (default: any length, /32 or /128)")
	c.Flags().StringSliceVar(&f.listening, "listen", nil, "for the router dialects: network from which the router takes every node, instead of a neighbor for each; may be given more than once")
	c.Flags().StringVar(&f.frrK8sNamespace, namespaceFlag, "frr-k8s-system", "for -o frr-k8s: the namespace where it runs; metallb-system where it came with MetalLB")
	c.Flags().Uint32Var(&f.asn, "router-asn", 0, "for the router dialects: the router's own AS, where the BGPPeer leaves it open (dynamicASN)")
	c.Flags().StringSliceVar(&f.at, "router-port", nil, "for the router dialects: NODE=PORT, the router's port to a node whose BGPPeer has an interface and no address; may be given more than once")
	c.Flags().StringVar(&f.file, "check", "", "for the router dialects: do not print, but say whether this file, an earlier export or what the router shows as its configuration, still fits the plan; - is standard input")
}

// parse reads the values, and refuses what does not go together.
func (f *routerFlags) parse() (err error) {
	if f.allow, err = export.ParseRanges(f.allowed, f.maxLength); err != nil {
		return err
	}
	if f.listen, err = export.ParseListen(f.listening); err != nil {
		return err
	}
	if f.ports, err = export.ParsePorts(f.at); err != nil {
		return err
	}
	switch {
	case f.maxLength != 0 && len(f.allow) == 0:
		return fmt.Errorf("--max-length %d: of what? It is the longest prefix of --allow; give that too", f.maxLength)
	case f.file != "" && len(f.allow)+len(f.listen) > 0:
		return fmt.Errorf("--check %s: the file says itself what it allows: leave --allow and --listen out", f.file)
	}
	return nil
}

// export prints the router's configuration, or judges a file of it; ok is false
// where that does not fit.
func (f *planFlags) export(s policy.Snapshot, plans []policy.Plan, to shown) (ok bool, err error) {
	format := export.Format(f.output.value)
	if format == export.FRRK8s {
		return true, f.exportFRRK8s(s, plans, to)
	}
	in := export.Input{Plans: plans, Nodes: s.Nodes, Subnets: s.Subnets, Peer: f.peer, Static: f.static, Allow: f.router.allow, Listen: f.router.listen,
		RouterASN: f.router.asn, Ports: f.router.ports, PasswordsRead: len(f.files) > 0}
	if f.router.file != "" {
		return f.checkFile(to, format, in)
	}
	if len(in.Allow)+len(in.Listen) > 0 {
		warnings, err := export.Warnings(format, in)
		if err != nil {
			return false, fmt.Errorf("export as %s: %w", format, err)
		}
		for _, w := range warnings {
			fmt.Fprintf(to.notes, "fairway: warning: %s\n", columns.Plain(w))
		}
	}
	return true, export.Write(to.out, format, in)
}

// exportFRRK8s prints objects for the nodes' own FRR; what they cannot say is on stderr
// too.
func (f *planFlags) exportFRRK8s(s policy.Snapshot, plans []policy.Plan, to shown) error {
	in := export.FRRK8sInput{Input: export.Input{Plans: plans, Nodes: s.Nodes, Peer: f.peer}, Namespace: f.router.frrK8sNamespace, Secrets: map[string]string{}}
	for i := range s.Peers {
		in.Secrets[s.Peers[i].Name] = s.Peers[i].PasswordSecret
	}
	notes, err := export.WriteFRRK8s(to.out, in)
	for _, n := range notes {
		fmt.Fprintf(to.notes, "fairway: warning: %s\n", columns.Plain(n))
	}
	return err
}

// checkFile says on stdout whether the router's file fits.
func (f *planFlags) checkFile(to shown, format export.Format, in export.Input) (fits bool, err error) {
	text, err := readRouterFile(f.router.file, to.stdin)
	if err != nil {
		return false, fmt.Errorf("--check: %w", err)
	}
	fit, err := export.Check(format, in, string(text))
	if err != nil {
		return false, fmt.Errorf("--check %s: %w", f.router.file, err)
	}
	fmt.Fprint(to.out, columns.PlainLines(fit.Text(f.router.file)))
	return fit.OK(), nil
}

// mostRouterFile bounds what is read: no router's configuration is longer.
const mostRouterFile = 64 << 20

func readRouterFile(path string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, mostRouterFile+1))
	if err == nil && len(text) > mostRouterFile {
		err = fmt.Errorf("%s has more than %d bytes: give the router's configuration alone", path, mostRouterFile)
	}
	return text, err
}
