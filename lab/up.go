package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Up builds a lab that stays, waits until it works, and prints what there is to
// try. A lab that does not come to work is removed again.
func Up(ctx context.Context, opts Options, out io.Writer) error {
	l, err := Start(ctx, opts)
	if err != nil {
		return err
	}
	l.tell("waiting until every route and visit is as it should be")
	running, done := l.whileAllRun(ctx)
	defer done()
	if err := l.WaitUntilReady(running); err != nil {
		if ctx.Err() == nil {
			err = l.explained(out, err)
		}
		return errors.Join(err, l.Stop())
	}
	l.wiring.close()
	_, err = fmt.Fprint(out, l.guide())
	return err
}

// guide says what a person can do with the lab.
func (l *Lab) guide() string {
	text := `The lab is up:
` + picture + `
Look
  {fairway} lab exec{label} tor ip route
  {fairway} lab exec{label} ext curl -s {web}
  {fairway} lab exec{label} n1 fairway status
  {page} in a browser: what n1 does
  gobgp --target unix://{socket} neighbor
{router}
Change something, and look again: Subnets, Pods, nodes and the BGPPeer are in
  {dir}
Try gatewayType: centralized and gatewayNode: n1 in subnet-routed.yaml.

Ask
  {fairway} plan -f {dir}
  {fairway} why nat -f {dir}

Logs are in {state}/log. To remove it all: {fairway} lab down{label}
`
	return strings.NewReplacer(
		"{fairway}", l.typed(), "{label}", l.label(), "{web}", "http://"+webPod4, "{socket}", l.grpcSocket("n1"), "{page}", l.page("n1"),
		"{dir}", l.ClusterDir(), "{router}", l.routerLook(), "{state}", l.State,
	).Replace(text)
}

// routerLook is how to ask a real router for its own view.
func (l *Lab) routerLook() string {
	switch l.Router {
	case FRR:
		return "  vtysh --vty_socket " + filepath.Join(l.State, "frr") + " -c 'show bgp summary'\n"
	case BIRD:
		return "  birdc -s " + filepath.Join(l.State, "bird.ctl") + " show route\n"
	}
	return ""
}
