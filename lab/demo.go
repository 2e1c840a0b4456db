package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"strings"
	"time"
)

const picture = `
        ext  198.51.100.2          a client outside; knows nothing of Pods
         |
        tor  172.30.0.1            the router, AS 65000; learns routes by BGP
         |
  -------+-------+-------+-------+----   one network, 172.30.0.0/24
         |       |       |       |
        n1      n2      n3     host      nodes .11 .12 .13, AS 65001, each
       ovn0    ovn0    ovn0              with a Fairway daemon; a host .50
         |       |       |
  -------+-------+-------+------------   Kube-OVN's overlay
             |       |
            web    inside                Pods 10.166.0.10 (on n2) and
                                         10.167.0.10 (on n3)
`

// Demo builds a lab, plays six stories on it, proves each before it says so,
// and removes the lab. It gives nil only if every proof held.
func Demo(ctx context.Context, opts Options, out io.Writer) (err error) {
	begin := time.Now()
	l, err := Start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	fmt.Fprintln(out, "Fairway tells routers by BGP where Kube-OVN's Pods are. Here it does so on")
	fmt.Fprintln(out, "this machine, in network namespaces that go away again:")
	fmt.Fprint(out, picture)
	d := &demo{Lab: l, out: out}
	running, done := l.whileAllRun(ctx)
	defer done()
	for i, step := range []func(context.Context) error{d.distributed, d.centralized, d.withheld, d.static, d.lookIn, d.firewalled} {
		d.num = i + 1
		err := step(running)
		if ctx.Err() != nil {
			return fmt.Errorf("the demo was interrupted: %w", ctx.Err())
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", d.num, l.explained(out, err))
		}
	}
	held := "All six steps held"
	if d.leftOut > 0 {
		held = fmt.Sprintf("%d of six steps held, the others were left out", 6-d.leftOut)
	}
	fmt.Fprintf(out, "\n%s; %.1f s.\nTo try it yourself: %s lab up\n", held, time.Since(begin).Seconds(), d.typed())
	return nil
}

// demo prints what it proves.
type demo struct {
	*Lab
	out io.Writer
	// num is the step that runs.
	num int
	// leftOut counts steps for which a program is missing.
	leftOut int
}

// distributed is the first YAML as it stands.
func (d *demo) distributed(ctx context.Context) error {
	d.title("A Subnet without NAT, distributed: every node carries it")
	if err := d.showYAML("subnet-routed.yaml"); err != nil {
		return err
	}
	for _, p := range prefixes(routed4, routed6) {
		if err := d.WaitForRoute(ctx, routerSpace, p, NodeAddresses(p.Addr().Is6())...); err != nil {
			return err
		}
	}
	d.say("Each node announces it, so the router spreads the traffic over three:")
	if err := d.show(ctx, routerSpace, "ip", "route", "show", routed4); err != nil {
		return err
	}
	if err := d.visit(ctx, outsideSpace, webPod4, otherWay); err != nil {
		return err
	}
	return d.visit(ctx, outsideSpace, webPod6, otherWay)
}

// otherWay wants the asymmetric case: in by a node that does not host the Pod,
// out by the one that does.
func otherWay(v Visit) string {
	if v.In == "" || v.In == v.Node || v.Out != v.Node {
		return "in by another node than " + v.Node + ", out by " + v.Node
	}
	return ""
}

// centralized gives the Subnet one gateway.
func (d *demo) centralized(ctx context.Context) error {
	const file = "subnet-routed.yaml"
	d.title("The same Subnet, centralized: only its gateway n1 carries it")
	text, err := d.ReadYAML(file)
	if err != nil {
		return err
	}
	const before, after = "gatewayType: distributed", "gatewayType: centralized\n  gatewayNode: n1"
	if !strings.Contains(text, before) {
		return &disproof{before + " in " + file, "something else"}
	}
	if err := d.WriteYAML(file, strings.Replace(text, before, after, 1)); err != nil {
		return err
	}
	edited := time.Now()
	d.say("We edit " + file + ":")
	d.print("- " + before + "\n+ " + strings.ReplaceAll(after, "\n  ", "\n+ "))
	for _, p := range prefixes(routed4, routed6) {
		if err := d.WaitForRoute(ctx, routerSpace, p, NodeAddresses(p.Addr().Is6(), "n1")...); err != nil {
			return err
		}
	}
	d.say(fmt.Sprintf("%.2f s later the router has one next hop left:", time.Since(edited).Seconds()))
	if err := d.show(ctx, routerSpace, "ip", "route", "show", routed4); err != nil {
		return err
	}
	return d.visit(ctx, outsideSpace, webPod4, func(v Visit) string {
		if v.In != "n1" || v.Out != "n1" {
			return "in by n1, out by n1"
		}
		return ""
	})
}

