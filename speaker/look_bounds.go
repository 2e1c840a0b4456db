package speaker

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
)

// bounds keeps those who look within bounds.
type bounds struct {
	readPatience    time.Duration
	lists, watchers *semaphore.Weighted
}

func newBounds() bounds {
	return bounds{readPatience: readPatience, lists: semaphore.NewWeighted(mostLists), watchers: semaphore.NewWeighted(mostWatchers)}
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

// lookStream lets through what only looks, and ends it where its reader does not
// read. A message that waits for its reader cannot be taken back; that its call
// ends is what ends the wait (finishStream in grpc's internal/transport).
func (b bounds) lookStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := mayLook(info.FullMethod); err != nil {
		return err
	}
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
