package speaker

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// Bounds of looking: whoever looks may be slow, hang or come in masses, and
// nothing that announces waits for it or runs out of room.
const (
	// readPatience is how long one message waits for its reader.
	readPatience = 10 * time.Second
	// listBound is how long a whole list may take, waiting for others included.
	listBound = time.Minute
	// watchLag is how old an event may be when its reader gets there.
	watchLag = 30 * time.Second
	// greetBound is how long a connection may stay without a word.
	greetBound = 5 * time.Second
	// mostLists and mostWatchers are how many may be under way at once, each with
	// its own copy of a table or of what is new.
	mostLists, mostWatchers = 4, 16
	// mostConns is for each listener, mostCalls for each connection.
	mostConns, mostCalls = 64, 32
	// callsPerSecond is how many calls all together may make, and callsAtOnce how
	// many of them at once; one gobgp command makes one to three.
	callsPerSecond, callsAtOnce = 50, 200
	// mostRequest and mostHeader are in octets; the longest that gobgp sends have a
	// few hundred. mostAhead is what a connection may send before it is read: with
	// mostConns, what all of them can fill. gRPC takes no less.
	mostRequest, mostHeader, mostAhead = 16 << 10, 16 << 10, 64 << 10
	// idleBound is how long a connection without a call is kept.
	idleBound = 5 * time.Minute
)

// bounds keeps those who look within bounds.
type bounds struct {
	readPatience    time.Duration
	lists, watchers *semaphore.Weighted
	calls           *rate.Limiter
}

func newBounds() bounds {
	return bounds{
		readPatience: readPatience, lists: semaphore.NewWeighted(mostLists), watchers: semaphore.NewWeighted(mostWatchers),
		calls: rate.NewLimiter(callsPerSecond, callsAtOnce),
	}
}

// server gives a gRPC server within the bounds.
func (b bounds) server() *grpc.Server {
	return grpc.NewServer(grpc.InTapHandle(b.enter), grpc.StreamInterceptor(b.lookStream),
		grpc.ConnectionTimeout(greetBound), grpc.MaxConcurrentStreams(mostCalls),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: idleBound}),
		grpc.MaxRecvMsgSize(mostRequest), grpc.MaxHeaderListSize(mostHeader),
		grpc.InitialWindowSize(mostAhead), grpc.InitialConnWindowSize(mostAhead))
}

// enter lets a call in that only looks, before its request is read.
func (b bounds) enter(ctx context.Context, call *tap.Info) (context.Context, error) {
	if err := mayLook(call.FullMethodName); err != nil {
		return nil, err
	}
	if !b.calls.Allow() {
		return nil, status.Errorf(codes.ResourceExhausted, "more than %d calls a second: try again", callsPerSecond)
	}
	return ctx, nil
}

// list does what reads a table and sends it.
func (b bounds) list(ctx context.Context, send func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, listBound)
	defer cancel()
	if err := b.lists.Acquire(ctx, 1); err != nil {
		return status.Errorf(codes.ResourceExhausted, "%d others read tables, and did not end within %s", mostLists, listBound)
	}
	defer b.lists.Release(1)
	return send(ctx)
}

// watch does what sends events until somebody ends it.
func (b bounds) watch(send func() error) error {
	if !b.watchers.TryAcquire(1) {
		return status.Errorf(codes.ResourceExhausted, "%d others watch already", mostWatchers)
	}
	defer b.watchers.Release(1)
	return send()
}

// lookStream ends a call whose reader does not read. A message that waits for its reader cannot be taken back; that its call
// ends is what ends the wait (finishStream in grpc's internal/transport).
func (b bounds) lookStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	paced := &pacedStream{ServerStream: stream, patience: b.readPatience, stuck: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- next(srv, paced) }()
	select {
	case err := <-done:
		return err
	case <-paced.stuck:
		return status.Errorf(codes.DeadlineExceeded, "nothing was read for %s", b.readPatience)
	}
}

// pacedStream closes stuck where a message has waited too long.
type pacedStream struct {
	grpc.ServerStream
	patience time.Duration
	stuck    chan struct{}
	once     sync.Once
}

// SendMsg waits until the message is on its way, or the call has ended.
func (p *pacedStream) SendMsg(m any) error {
	late := time.AfterFunc(p.patience, func() { p.once.Do(func() { close(p.stuck) }) })
	defer late.Stop()
	return p.ServerStream.SendMsg(m)
}
