package kube

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/routes"
)

// patience is how long a start waits for the API server before it falls back on
// the last-known state.
const patience = 3 * time.Second

// LiveOptions say what is followed, for whom.
type LiveOptions struct {
	Cluster  *Cluster
	Settings routes.Settings
	// Node is the daemon's own: of Pods and Secrets only those are followed that
	// concern it. Empty for a view of the whole cluster, which reads no Secret
	// and doubts nothing.
	Node string
	// StateDir is where the last-known state is kept; empty for nowhere.
	StateDir string
	// StateMaxAge is how old that may be to count at a start.
	StateMaxAge time.Duration
	// MassWithdrawDelay is how long objects that vanish in a mass stay in force; 0
	// believes every deletion at once.
	MassWithdrawDelay time.Duration
	// Bell is called after each change, with the time when the first of it was heard of,
	// and must not block.
	Bell func(since time.Time)
	Log  *logrus.Entry
}

// Live is the source of a daemon in a cluster: it follows the API server, and
// keeps what it knew whenever it cannot.
type Live struct {
	options LiveOptions
	latest  atomic.Pointer[LiveView]
	// annotations are the last good ones, news tells Run of something new.
	annotations atomic.Pointer[policy.Memory]
	news        *bell.Bell
}

// LiveView is what Live knows at one moment. It is never changed once it is
// handed out.
type LiveView struct {
	objects.Contents
	// Objects are those that the Contents are made of, in a view of the whole cluster.
	Objects []objects.Object
	// Serial counts the views.
	Serial uint64
	// Waiting says what has not been read yet, and why; while there is any, the
	// Contents are nothing to plan with.
	Waiting []string
	// Lapses are the kinds that cannot be followed now; what was known of them
	// stays. Sorted by kind.
	Lapses []Lapse
	// Held has a line for each mass of objects that vanished and stays in force.
	Held []string
	// Saved is when the last-known state was written that stands in for what could
	// not be read since the start; zero where nothing stands in. Until is when it
	// stops counting.
	Saved, Until time.Time
	// Expired is true from then on: Subnets that cannot be read count no more.
	Expired bool
	// Unsaved says why the last-known state cannot be written; "" if it can.
	Unsaved string
	// NodeUID is the own Node's, "" while it is not known.
	NodeUID types.UID
	// Peers are what tells a BGPPeer from others of its name.
	Peers map[string]PeerIdentity
	// uids are those of the Subnets, sorted by name.
	uids []subnetUID
}

// SubnetUID gives the UID of a Subnet, "" where it is not known.
func (v LiveView) SubnetUID(name string) types.UID {
	uid, _ := uidIn(v.uids, name)
	return uid
}

// PeerIdentity is which BGPPeer of its name it is, and which version of its spec.
type PeerIdentity struct {
	UID        types.UID
	Generation int64
}

// Lapse says since when, and why, the objects of a kind are not followed.
type Lapse struct {
	Kind    string
	Why     string
	Since   time.Time
	Trouble Trouble
}

// NewLive gives a Live that has not begun.
func NewLive(o LiveOptions) *Live { return &Live{options: o, news: bell.New()} }

// Remembered gives the last good annotations, of this run or of the one before;
// they are known as soon as Latest gives something to plan with.
func (l *Live) Remembered() policy.Memory {
	if m := l.annotations.Load(); m != nil {
		return *m
	}
	return policy.Memory{}
}

// Remember takes the last good annotations, and keeps them for the next run.
func (l *Live) Remember(m policy.Memory) {
	if m.Equal(l.Remembered()) {
		return
	}
	l.annotations.Store(&m)
	l.news.Ring()
}

// Latest gives the last view; ok is false while there is nothing to plan with.
func (l *Live) Latest() (v LiveView, ok bool) {
	p := l.latest.Load()
	if p == nil {
		return LiveView{Waiting: []string{"nothing has been read yet"}}, false
	}
	return *p, len(p.Waiting) == 0
}

// Run follows until ctx ends. No error of the API server ends it.
func (l *Live) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, logger(l.options.Log))
	f := newFollowing(l, time.Now())
	f.follow = func(ctx context.Context, feed *feed) { f.running.Go(func() { feed.run(ctx) }) }
	defer f.running.Wait()
	f.begin(ctx)
	defer f.endSaving()
	for {
		again := f.pass(ctx, time.Now())
		var alarm <-chan time.Time
		if !again.IsZero() {
			alarm = time.After(max(time.Until(again), time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return nil
		case at := <-f.news.Rung():
			f.heard = earlier(f.heard, at)
		case <-alarm:
		}
	}
}

// pause waits, and reports false where ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
