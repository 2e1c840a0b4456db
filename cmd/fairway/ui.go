package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/door"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/picture"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
	"github.com/fairway-bgp/fairway/web"
)

// defaultUIListen is beside the daemon's, and the port that its metrics usually have, so that both can be looked at on one machine.
const defaultUIListen = "127.0.0.1:7475"

// lookEvery is how often it is asked who gave a sign of life, and which Nodes and
// BGPPeers there are. Speakers are followed.
const lookEvery = 10 * time.Second

// newUICommand is `fairway ui`: the page of a whole cluster, without a daemon.
func newUICommand() *cobra.Command {
	var access kube.Access
	var listen string
	c := &cobra.Command{
		Use:   "ui",
		Short: "Show the whole cluster in a browser",
		Long: `Serve the page with the picture of the whole cluster on this machine, from what the
Speaker of every node says. It needs a kubeconfig that may read Speakers, BGPPeers,
Nodes, and the Leases of Fairway's namespace, and no daemon. With the right to read
Subnets it names the prefixes that Speakers have no room for, where the plan by the
objects agrees with what they say. It changes nothing, and ends with an interrupt.`,
		Example: `  kubectl fairway ui`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, ignore := signal.NotifyContext(c.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer ignore()
			return showUI(ctx, c.OutOrStdout(), c.ErrOrStderr(), access, listen)
		},
	}
	addAccessFlags(c, &access)
	c.Flags().StringVar(&listen, "listen", defaultUIListen, "loopback address to serve the page on; port 0 for one that is free")
	return c
}

// showUI serves the page until ctx ends.
func showUI(ctx context.Context, stdout, stderr io.Writer, access kube.Access, listen string) error {
	if err := door.CheckLoopback(listen); err != nil {
		return fmt.Errorf("--listen: %w: the page has no authentication", err)
	}
	cluster, err := kube.Connect(access)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w (another fairway ui? give another port)", listen, err)
	}
	log, err := newLog(stderr, "warn", "text")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "The cluster at %s is shown on http://%s\n", cluster.Server(), l.Addr())
	page := web.NewPage(time.Now())
	overview := newOverview(cluster, page, log)
	return doAll(ctx, []task{
		{"Speakers", func(ctx context.Context) error { overview.speakers.Run(ctx); return nil }},
		{"picture", overview.run},
		{"page", func(ctx context.Context) error {
			defer context.AfterFunc(ctx, func() { l.Close() })()
			if err := web.ServePage(door.Bound(l, mostPageConns), page); ctx.Err() == nil {
				return err
			}
			return nil
		}},
	}, stopBound, log)
}

// overview keeps a page's picture of a cluster up to date.
type overview struct {
	cluster  *kube.Cluster
	page     *web.Page
	speakers *kube.Speakers
	wake     *bell.Bell
	begun    time.Time

	// What was asked for last.
	beats account.Heartbeats
	// looked is true once it was asked for with Speakers at hand, which name the Leases.
	looked   bool
	objects  policy.Snapshot
	problems []string
	// cut says what the Speakers that are cut said when the Subnets were read last, for
	// them alone; whole holds them as they were completed by those.
	cut   string
	whole map[*v1alpha1.Speaker]*v1alpha1.Speaker
	// unread is what this kubeconfig may not read.
	unread []string
	// staleSince is when the Speakers were in step last; zero while they are.
	staleSince time.Time
}

func newOverview(cluster *kube.Cluster, page *web.Page, log *logrus.Entry) *overview {
	o := &overview{cluster: cluster, page: page, wake: bell.New(), begun: time.Now()}
	o.speakers = kube.NewSpeakers(cluster, o.wake.Ring, log)
	return o
}

// run posts a picture whenever a Speaker changes, and looks who lives from time to time.
func (o *overview) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	o.look(ctx)
	for {
		o.post()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			o.look(ctx)
		case <-o.wake.Rung():
			if !o.looked {
				o.look(ctx)
			}
		}
	}
}

// look asks for what is not followed. What cannot be read is said, and what was read
// last stays. That somebody may not read it is no problem of the cluster's.
func (o *overview) look(ctx context.Context) {
	o.problems, o.unread = nil, nil
	o.lookAtObjects(ctx)
	speakers := o.list()
	o.looked = len(speakers) > 0
	beats, err := heartbeatsOf(ctx, o.cluster, speakers)
	o.note("which daemons live is not known, so what a Speaker says may be old", err)
	if err == nil || kube.IsRefusal(err) {
		o.beats = beats
	}
}

// lookAtObjects reads the Subnets too when Speakers that are cut say something else than
// when those were read last.
func (o *overview) lookAtObjects(ctx context.Context) {
	byNode, _ := o.speakers.Latest()
	if cut := cutSpeakers(byNode); cut != "" && cut != o.cut {
		objects, err := o.cluster.SubnetsNodesAndPeers(ctx, routes.DefaultSettings)
		if err == nil {
			o.objects, o.cut, o.whole = objects, cut, nil
			return
		}
		if len(o.objects.Subnets) == 0 {
			o.note("of many prefixes only the first are named", err)
		}
	}
	objects, err := o.cluster.NodesAndPeers(ctx, routes.DefaultSettings)
	o.note("which Nodes there are is not known, so a Speaker may be of a node that is gone", err)
	if err == nil {
		objects.Subnets = o.objects.Subnets
		o.objects = objects
	}
}

// cutSpeakers tells what those say that list only the first of what they announce or
// withhold, "" where there is none.
func cutSpeakers(byNode map[string]*v1alpha1.Speaker) string {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(byNode)) {
		if s := byNode[name]; account.IsCut(s) {
			fmt.Fprintln(&out, name, s.Status.Announced.Count, s.Status.Withheld.Count, s.Status.Withheld.Reasons)
		}
	}
	return out.String()
}

func (o *overview) note(what string, err error) {
	switch {
	case err == nil:
	case kube.IsRefusal(err):
		o.unread = append(o.unread, what+": "+err.Error())
	default:
		o.problems = append(o.problems, what+": "+err.Error())
	}
}

// list gives the Speakers, in no order, those that are cut with all that can be told.
func (o *overview) list() []v1alpha1.Speaker {
	byNode, _ := o.speakers.Latest()
	out, whole := make([]v1alpha1.Speaker, 0, len(byNode)), make(map[*v1alpha1.Speaker]*v1alpha1.Speaker)
	for _, s := range byNode {
		if len(o.objects.Subnets) > 0 && account.IsCut(s) {
			if whole[s] = o.whole[s]; whole[s] == nil {
				whole[s] = account.Complete(s, o.objects)
			}
			s = whole[s]
		}
		out = append(out, *s)
	}
	o.whole = whole
	return out
}

func (o *overview) post() {
	byNode, why := o.speakers.Latest()
	if byNode == nil && !o.speakers.Refused() {
		return // nothing has been read
	}
	problems := slices.Clone(o.problems)
	if why == "" {
		o.staleSince = time.Time{}
	} else {
		problems = append([]string{"Speakers are not followed: " + why}, problems...)
		if o.staleSince.IsZero() {
			o.staleSince = time.Now()
		}
	}
	shown := picture.OfCluster(picture.Cluster{
		Server: o.cluster.Server(), Version: versionText(), Started: o.begun, At: time.Now(),
		Rows: account.Rows(o.objects, o.list(), o.beats), Peers: len(o.objects.Peers), Problems: problems, Unread: o.unread, StaleSince: o.staleSince,
	})
	o.page.Post(&shown)
}
