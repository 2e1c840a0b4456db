package main

import (
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-bgp/fairway/account"
	"github.com/fairway-bgp/fairway/api/v1alpha1"
	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/daemon"
	"github.com/fairway-bgp/fairway/files"
	"github.com/fairway-bgp/fairway/kube"
	"github.com/fairway-bgp/fairway/status"
)

// live are the flags of a daemon that follows a cluster.
type live struct {
	namespace         string
	stateDir          string
	stateMaxAge       time.Duration
	massWithdrawDelay time.Duration
}

// addFlags adds what has no meaning for a source of files.
func (l *live) addFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&l.namespace, "namespace", "", "namespace of the Secrets with passwords, and of the Leases (default: the Pod's, or the context's)")
	f.StringVar(&l.stateDir, "state-dir", "", "folder for the last-known state, for a start while the API server is away; it holds passwords, for root alone; empty for none")
	f.DurationVar(&l.stateMaxAge, "state-max-age", 24*time.Hour, "how old the last-known state may be to count")
	f.DurationVar(&l.massWithdrawDelay, "mass-withdraw-delay", 10*time.Minute, "how long Subnets and BGPPeers that vanish in a mass stay in force, unless the Node is annotated with "+kube.ConfirmMassWithdraw+"=true; 0 for not at all")
}

// check refuses times that mean nothing.
func (l *live) check() error {
	for flag, d := range map[string]time.Duration{"state-max-age": l.stateMaxAge, "mass-withdraw-delay": l.massWithdrawDelay} {
		if d < 0 {
			return fmt.Errorf("--%s %s: a time before now; use 0 or more", flag, d)
		}
	}
	return nil
}

// origin is where a daemon's objects come from, and where its news goes.
type origin struct {
	source daemon.Source
	posted func(*status.Status)
	tasks  []task
	// prospect is asked when this daemon is told to stop; nil for no cluster.
	prospect func() prospect
}

// source gives the files, or else the cluster.
func (f *runFlags) source(wake *bell.Bell, log *logrus.Entry) (origin, error) {
	if len(f.files) > 0 {
		source := files.New(f.files, f.settings, wake.RingSince, log.WithField("part", "source"))
		return origin{
			source: daemon.FileSource{Source: source, Paths: f.files, Node: f.node},
			tasks:  []task{{"files", source.Run}},
		}, nil
	}
	access := f.access
	access.Namespace = f.namespace
	cluster, err := kube.Connect(access)
	if err != nil {
		return origin{}, fmt.Errorf("no input: give -f FILE or -f FOLDER, or a cluster: %w", err)
	}
	return f.cluster(cluster, wake, log), nil
}

// cluster follows a cluster, and writes into it what this node does.
func (f *runFlags) cluster(cluster *kube.Cluster, wake *bell.Bell, log *logrus.Entry) origin {
	objects := kube.NewLive(kube.LiveOptions{
		Cluster: cluster, Settings: f.settings, Node: f.node, Bell: wake.RingSince, Log: log.WithField("part", "source"),
		StateDir: f.stateDir, StateMaxAge: f.stateMaxAge, MassWithdrawDelay: f.massWithdrawDelay,
	})
	recorder := kube.NewRecorder(cluster, f.node, account.Farewell, log.WithField("part", "record"))
	herald := kube.NewHerald(cluster, f.node, log.WithField("part", "events"))
	heartbeat := kube.NewHeartbeat(cluster, f.node, func() types.UID { v, _ := objects.Latest(); return v.NodeUID }, wake.Ring, log.WithField("part", "heartbeat"))
	reporter := daemon.Reporter{Cluster: cluster, Objects: objects, Node: f.node, Herald: herald, Log: log.WithField("part", "reporter")}
	var news account.News
	tasks := []task{
		{"objects", objects.Run}, {"Speaker object", recorder.Run}, {"heartbeat", heartbeat.Run},
		{"Events", herald.Run}, {"reporter", reporter.Run},
	}
	var set *kube.DaemonSet
	if f.daemonSet != "" {
		set = kube.NewDaemonSet(cluster, f.daemonSet, wake.Ring, log.WithField("part", "daemonset"))
		tasks = append(tasks, task{"own DaemonSet", set.Run})
	}
	return origin{
		source: daemon.LiveSource{Live: objects, Server: cluster.Server(), Node: f.node},
		posted: func(s *status.Status) {
			v, _ := objects.Latest()
			recorder.Offer(kube.Wish{Owner: v.NodeUID, Nodes: len(v.Snapshot.Nodes), Status: func() v1alpha1.SpeakerStatus {
				speaker := account.SpeakerStatus(s)
				speaker.Heartbeat = heartbeat.Lease()
				return speaker
			}})
			for _, e := range news.Of(s) {
				herald.Tell(kube.Event{Kind: "Node", Name: s.Node, UID: v.NodeUID, Warning: e.Warning, Reason: e.Reason, Message: e.Message})
			}
		},
		tasks:    tasks,
		prospect: func() prospect { return f.prospect(objects, set) },
	}
}

// prospect is what the cluster tells now; set is nil for none.
func (f *runFlags) prospect(objects *kube.Live, set *kube.DaemonSet) prospect {
	v, _ := objects.Latest()
	p := prospect{settings: f.settings, node: v.Snapshot.Node(f.node)}
	var labels map[string]string
	if p.node != nil {
		labels = p.node.Labels
	}
	if set != nil {
		p.daemonSet, p.fate = set.String(), set.Fate(labels)
	}
	return p
}
