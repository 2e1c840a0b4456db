package speaker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	api3 "github.com/osrg/gobgp/v3/api"
	"github.com/osrg/gobgp/v4/api"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/fairway-bgp/fairway/inet"
)

// looker serves the gRPC API for looking.
type looker struct {
	grpc *grpc.Server
	// over gets one value from each listener that ended.
	over      chan error
	listeners int
}

// loopbackOnly refuses an address that others than this node can reach.
func loopbackOnly(address string) error {
	if address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("gRPC address %q: %w", address, err)
	}
	if inet.IsLoopback(host) {
		return nil
	}
	return fmt.Errorf("gRPC address %q: only a loopback address (127.0.0.1, ::1) is allowed, because GoBGP's API has no authentication: use the unix socket or an SSH tunnel to look from elsewhere", address)
}

// listenForLookers opens the listeners that the options ask for, and serves both
// dialects on each.
func (s *Speaker) listenForLookers() (*looker, error) {
	var listeners []net.Listener
	if path := s.options.GRPCSocket; path != "" {
		l, err := listenSocket(path)
		if err != nil {
			return nil, fmt.Errorf("gRPC socket %s: %w (fairway runs as root; or give --grpc-socket another path, or \"\" for none)", path, err)
		}
		listeners = append(listeners, l)
	}
	if address := s.options.GRPCAddress; address != "" {
		// "localhost" may be resolved to anything; this may not.
		l, err := net.Listen("tcp", strings.Replace(address, "localhost", "127.0.0.1", 1))
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, fmt.Errorf("gRPC address %s: %w (another fairway or a gobgpd on this node? give --grpc-address another port, or \"\" for none)", address, err)
		}
		listeners = append(listeners, l)
	}
	for i := range listeners {
		listeners[i] = &fewConns{Listener: listeners[i], open: map[net.Conn]bool{}}
	}
	out := &looker{
		grpc: grpc.NewServer(grpc.UnaryInterceptor(lookUnary), grpc.StreamInterceptor(s.looking.lookStream),
			grpc.ConnectionTimeout(greetBound), grpc.MaxConcurrentStreams(mostCalls)),
		over:      make(chan error, len(listeners)),
		listeners: len(listeners),
	}
	api.RegisterGoBgpServiceServer(out.grpc, &look4{speaker: s})
	api3.RegisterGobgpApiServer(out.grpc, &look3{speaker: s})
	for _, l := range listeners {
		go func() { out.over <- out.grpc.Serve(l) }()
	}
	return out, nil
}

func (l *looker) stop() {
	l.grpc.Stop()
	for range l.listeners {
		<-l.over
	}
}

// listenSocket listens on a unix socket that only root may use, in a folder that
// is made where there is none: /run is empty after a boot. It takes the place of a
// socket whose process is gone, never of a live one or of a file.
func listenSocket(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, errors.New("a file is in its place that is not a socket")
		}
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			conn.Close()
			return nil, errors.New("another process serves it: is a second fairway running on this node?")
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	// The mode is set before the socket has a name, so it never has a wider one
	// (Linux gives the name the mode of the file descriptor).
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.Fchmod(int(fd), 0o600) }), err)
	}}
	return config.Listen(context.Background(), "unix", path)
}

func lookUnary(ctx context.Context, r any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := mayLook(info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, r)
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