// withheld is the Subnet whose Pods hide behind their nodes.
func (d *demo) withheld(ctx context.Context) error {
	d.title("A Subnet with NAT: withheld, and Fairway says why")
	if err := d.showYAML("subnet-nat.yaml"); err != nil {
		return err
	}
	d.say("Its Pods leave under their node's address, as natOutgoing means it:")
	out, err := d.WaitForVisitAs(ctx, "inside", addrOf(ext4), NodeAddresses(false, "n3")[0])
	if err != nil {
		return err
	}
	d.print("inside$ curl http://" + addrOf(ext4).String() + "/\n" + out.answer())
	const want = "exit status 1 and the reason NATOutgoing"
	why, err := output(d.command(ctx, "", d.Binary, "why", "nat", "-f", d.ClusterDir()))
	if exitCode(err) != 1 || !strings.Contains(why, "NATOutgoing") {
		return &disproof{want + " from fairway why nat", fmt.Sprintf("exit status %d and %q", exitCode(err), why)}
	}
	d.print("$ fairway why nat -f " + d.ClusterDir() + "\n" + withoutPassed(why))
	if err := d.WaitForRoute(ctx, routerSpace, netip.MustParsePrefix(nat4)); err != nil {
		return err
	}
	if v, err := d.Visit(ctx, "n1", netip.MustParseAddr(insidePod4)); err != nil || v.Pod != "inside" {
		return &disproof{"an answer from " + insidePod4 + " to a node", fmt.Sprintf("%+v, %v", v, err)}
	}
	d.say("Its Pod answers inside, but the router has no route to " + nat4 + ":")
	v, err := d.Visit(ctx, outsideSpace, netip.MustParseAddr(insidePod4))
	if err == nil {
		return &disproof{"no answer from " + insidePod4, "one from " + v.Pod}
	}
	d.print("ext$ curl http://" + insidePod4 + "/\n" + rootCause(err).Error())
	d.proved("no route, no answer, one reason")
	return nil
}

// static tells a host that speaks no BGP.
func (d *demo) static(ctx context.Context) error {
	d.title("A host beside the nodes without BGP: the same as static routes")
	web := netip.MustParseAddr(webPod4)
	if v, err := d.Visit(ctx, hostSpace, web); err == nil {
		return &disproof{"no way from host to " + webPod4 + " yet", "an answer from " + v.Pod}
	}
	commands, err := output(d.command(ctx, "", d.Binary, "plan", "-f", d.ClusterDir(), "-o", "iproute"))
	if err != nil && exitCode(err) != 1 {
		return err
	}
	d.print("$ fairway plan -f " + d.ClusterDir() + " -o iproute\n" + withoutComments(commands))
	apply := d.command(ctx, hostSpace, "sh", "-e")
	apply.Stdin = strings.NewReader(commands)
	if _, err := output(apply); err != nil {
		return err
	}
	for _, p := range prefixes(routed4, routed6) {
		if err := d.WaitForRoute(ctx, hostSpace, p, NodeAddresses(p.Addr().Is6(), "n1")...); err != nil {
			return err
		}
	}
	d.say("Run in host, that gives:")
	if err := d.show(ctx, hostSpace, "ip", "route", "show", routed4); err != nil {
		return err
	}
	return d.visit(ctx, hostSpace, webPod4, func(v Visit) string {
		if v.In != "n1" {
			return "in by n1"
		}
		return ""
	})
}

// lookIn asks n1's daemon by the CLI that people know from GoBGP.
func (d *demo) lookIn(ctx context.Context) error {
	d.title("Looking into n1's daemon with gobgp, the CLI of GoBGP")
	if _, err := exec.LookPath(d.Gobgp); err != nil {
		d.leftOut++
		d.say("Left out: no gobgp here (apt-get install gobgpd, or make demo).")
		return nil
	}
	target := "unix://" + d.grpcSocket("n1")
	d.say("gobgp --target " + target + " shows:")
	adjOut := "neighbor " + addrOf(torLAN4).String() + " adj-out"
	for _, look := range []struct{ args, want string }{{"neighbor", "Establ"}, {adjOut, routed4}, {adjOut + " -a ipv6", routed6}} {
		args := append([]string{"--target", target}, strings.Fields(look.args)...)
		text, err := output(d.command(ctx, "", append([]string{d.Gobgp}, args...)...))
		if err != nil {
			return err
		}
		if !strings.Contains(text, look.want) {
			return &disproof{look.want + " in the output of gobgp " + look.args, fmt.Sprintf("%q", text)}
		}
		d.print("$ gobgp " + look.args + "\n" + text)
	}
	d.proved("the session is up, and both prefixes went out by it")
	return nil
}

// visit proves one request and prints it.
func (d *demo) visit(ctx context.Context, from, to string, accept func(Visit) string) error {
	v, err := d.WaitForVisit(ctx, from, netip.MustParseAddr(to), accept)
	if err != nil {
		return err
	}
	host := to
	if netip.MustParseAddr(to).Is6() {
		host = "[" + to + "]"
	}
	d.print(fmt.Sprintf("%s$ curl http://%s/\n%s", from, host, v.answer()))
	d.proved(fmt.Sprintf("HTTP %d, no NAT: in by %s, Pod on %s, out by %s", v.Status, v.In, v.Node, v.Out))
	return nil
}
