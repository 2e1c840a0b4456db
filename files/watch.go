package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/bell"
	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// How long a watch waits for more changes, so that a file is not read while it
// is being written: until nothing has happened for settle, but not longer than
// mostSettle.
const (
	settle     = 20 * time.Millisecond
	mostSettle = 500 * time.Millisecond
	// gone is how long a file must be missing from its folder until its objects are
	// gone, too: who removes a folder removes its files first, and who fills it anew
	// does not fill it at once.
	gone = time.Second
	// relook is how often it looks without being told, for what the kernel tells
	// nobody: mounts and unmounts, other hosts' writes to a network file system.
	relook = time.Minute
	// retry is how often it does where the kernel refuses to watch, and soon where a
	// read has failed: descriptors may have run out, and nobody tells that they are
	// back.
	retry = 10 * time.Second
	soon  = 2 * time.Second
)

// Source is the file source of a daemon: it reads files and folders, and again
// whenever one changes. Nothing is ever taken back because something cannot be
// read: a file that is unreadable, empty or not whole keeps the objects that it
// gave last, a path that is gone keeps everything, and an object that does not
// convert keeps its last value. Each has its Problem. Only a file cut off at the
// end of a line cannot be told from a shorter one: who writes in place and slowly
// should write elsewhere and rename.
type Source struct {
	paths    []string
	settings routes.Settings
	bell     func(since time.Time)
	log      *logrus.Entry
	latest   atomic.Pointer[objects.Contents]
}

// New takes paths as Read does; standard input is read once. bell is
// called after each change of the Contents, with the time when the first of it was heard
// of, and must not block.
func New(paths []string, settings routes.Settings, bell func(since time.Time), log *logrus.Entry) *Source {
	return &Source{paths: slices.Clone(paths), settings: settings, bell: bell, log: log}
}

// Latest gives the last Contents; ok is false before the first look.
func (f *Source) Latest() (c objects.Contents, ok bool) {
	if p := f.latest.Load(); p != nil {
		return *p, true
	}
	return objects.Contents{}, false
}

// Run reads and watches until ctx ends. The error is that of a kernel that gives
// no watch at all.
func (f *Source) Run(ctx context.Context) error {
	kernel, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	defer kernel.Close()
	late := bell.New()
	w := &watcher{Source: f, kernel: kernel, disk: newDisk(ctx, late.Ring), late: late, renewed: map[string]bool{}, stats: map[string]os.FileInfo{}}
	if slices.Contains(f.paths, Stdin) {
		if w.stdin, err = readBounded(os.Stdin, 0); err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
	}
	for {
		again := w.pass(time.Now())
		if !w.changed(ctx, again) {
			return nil
		}
	}
}

// watcher is the state of Run, in its goroutine.
type watcher struct {
	*Source
	kernel *fsnotify.Watcher
	disk   *disk
	// late is rung when a file system has answered that nobody waited for any more.
	late   *bell.Bell
	places []place
	known  known
	stdin  []byte
	// deaf says why some folder cannot be watched; empty if all can.
	deaf string
	// renewed holds paths that were replaced and have held no file since.
	renewed map[string]bool
	// stats tell whether a path still leads to the same folder.
	stats map[string]os.FileInfo
	// heard is when the first of what has not been published was heard of; zero for
	// nothing.
	heard time.Time
	// missing is when files were first seen to be missing; zero if none is.
	missing time.Time
}

// changed waits for the next change that matters, and until it has settled, or
// for the given time. It is false once ctx has ended.
func (w *watcher) changed(ctx context.Context, atMost time.Duration) bool {
	again := time.After(atMost)
	var quiet, enough <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case <-again:
			return true
		case <-quiet:
			return true
		case <-enough:
			return true
		case <-w.late.Rung():
			return true
		case e := <-w.kernel.Events:
			if !slices.ContainsFunc(w.places, func(p place) bool { return p.concerns(e) }) {
				continue
			}
			w.note(e)
			if w.heard.IsZero() {
				w.heard = time.Now()
			}
		case err := <-w.kernel.Errors:
			// Lost events (fsnotify.ErrEventOverflow) may have been any.
			w.log.WithError(err).Warn("watching files: reading all of them again")
		}
		quiet = time.After(settle)
		if enough == nil {
			enough = time.After(mostSettle)
		}
	}
}

