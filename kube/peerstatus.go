package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/fairway-bgp/fairway/api/v1alpha1"
)

// peersReread is how soon BGPPeers are read again where one is not among those that
// were read.
const peersReread = 10 * time.Second

// PeerStatuses writes the status of BGPPeers, each when it changes. Only the reporter
// does. It needs the verb list on bgppeers, and patch on bgppeers/status.
type PeerStatuses struct {
	cluster *Cluster
	log     *logrus.Entry
	// known is what the objects hold, as far as that is known since read; nil where they
	// have to be read anew.
	known map[string]v1alpha1.BGPPeerStatus
	read  time.Time
	// failing is what was logged last, and again when it is tried again after that.
	failing string
	again   time.Time
	// gone are BGPPeers that were not there when they were to be written.
	gone map[string]bool
}

// NewPeerStatuses gives a PeerStatuses that knows nothing yet.
func NewPeerStatuses(c *Cluster, log *logrus.Entry) *PeerStatuses {
	return &PeerStatuses{cluster: c, log: log, gone: map[string]bool{}}
}

// Write brings the statuses to what is wanted, of as many BGPPeers as may be written now;
// those that are left over are for the next call. What the API server does not take is
// logged once, and tried again after a while: nothing waits for it.
func (p *PeerStatuses) Write(ctx context.Context, want map[string]v1alpha1.BGPPeerStatus, most int) {
	if time.Now().Before(p.again) {
		return
	}
	err := p.write(ctx, want, most)
	switch {
	case ctx.Err() != nil:
	case err == nil:
		p.failing = ""
	default:
		p.known, p.again = nil, time.Now().Add(peersReread)
		if IsRefusal(err) || apierrors.IsNotFound(err) {
			p.again = time.Now().Add(recordLook)
		}
		if why := plainly(err); why != p.failing {
			p.failing = why
			p.log.Warnf("the status of BGPPeers is not written: %s", why)
		}
	}
}

func (p *PeerStatuses) write(ctx context.Context, want map[string]v1alpha1.BGPPeerStatus, most int) error {
	if err := p.look(ctx, want); err != nil {
		return err
	}
	written := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		last, there := p.known[name]
		next := want[name]
		next.Conditions = slices.Clone(next.Conditions)
		next.Conditions = transitions(last.Conditions, next.Conditions)
		if !there || equality.Semantic.DeepEqual(next, last) {
			continue
		}
		if written++; written > most {
			return nil
		}
		err := p.cluster.applyStatus(ctx, peerResource(), name, next)
		switch {
		case apierrors.IsNotFound(err) && !p.gone[name]:
			// It was deleted a moment ago; or its CRD knows no status, and it will be among
			// those that are read again.
			p.gone[name] = true
			delete(p.known, name)
			continue
		case err != nil:
			return err
		}
		p.known[name] = next
		delete(p.gone, name)
	}
	return nil
}

// look reads what the objects hold, from time to time: somebody may have written into
// them, or made one anew.
func (p *PeerStatuses) look(ctx context.Context, want map[string]v1alpha1.BGPPeerStatus) error {
	age, missing := time.Since(p.read), false
	for name := range want {
		_, there := p.known[name]
		missing = missing || !there
	}
	if p.known != nil && age < recordLook && (!missing || age < peersReread) {
		return nil
	}
	var list v1alpha1.BGPPeerList
	if err := p.cluster.read(ctx, peerResource(), "", &list); err != nil {
		return fmt.Errorf("read BGPPeers: %w", err)
	}
	p.known, p.read = make(map[string]v1alpha1.BGPPeerStatus, len(list.Items)), time.Now()
	for i := range list.Items {
		p.known[list.Items[i].Name] = list.Items[i].Status
	}
	maps.DeleteFunc(p.gone, func(name string, _ bool) bool { _, there := p.known[name]; return !there })
	return nil
}
