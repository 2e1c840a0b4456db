package kube

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/policy"
	"github.com/fairway-bgp/fairway/replace"
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
	// saveRetry is when a write that failed is tried again.
	saveRetry = 5 * time.Second
)

// savedFile is the objects that counted at one moment, as trimmed texts. It
// holds the passwords of the sessions: without them a restart while the API
// server is away would leave those sessions down. Hence its mode, 0600.
type savedFile struct {
	Format int       `json:"format"`
	Node   string    `json:"node"`
	Saved  time.Time `json:"saved"`
	// SHA256 is that of Objects as they stand in the file, GoodSHA256 that of Good.
	SHA256  string          `json:"sha256"`
	Objects json.RawMessage `json:"objects"`
	// Good is a savedGood. An older fairway does not know it and reads the rest.
	GoodSHA256 string          `json:"goodSHA256,omitempty"`
	Good       json.RawMessage `json:"good,omitempty"`
}

// savedGood is what stands in for parts of the objects that are no longer good: a
// typo is not a withdrawal, whether or not the daemon is started again before it
// is mended.
type savedGood struct {
	Annotations policy.Memory `json:"annotations"`
	// Objects are the last good versions of those that do not convert, and of all
	// BGPPeers, because whether one of them is good depends on others.
	Objects []goodObject `json:"objects,omitempty"`
}

// goodObject is a goodText as the file has it.
type goodObject struct {
	Text     json.RawMessage `json:"object"`
	Password string          `json:"password,omitempty"`
}

// goodText is a trimmed object, and of a BGPPeer the password, which may be that
// of a Secret that is gone.
type goodText struct{ text, password string }

// state is what is kept of a daemon that was in step at that time.
type state struct {
	at      time.Time
	objects []json.RawMessage
	good    savedGood
}

// saveState writes the state in one step: a reader, or a crash, sees the old
// one or the new one.
func saveState(folder, node string, kept state) error {
	text, err := kept.encode(node)
	if err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	if err := replace.File(filepath.Join(folder, stateFile), text, 0o600); err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	return nil
}

// encode gives the text of the file.
func (s state) encode(node string) ([]byte, error) {
	file := savedFile{Format: stateFormat, Node: node, Saved: s.at.UTC()}
	var err, errGood error
	file.Objects, file.SHA256, err = sealed(s.objects)
	file.Good, file.GoodSHA256, errGood = sealed(s.good)
	if err := errors.Join(err, errGood); err != nil {
		return nil, err
	}
	return json.Marshal(file)
}

// sealed gives a part of the file and its checksum.
func sealed(part any) (json.RawMessage, string, error) {
	text, err := json.Marshal(part)
	return text, checksum(text), err
}

func checksum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// errNoState says that there never was one.
var errNoState = errors.New("there is none yet")

// restored is the state as it is read back. good has the last good value of each
// object, goodTexts what they were made of.
type restored struct {
	objects     map[objects.Key]stored
	good        objects.Good
	goodTexts   map[objects.Key]goodText
	annotations policy.Memory
	saved       time.Time
}

// loadState reads the state back. The error says why it cannot be used.
func loadState(folder, node string, oldest, now time.Time) (restored, error) {
	path := filepath.Join(folder, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = errNoState
	}
	var r restored
	if err == nil {
		r, err = decodeState(text, node, oldest, now)
	}
	if err != nil {
		return restored{}, fmt.Errorf("last-known state %s: %w", path, err)
	}
	return r, nil
}

// decodeState is the reverse of encode. It refuses what is another node's, older than
// oldest, or from the future.
func decodeState(text []byte, node string, oldest, now time.Time) (restored, error) {
	fail := func(format string, args ...any) (restored, error) {
		return restored{}, fmt.Errorf(format, args...)
	}
	var s savedFile
	if err := json.Unmarshal(text, &s); err != nil {
		return fail("is damaged: %w", err)
	}
	switch {
	case s.Format != stateFormat:
		return fail("has format %d, not %d: written by another version", s.Format, stateFormat)
	case checksum(s.Objects) != s.SHA256, s.Good != nil && checksum(s.Good) != s.GoodSHA256:
		return fail("is damaged: its checksum does not fit")
	case s.Node != node:
		return fail("is that of Node %s, not of %s", s.Node, node)
	case s.Saved.Before(oldest):
		return fail("is too old: of %s", s.Saved.Format(time.RFC3339))
	case s.Saved.After(now.Add(time.Hour)):
		return fail("is from the future: of %s; is the clock right?", s.Saved.Format(time.RFC3339))
	}
	var texts []json.RawMessage
	var good savedGood
	if err := json.Unmarshal(s.Objects, &texts); err != nil {
		return fail("is damaged: %w", err)
	}
	if err := json.Unmarshal([]byte(cmp.Or(string(s.Good), "{}")), &good); err != nil {
		return fail("is damaged: %w", err)
	}
	return restore(texts, good, s.Saved), nil
}

// restore turns texts into objects again.
func restore(texts []json.RawMessage, good savedGood, saved time.Time) restored {
	r := restored{
		objects: map[objects.Key]stored{}, good: objects.Good{}, goodTexts: map[objects.Key]goodText{},
		annotations: good.Annotations, saved: saved,
	}
	for _, t := range texts {
		o := objects.Read(t)
		r.objects[o.Key] = stored{Object: o, text: string(t)}
		if o.Value != nil && o.Kind != objects.KindBGPPeer {
			r.good[o.Key], r.goodTexts[o.Key] = o.Value, goodText{text: string(t)}
		}
	}
	for _, g := range good.Objects {
		o := objects.Read(g.Text)
		r.goodTexts[o.Key] = goodText{string(g.Text), g.Password}
		switch v := o.Value.(type) {
		case nil:
		case objects.Peer:
			v.Password = policy.Password(g.Password)
			r.good[o.Key] = v.Peer
		default:
			r.good[o.Key] = v
		}
	}
	return r
}

// saver writes states in a goroutine of its own: a disk that stalls must not
// keep a route from being announced.
type saver struct {
	folder, node string
	log          *logrus.Entry
	newest       chan state
	// failing says why the last write failed; changed is called when it changes.
	failing atomic.Pointer[string]
	changed func()
}

func newSaver(folder, node string, changed func(), log *logrus.Entry) *saver {
	k := &saver{folder: folder, node: node, log: log, newest: make(chan state, 1), changed: changed}
	k.failing.Store(new(string))
	return k
}

// offer hands over a state in the place of one that has not been written yet.
func (k *saver) offer(s state) {
	for {
		select {
		case k.newest <- s:
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
func (k *saver) run(ctx context.Context) {
	if err := replace.Sweep(filepath.Join(k.folder, stateFile)); err != nil {
		k.log.Warnf("what an earlier run left unfinished is not removed: %v", err)
	}
	var last state
	var again <-chan time.Time
	for {
		select {
		case last = <-k.newest:
		case <-again:
		case <-ctx.Done():
			select {
			case s := <-k.newest:
				k.save(s)
			default:
			}
			return
		}
		began := time.Now()
		again = nil
		if !k.save(last) {
			again = time.After(saveRetry)
		}
		select {
		case <-time.After(max(saveRest, restFactor*time.Since(began))):
		case <-ctx.Done():
		}
	}
}

// save reports whether the state was written. Why not is logged once.
func (k *saver) save(s state) bool {
	failing := ""
	if err := saveState(k.folder, k.node, s); err != nil {
		failing = err.Error()
	}
	if before := *k.failing.Swap(&failing); before != failing {
		if failing != "" {
			k.log.Error(failing)
		}
		k.changed()
	}
	return failing == ""
}
