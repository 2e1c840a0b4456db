package speaker

import (
	"context"
	"fmt"
	"strings"

	api3 "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fairway-bgp/fairway/door"
)

// Doors are those of the gRPC API for looking, by what the options say.
func (o Options) doors() []door.Door {
	var out []door.Door
	if o.GRPCSocket != "" {
		out = append(out, door.Door{Name: "gRPC socket", Network: "unix", Address: o.GRPCSocket, Most: mostConns,
			Advice: "fairway runs as root; or give --grpc-socket another path, or \"\" for none"})
	}
	if o.GRPCAddress != "" {
		out = append(out, door.Door{Name: "gRPC address", Network: "tcp", Address: o.GRPCAddress, Most: mostConns,
			Advice: "another fairway or a gobgpd on this node? give --grpc-address another port, or \"\" for none"})
	}
	return out
}

// checkAddress refuses an address that others than this node can reach.
func (o Options) checkAddress() error {
	if o.GRPCAddress == "" {
		return nil
	}
	if err := door.CheckLoopback(o.GRPCAddress); err != nil {
		return fmt.Errorf("gRPC %w: GoBGP's API has no authentication: use the unix socket or an SSH tunnel to look from elsewhere", err)
	}
	return nil
}

// look lets others look until ctx ends, in both dialects at each door. It returns
// after the first try to open them; wait waits for their end.
func (s *Speaker) look(ctx context.Context) (wait func()) {
	server := s.looking.server()
	api.RegisterGoBgpServiceServer(server, &look4{speaker: s})
	api3.RegisterGobgpApiServer(server, &look3{speaker: s})
	stop := context.AfterFunc(ctx, server.Stop)
	var closed []<-chan struct{}
	for _, d := range s.options.doors() {
		closed = append(closed, s.options.Doors.Keep(ctx, d, server.Serve))
	}
	return func() {
		defer stop()
		for _, c := range closed {
			<-c
		}
	}
}

// mayLook allows what only reads. It is a list of what is allowed, so that a
// method that a later GoBGP adds is refused.
func mayLook(method string) error {
	name := method[strings.LastIndex(method, "/")+1:]
	for _, verb := range []string{"List", "Get", "Watch"} {
		if strings.HasPrefix(name, verb) {
			return nil
		}
	}
	return status.Errorf(codes.PermissionDenied, "%s: this API is for looking only; fairway owns this BGP speaker and would undo the change: change the BGPPeer, or the Subnet's fairway.dev/ annotations", name)
}
