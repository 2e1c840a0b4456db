package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// dockerWay is what a Docker that is installed on a node does to what passes
// through it: the policy of FORWARD becomes DROP, and its own networks are let
// through.
const dockerWay = "iptables-nft -P FORWARD DROP"

// firewalled breaks n1 as Docker does, asks why, and puts it right.
func (d *demo) firewalled(ctx context.Context) error {
	d.title("Somebody installs Docker on n1: check names the rule, and mends it")
	for _, program := range []string{"iptables-nft", "ipset"} {
		if _, err := exec.LookPath(program); err != nil {
			d.say("Left out: no " + program + " here (apt-get install iptables ipset).")
			d.leftOut++
			return nil
		}
	}
	web := netip.MustParseAddr(webPod4)
	if _, err := output(d.command(ctx, "n1", strings.Fields(dockerWay)...)); err != nil {
		return err
	}
	d.print("n1$ " + dockerWay)
	if v, err := d.Visit(ctx, outsideSpace, web); err == nil {
		return &disproof{"no answer from " + webPod4 + " through a policy of DROP", "an answer from " + v.Pod}
	}
	d.print("ext$ curl http://" + webPod4 + "/\n" + "i/o timeout")
	if err := d.explain(ctx); err != nil {
		return err
	}
	fix := []string{d.Binary, "check", "--fix", "--host-state", d.State + "/n1-host"}
	if text, err := output(d.command(ctx, "n1", fix...)); err != nil {
		return &disproof{"all checks ok after check --fix", text}
	}
	d.print("n1$ fairway check --fix\nn1$ iptables-nft -S FORWARD")
	rules, err := output(d.command(ctx, "n1", "iptables-nft", "-S", "FORWARD"))
	if err != nil {
		return err
	}
	d.print(rules)
	return d.visit(ctx, outsideSpace, webPod4, func(v Visit) string {
		if v.In != "n1" || v.Out != "n1" {
			return "in by n1, out by n1"
		}
		return ""
	})
}

// explain waits until n1's daemon names the policy, and prints what it says.
func (d *demo) explain(ctx context.Context) error {
	const want = "iptables-nft filter FORWARD: policy DROP"
	var text string
	err := until(ctx, proofBound, func() error {
		var err error
		text, err = output(d.command(ctx, "n1", d.Binary, "check"))
		if exitCode(err) != 1 || !strings.Contains(text, want) {
			return &disproof{want + " and exit status 1 from fairway check", fmt.Sprintf("exit status %d and %q", exitCode(err), text)}
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.print("n1$ fairway check")
	d.print(firstWrong(text))
	return nil
}

// firstWrong is the first finding that is wrong, of several lines.
func firstWrong(text string) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		isHead := line != "" && line[0] != ' '
		if isHead && len(out) > 0 {
			break
		}
		if strings.HasPrefix(line, "wrong") || len(out) > 0 {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}