// note remembers that a path, or something on the way to it, has been replaced.
func (w *watcher) note(e fsnotify.Event) {
	if !e.Has(fsnotify.Create) && !e.Has(fsnotify.Remove) && !e.Has(fsnotify.Rename) {
		return
	}
	for _, p := range w.places {
		if p.moved(e) {
			w.renewed[p.path] = true
		}
	}
}

// pass looks at everything, publishes what is new, and says when to look again
// even if nothing happens. It listens first, so that no change falls between
// looking and listening.
func (w *watcher) pass(now time.Time) (again time.Duration) {
	w.disk.begin()
	w.listen()
	looks := lookAll(w.disk, w.paths, bytes.NewReader(w.stdin))
	for i := range looks {
		w.doubt(&looks[i])
	}
	if !w.known.lacksFiles(looks) {
		w.missing = time.Time{}
	} else if w.missing.IsZero() {
		w.missing = now
	}
	if !w.missing.IsZero() && now.Sub(w.missing) < gone {
		return gone - now.Sub(w.missing)
	}
	w.missing = time.Time{}
	w.publish(w.known.next(looks, w.settings, now))
	switch {
	case slices.ContainsFunc(looks, look.failed):
		return soon
	case w.deaf != "":
		return retry
	}
	return relook
}

// doubt makes an error of a folder that is another one than before and empty: it
// is about to be filled, or its mount is gone. Nothing in it has been deleted on
// purpose.
func (w *watcher) doubt(l *look) {
	if l.stat == nil {
		return
	}
	if last := w.stats[l.root]; last != nil && !os.SameFile(last, l.stat) {
		w.renewed[l.root] = true
	}
	w.stats[l.root] = l.stat
	switch {
	case l.err != nil || !w.renewed[l.root]:
	case len(l.files) == 0 && w.known.holds(l.root):
		l.err = errRenewed
	default:
		delete(w.renewed, l.root)
	}
}

// errRenewed stands for the error of reading a folder that has just been made.
var errRenewed = errors.New("is another folder than before, and empty; to take its objects away, put a file with nothing but a comment there")

// publish makes what is known now the latest, if its Contents differ.
func (w *watcher) publish(next known) {
	last, since := w.known, w.heard
	w.known, w.heard = next, time.Time{}
	if w.latest.Load() != nil && reflect.DeepEqual(last.contents, next.contents) {
		return
	}
	w.latest.Store(&next.contents)
	if since.IsZero() {
		since = time.Now() // it is time that has brought it
	}
	w.bell(since)
}

// listen watches the places where a change counts, as they are now.
func (w *watcher) listen() {
	deaf := ""
	// While it is listening, places may come and go; a few rounds follow them, and
	// after that the events do.
	for range 5 {
		now, err := w.find()
		if err != nil {
			deaf = fmt.Sprintf("%s: %v", strings.Join(w.paths, ", "), err)
			break // what was watched is watched on
		}
		w.places, deaf = now.places, ""
		for _, folder := range now.folders {
			if err := w.watch(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				deaf = fmt.Sprintf("%s: %v", folder, err)
			}
		}
		for _, folder := range w.kernel.WatchList() {
			if !slices.Contains(now.folders, folder) {
				// The error is that it is gone already.
				_ = w.kernel.Remove(folder)
			}
		}
		if then, err := w.find(); err != nil || reflect.DeepEqual(w.places, then.places) {
			break
		}
	}
	if deaf != "" && deaf != w.deaf {
		w.log.Warnf("watch %s; reading files every %s instead", deaf, retry)
	}
	w.deaf = deaf
}

// found is where a change counts, and the folders that tell of it.
type found struct {
	places  []place
	folders []string
}

func (w *watcher) find() (found, error) {
	return ask(w.disk, "places", func() (found, error) {
		places := findPlaces(w.paths)
		return found{places, toWatch(places)}, nil
	})
}

func (w *watcher) watch(folder string) error {
	_, err := ask(w.disk, "watch "+folder, func() (struct{}, error) { return struct{}{}, w.kernel.Add(folder) })
	return err
}
