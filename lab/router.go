package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"
	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/inet"
)

// check looks for the router's programs.
func (r Router) check() error {
	need := map[Router][]string{FRR: {frrDaemon("zebra"), frrDaemon("bgpd")}, BIRD: {"bird"}}[r]
	pkg := map[Router]string{FRR: "frr", BIRD: "bird2"}[r]
	for _, program := range need {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("router %s: no %s here: apt-get install %s", r, filepath.Base(program), pkg)
		}
	}
	return nil
}

// startRouter starts the chosen router.
func (l *Lab) startRouter(ctx context.Context) error {
	switch l.Router {
	case FRR:
		return l.startFRR(ctx)
	case BIRD:
		return l.startBIRD()
	}
	return l.run("router", routerSpace, l.Binary, "lab", "play", "router")
}

// runRouter is the embedded router: GoBGP learns, learned says which routes
// follow from that, and the kernel is made to have them.
func runRouter(ctx context.Context, log *logrus.Entry) error {
	kernel, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("router: netlink: %w", err)
	}
	defer kernel.Close()
	// GoBGP logs by slog; in the lab its own lines need no second format.
	gobgp := server.NewBgpServer(server.LoggerOption(slog.New(slog.NewTextHandler(log.Logger.Out, nil)), new(slog.LevelVar)))
	go gobgp.Serve()
	defer gobgp.Stop()
	if err := configure(ctx, gobgp); err != nil {
		return err
	}
	changed := bell.New()
	if err := listen(ctx, gobgp, changed.Ring); err != nil {
		return err
	}
	for changed.Ring(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-changed.Rung():
		}
		if err := carryOver(gobgp, kernel); err != nil {
			log.WithError(err).Error("carry the routes over")
		}
	}
}

// configure makes GoBGP a router that waits for the nodes, by IPv4 and by IPv6,
// takes what they send, tells nobody anything, and keeps the routes of a daemon
// that restarts gracefully (RFC 4724).
func configure(ctx context.Context, gobgp *server.BgpServer) error {
	err := gobgp.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
		Asn: RouterASN, RouterId: addrOf(torLAN4).String(), ListenPort: inet.BGPPort, UseMultiplePaths: true,
	}})
	if err != nil {
		return fmt.Errorf("router: start: %w", err)
	}
	err = gobgp.SetPolicyAssignment(ctx, &api.SetPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
		Name: "global", Direction: api.PolicyDirection_POLICY_DIRECTION_EXPORT, DefaultAction: api.RouteAction_ROUTE_ACTION_REJECT,
	}})
	if err != nil {
		return fmt.Errorf("router: export policy: %w", err)
	}
	for _, n := range nodes() {
		for _, addr := range n.lan {
			if err := gobgp.AddPeer(ctx, &api.AddPeerRequest{Peer: waitFor(addr.Addr())}); err != nil {
				return fmt.Errorf("router: neighbour %s: %w", addr.Addr(), err)
			}
		}
	}
	return nil
}

// waitFor is a passive neighbour: Fairway dials, and a session that both ends
// dial may get stuck.
func waitFor(addr netip.Addr) *api.Peer {
	var families []*api.AfiSafi
	for _, f := range []*api.Family{
		{Afi: api.Family_AFI_IP, Safi: api.Family_SAFI_UNICAST},
		{Afi: api.Family_AFI_IP6, Safi: api.Family_SAFI_UNICAST},
	} {
		families = append(families, &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: f, Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: true}},
		})
	}
	return &api.Peer{
		Conf:      &api.PeerConf{NeighborAddress: addr.String(), PeerAsn: NodeASN},
		Transport: &api.Transport{PassiveMode: true},
		// GoBGP turns a neighbour away for 5 s after a reset, unless told.
		Timers:          &api.Timers{Config: &api.TimersConfig{IdleHoldTimeAfterReset: 1}},
		GracefulRestart: &api.GracefulRestart{Enabled: true, RestartTime: 120},
		AfiSafis:        families,
	}
}

// listen rings at every change of GoBGP's table and of the kernel's routes; what
// changed is read afresh each time.
func listen(ctx context.Context, gobgp *server.BgpServer, ring func()) error {
	err := gobgp.WatchEvent(ctx, server.WatchEventMessageCallbacks{
		OnBestPath:   func([]*apiutil.Path, time.Time) { ring() },
		OnPeerUpdate: func(*apiutil.WatchEventMessage_PeerEvent, time.Time) { ring() },
	}, server.WatchBestPath(true), server.WatchPeer())
	if err != nil {
		return fmt.Errorf("router: watch: %w", err)
	}
	updates := make(chan netlink.RouteUpdate, 64)
	if err := netlink.RouteSubscribe(updates, ctx.Done()); err != nil {
		return fmt.Errorf("router: watch the kernel's routes: %w", err)
	}
	go func() {
		for range updates {
			ring()
		}
	}()
	return nil
}

