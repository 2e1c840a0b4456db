package kube

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unicode/utf8"

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
// no more, and a cluster where something changes all the time costs no more than a
// fiftieth of a processor. It is written every saveAnyway at least while the source is in
// step, so that its age says for how long it was not.
const (
	saveRest   = 50 * time.Millisecond
	restFactor = 50
	saveAnyway = 5 * time.Minute
	// saveRetry is when a write that failed is tried again.
	saveRetry = 5 * time.Second
)

// savedFile is the objects that counted at one moment, as trimmed texts. It
// holds the passwords of the sessions: without them a restart while the API
// server is away would leave those sessions down. Hence its mode, 0600.
type savedFile struct {
	savedHead
	// Good is a savedGood. An older fairway does not know it and reads the rest.
	Good    json.RawMessage `json:"good,omitempty"`
	Objects json.RawMessage `json:"objects"`
	// SHA256 is that of Objects as they stand in the file.
	SHA256 string `json:"sha256"`
}

// savedHead is what a savedFile begins with.
type savedHead struct {
	Format int       `json:"format"`
	Node   string    `json:"node"`
	Saved  time.Time `json:"saved"`
	// GoodSHA256 is that of Good as it stands in the file.
	GoodSHA256 string `json:"goodSHA256,omitempty"`
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
	// Bytes is a password that is no text.
	Bytes []byte `json:"passwordBytes,omitempty"`
}

// goodText is a trimmed object, and of a BGPPeer the password, which may be that
// of a Secret that is gone.
type goodText struct {
	text     packed
	password string
}

// saved gives the goodObject of a goodText.
func (t goodText) saved() goodObject {
	out := goodObject{Text: json.RawMessage(t.text.String()), Password: t.password}
	if !utf8.ValidString(t.password) {
		out.Password, out.Bytes = "", []byte(t.password)
	}
	return out
}

// state is what is kept of a daemon that was in step at that time. objects are their
// trimmed texts.
type state struct {
	at      time.Time
	objects []packed
	good    savedGood
}

// saveState writes the state in one step: a reader, or a crash, sees the old
// one or the new one.
func saveState(folder, node string, kept state) error {
	err := os.MkdirAll(folder, 0o700)
	if err == nil {
		err = replace.Write(filepath.Join(folder, stateFile), 0o600, func(w io.Writer) error { return kept.write(w, node) })
	}
	if err != nil {
		return fmt.Errorf("save last-known state: %w", err)
	}
	return nil
}

// encode gives the text of the file.
func (s state) encode(node string) ([]byte, error) {
	var b bytes.Buffer
	err := s.write(&b, node)
	return b.Bytes(), err
}

