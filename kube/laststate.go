package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
)

// stateFile is the name of the last-known state in the state folder.
const stateFile = "last-known.json"

// stateFormat is raised when an older fairway could not read the file any more.
const stateFormat = 1

// The state is written after each change, with a rest of at least saveRest and of
// restFactor times as long as writing took: what a crash finds on disk is old by
// no more. It is written every saveAnyway at least while the source is in step, so
// that its age says for how long it was not.
const (
	saveRest   = 50 * time.Millisecond
	restFactor = 10
	saveAnyway = 5 * time.Minute
)

// lastState is the objects that counted at one moment, as trimmed texts. It
// holds the passwords of the sessions: without them a restart while the API
// server is away would leave those sessions down. Hence its mode, 0600.
type lastState struct {
	Format int       `json:"format"`
	Node   string    `json:"node"`
	Saved  time.Time `json:"saved"`
	// SHA256 is that of Objects as they stand in the file.
	SHA256  string          `json:"sha256"`
	Objects json.RawMessage `json:"objects"`
}

// saveState writes the state in one step: a reader, or a crash, sees the old
// one or the new one.
func saveState(folder, node string, texts []json.RawMessage, now time.Time) error {
	objects, err := json.Marshal(texts)
	if err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	sum := sha256.Sum256(objects)
	text, err := json.Marshal(lastState{Format: stateFormat, Node: node, Saved: now.UTC(), SHA256: hex.EncodeToString(sum[:]), Objects: objects})
	if err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	if err := replaceFile(filepath.Join(folder, stateFile), text); err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	return nil
}

// replaceFile puts a file in the place of another, for its owner alone.
func replaceFile(path string, text []byte) (err error) {
	// CreateTemp makes it 0600.
	f, err := os.CreateTemp(filepath.Dir(path), ".last-known-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	// The rename itself must be on disk too.
	return folder.Sync()
}

// errNoState says that there never was one.
var errNoState = errors.New("there is none yet")

// loadState reads the state back. The error says why it cannot be used.
func loadState(folder, node string, oldest, now time.Time) (objects map[key]stored, saved time.Time, err error) {
	path := filepath.Join(folder, stateFile)
	fail := func(format string, args ...any) (map[key]stored, time.Time, error) {
		return nil, saved, fmt.Errorf("last-known state %s: %w", path, fmt.Errorf(format, args...))
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fail("%w", errNoState)
	}
	if err != nil {
		return fail("%w", err)
	}
	var s lastState
	if err := json.Unmarshal(text, &s); err != nil {
		return fail("is damaged: %w", err)
	}
	saved = s.Saved
	sum := sha256.Sum256(s.Objects)
	switch {
	case s.Format != stateFormat:
		return fail("has format %d, not %d: written by another version", s.Format, stateFormat)
	case hex.EncodeToString(sum[:]) != s.SHA256:
		return fail("is damaged: its checksum does not fit")
	case s.Node != node:
		return fail("is that of Node %s, not of %s", s.Node, node)
	case s.Saved.Before(oldest):
		return fail("is too old: of %s", s.Saved.Format(time.RFC3339))
	case s.Saved.After(now.Add(time.Hour)):
		return fail("is from the future: of %s; is the clock right?", s.Saved.Format(time.RFC3339))
	}
	var texts []json.RawMessage
	if err := json.Unmarshal(s.Objects, &texts); err != nil {
		return fail("is damaged: %w", err)
	}
	objects = map[key]stored{}
	for _, t := range texts {
		o := readPiece(t)
		objects[o.key] = stored{object: o, text: string(t)}
	}
	return objects, saved, nil
}

// keeper writes states in a goroutine of its own: a disk that stalls must not
// keep a route from being announced.
type keeper struct {
	folder, node string
	log          *logrus.Entry
	newest       chan []json.RawMessage
	// failing is the last error, so that it is logged once.
	failing string
}

func newKeeper(folder, node string, log *logrus.Entry) *keeper {
	return &keeper{folder: folder, node: node, log: log, newest: make(chan []json.RawMessage, 1)}
}

// offer hands over a state in the place of one that has not been written yet.
func (k *keeper) offer(texts []json.RawMessage) {
	for {
		select {
		case k.newest <- texts:
			return
		default:
		}
		select {
		case <-k.newest:
		default:
		}
	}
}

// run writes what was offered last until ctx ends, and once more then.
func (k *keeper) run(ctx context.Context) {
	for {
		var began time.Time
		select {
		case texts := <-k.newest:
			began = time.Now()
			k.save(texts)
		case <-ctx.Done():
			select {
			case texts := <-k.newest:
				k.save(texts)
			default:
			}
			return
		}
		select {
		case <-time.After(max(saveRest, restFactor*time.Since(began))):
		case <-ctx.Done():
		}
	}
}

func (k *keeper) save(texts []json.RawMessage) {
	failing := ""
	if err := saveState(k.folder, k.node, texts, time.Now()); err != nil {
		failing = err.Error()
		if failing != k.failing {
			k.log.Error(err)
		}
	}
	k.failing = failing
}
