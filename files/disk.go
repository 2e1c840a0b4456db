package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// mostBytes is how large a file may be: 10,000 Subnets as `kubectl get -o yaml`
// prints them. Its objects take several times that in memory.
const mostBytes = 16 << 20

// Bounds of one look at all paths. A local disk answers within milliseconds.
const (
	// slowLook is how long all questions of one look may take together.
	slowLook = 5 * time.Second
	// slowQuestion is what each of them has at least, so that the files after one that
	// does not answer are still read.
	slowQuestion = 100 * time.Millisecond
)

// errSlow is for a file system that does not answer: NFS without its server, FUSE, a
// link to a file of /proc that waits for its reader.
var errSlow = errors.New("the file system does not answer")

// disk asks file systems, which may never answer: a question that is not answered in
// time goes on by itself, and is not asked again meanwhile. The zero disk waits as
// long as it takes.
type disk struct {
	// ctx ends every waiting; nil for a disk that waits.
	ctx context.Context
	// late is rung when an answer comes that nobody waits for any more.
	late func()

	until   time.Time
	mu      sync.Mutex
	waiting map[string]bool
}

// newDisk gives a disk that waits for no more than slowLook after each begin.
func newDisk(ctx context.Context, late func()) *disk {
	return &disk{ctx: ctx, late: late, waiting: map[string]bool{}}
}

// begin begins a look.
func (d *disk) begin() {
	d.until = time.Now().Add(slowLook)
}

// answer is what a file system answers.
type answer[T any] struct {
	value T
	err   error
}

// ask has a file system asked. question tells it from the others.
func ask[T any](d *disk, question string, do func() (T, error)) (T, error) {
	if d.ctx == nil {
		return do()
	}
	var none T
	if !d.enter(question) {
		return none, errSlow
	}
	answers, given := make(chan answer[T]), make(chan struct{})
	go func() {
		value, err := do()
		d.leave(question)
		select {
		case answers <- answer[T]{value, err}:
		case <-given:
			d.late()
		}
	}()
	timer := time.NewTimer(max(time.Until(d.until), slowQuestion))
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-timer.C:
	case <-d.ctx.Done():
	}
	close(given)
	return none, errSlow
}

// enter reports whether the question is not being asked already.
func (d *disk) enter(question string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting[question] {
		return false
	}
	d.waiting[question] = true
	return true
}

func (d *disk) leave(question string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.waiting, question)
}

func (d *disk) stat(path string) (os.FileInfo, error) {
	return ask(d, "stat "+path, func() (os.FileInfo, error) { return os.Stat(path) })
}

func (d *disk) list(path string) ([]os.DirEntry, error) {
	return ask(d, "list "+path, func() ([]os.DirEntry, error) { return os.ReadDir(path) })
}

// read reads the file that stat is of. Where another takes its place at the path,
// that is another question.
func (d *disk) read(path string, stat os.FileInfo) ([]byte, error) {
	question := "read " + path
	if s, ok := stat.Sys().(*syscall.Stat_t); ok {
		question += fmt.Sprintf(" %d:%d", s.Dev, s.Ino)
	}
	return ask(d, question, func() ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readBounded(f, stat.Size())
	})
}

// readBounded reads everything, up to mostBytes; likely is how much that may be.
func readBounded(r io.Reader, likely int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(likely, 0), mostBytes)) + bytes.MinRead) // with room to see the end
	_, err := b.ReadFrom(io.LimitReader(r, mostBytes+1))
	if b.Len() > mostBytes {
		return nil, fmt.Errorf("is larger than %d MiB: split it, or leave out what is no Subnet, Node or BGPPeer", mostBytes>>20)
	}
	return b.Bytes(), err
}