// write writes a savedFile, without ever holding the whole of it.
func (s state) write(to io.Writer, node string) error {
	good, sumGood, err := sealed(s.good)
	if err != nil {
		return err
	}
	head, err := json.Marshal(savedHead{stateFormat, node, s.at.UTC(), sumGood})
	if err != nil {
		return err
	}
	w, sum := bufio.NewWriter(to), sha256.New()
	fmt.Fprintf(w, `%s,"good":%s,"objects":`, bytes.TrimSuffix(head, []byte("}")), good)
	texts := bufio.NewWriter(io.MultiWriter(w, sum))
	separator := "["
	for _, text := range s.objects {
		texts.WriteString(separator)
		text.writeTo(texts)
		separator = ","
	}
	if len(s.objects) == 0 {
		texts.WriteString(separator)
	}
	texts.WriteString("]")
	texts.Flush()
	fmt.Fprintf(w, `,"sha256":"%x"}`, sum.Sum(nil))
	return w.Flush() // which has the first error of all
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

// lastKnown is the state as it is read back.
type lastKnown struct {
	texts []json.RawMessage
	good  savedGood
	saved time.Time
}

// restored is what a lastKnown comes to: the objects in force, the versions that gave
// their last good values, and the last good sessions.
type restored struct {
	objects, good map[objects.Key]*stored
	peers         map[objects.Key]goodPeer
	annotations   policy.Memory
	saved         time.Time
}

// loadState reads the state back. The error says why it cannot be used.
func loadState(folder, node string, oldest, now time.Time) (lastKnown, error) {
	path := filepath.Join(folder, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = errNoState
	}
	var last lastKnown
	if err == nil {
		last, err = decodeState(text, node, oldest, now)
	}
	if err != nil {
		return lastKnown{}, fmt.Errorf("last-known state %s: %w", path, err)
	}
	return last, nil
}

// decodeState is the reverse of encode. It refuses what is another node's, older than
// oldest, or from the future.
func decodeState(text []byte, node string, oldest, now time.Time) (lastKnown, error) {
	fail := func(format string, args ...any) (lastKnown, error) {
		return lastKnown{}, fmt.Errorf(format, args...)
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
	last := lastKnown{saved: s.Saved}
	if err := json.Unmarshal(s.Objects, &last.texts); err != nil {
		return fail("is damaged: %w", err)
	}
	if err := json.Unmarshal([]byte(cmp.Or(string(s.Good), "{}")), &last.good); err != nil {
		return fail("is damaged: %w", err)
	}
	return last, nil
}

// restored turns texts into objects again. known are objects by their texts that need not
// be converted a second time.
func (l lastKnown) restored(known map[packed]*stored) restored {
	r := restored{
		objects: make(map[objects.Key]*stored, len(l.texts)), good: make(map[objects.Key]*stored, len(l.texts)), peers: map[objects.Key]goodPeer{},
		annotations: l.good.Annotations, saved: l.saved,
	}
	for _, t := range l.texts {
		s := known[pack(string(t))]
		if s == nil {
			s = newStored(objects.Taken{Object: objects.Read(t), Text: t})
		}
		r.objects[s.Key] = s
		if s.Value != nil && s.Kind != objects.KindBGPPeer {
			r.good[s.Key] = s
		}
	}
	for _, g := range l.good.Objects {
		s := newStored(objects.Taken{Object: objects.Read(g.Text), Text: g.Text})
		switch v := s.Value.(type) {
		case nil:
		case objects.Peer:
			made := goodText{s.text, cmp.Or(g.Password, string(g.Bytes))}
			v.Password = policy.Password(made.password)
			r.peers[s.Key] = goodPeer{v.Peer, made}
		default:
			r.good[s.Key] = s
		}
	}
	return r
}

// saver writes states in a goroutine of its own: a disk that stalls must not
// keep a route from being announced.
type saver struct {
	folder, node string
	log          *logrus.Entry
	// next has the state to be written. It is closed when there will be no other.
	next chan state
	// busy is true from an offer until the rest after it, asked where somebody wants to
	// know of its end.
	busy, asked atomic.Bool
	// failing says why the last write failed; changed is called when it changes, and when
	// a rest ends that somebody has asked about.
	failing atomic.Pointer[string]
	changed func()
}

func newSaver(folder, node string, changed func(), log *logrus.Entry) *saver {
	k := &saver{folder: folder, node: node, log: log, next: make(chan state, 1), changed: changed}
	k.failing.Store(new(string))
	return k
}

// takes reports whether a state may be offered now. Where not, changed is called as soon
// as it may.
func (k *saver) takes() bool {
	k.asked.Store(true)
	return !k.busy.Load()
}

// offer hands over a state: where takes allows it, or for the last time.
func (k *saver) offer(s state) {
	k.busy.Store(true)
	k.asked.Store(false)
	k.next <- s
}

// run writes what is offered until next is closed.
func (k *saver) run(ctx context.Context) {
	if err := replace.Sweep(filepath.Join(k.folder, stateFile)); err != nil {
		k.log.Warnf("what an earlier run left unfinished is not removed: %v", err)
	}
	for s := range k.next {
		began := time.Now()
		for !k.save(s) && pause(ctx, saveRetry) {
			began = time.Now()
		}
		pause(ctx, max(saveRest, restFactor*time.Since(began)))
		k.busy.Store(false)
		if k.asked.Swap(false) {
			k.changed()
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