// fib is a set of routes: the next hops of each prefix, sorted.
type fib map[netip.Prefix][]netip.Addr

// carryOver makes the kernel's BGP routes those that GoBGP has learned, new ones
// first.
func carryOver(gobgp *server.BgpServer, kernel *netlink.Handle) error {
	want, err := learned(gobgp)
	if err != nil {
		return err
	}
	have, err := installed(kernel)
	if err != nil {
		return err
	}
	var errs []error
	for _, prefix := range slices.SortedFunc(maps.Keys(want), netip.Prefix.Compare) {
		if !slices.Equal(want[prefix], have[prefix]) {
			errs = append(errs, install(kernel, prefix, want[prefix]))
		}
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(have), netip.Prefix.Compare) {
		if _, ok := want[prefix]; !ok {
			errs = append(errs, uninstall(kernel, prefix))
		}
	}
	return errors.Join(errs...)
}

// learned reads the best paths, and those equal to them, from GoBGP's table.
func learned(gobgp *server.BgpServer) (fib, error) {
	out := fib{}
	for _, f := range []bgp.Family{bgp.RF_IPv4_UC, bgp.RF_IPv6_UC} {
		req := apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_GLOBAL, Family: f}
		err := gobgp.ListPath(req, func(nlri bgp.NLRI, paths []*apiutil.Path) {
			prefix, err := netip.ParsePrefix(nlri.String())
			if err != nil {
				return // no family but unicast is negotiated
			}
			if hops := nextHops(paths); len(hops) > 0 {
				out[prefix] = hops
			}
		})
		if err != nil {
			return nil, fmt.Errorf("router: read the table: %w", err)
		}
	}
	return out, nil
}

func nextHops(paths []*apiutil.Path) []netip.Addr {
	var hops []netip.Addr
	for _, p := range paths {
		if !p.Best {
			continue
		}
		for _, attr := range p.Attrs {
			switch a := attr.(type) {
			case *bgp.PathAttributeNextHop:
				hops = append(hops, a.Value)
			case *bgp.PathAttributeMpReachNLRI:
				hops = append(hops, a.Nexthop)
			}
		}
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return slices.Compact(hops)
}

// protocolBGP is RTPROT_BGP (linux/rtnetlink.h): `ip route` prints "proto bgp".
const protocolBGP = 186

// installed reads the routes that carry the BGP protocol's number.
func installed(kernel *netlink.Handle) (fib, error) {
	out := fib{}
	for _, f := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		have, err := kernel.RouteListFiltered(f, &netlink.Route{Protocol: protocolBGP}, netlink.RT_FILTER_PROTOCOL)
		if err != nil {
			return nil, fmt.Errorf("router: read the kernel's routes: %w", err)
		}
		for _, r := range have {
			p := prefixOf(r.Dst)
			if r.Dst == nil {
				p = defaultRoute(f == netlink.FAMILY_V6)
			}
			out[p] = append(out[p], gatewaysOf(r)...)
			slices.SortFunc(out[p], netip.Addr.Compare)
		}
	}
	return out, nil
}

// gatewaysOf lists a route's next hops, sorted.
func gatewaysOf(r netlink.Route) []netip.Addr {
	var hops []netip.Addr
	if r.Gw != nil {
		hops = append(hops, addrFromIP(r.Gw))
	}
	for _, hop := range r.MultiPath {
		hops = append(hops, addrFromIP(hop.Gw))
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	return hops
}

func install(kernel *netlink.Handle, prefix netip.Prefix, hops []netip.Addr) error {
	here := &space{name: routerSpace, Handle: kernel}
	return here.replaceRoute(route{to: prefix, via: hops}, protocolBGP)
}

func uninstall(kernel *netlink.Handle, prefix netip.Prefix) error {
	r := &netlink.Route{Dst: ipNet(prefix), Protocol: protocolBGP}
	if err := kernel.RouteDel(r); err != nil {
		return fmt.Errorf("router: remove route %s: %w", prefix, err)
	}
	return nil
}
