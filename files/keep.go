package files

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/parallel"
	"github.com/fairway-bgp/fairway/routes"
)

// known is what a watch knows after one look at its paths.
type known struct {
	files []file
	// read holds the paths that could be read at least once.
	read map[string]bool
	good objects.Good
	// since is when each object was first there, zero for what the first look saw.
	since map[objects.Key]time.Time
	// gone are the Nodes that were there once.
	gone     map[string]objects.Node
	contents objects.Contents
}

// next gives what is known after another look. What cannot be read keeps what it gave
// last: unknown is not empty. A file that is gone from a folder which is still
// there has been deleted on purpose, and takes its objects with it.
func (k known) next(looks []look, settings routes.Settings, now time.Time) known {
	out := known{read: map[string]bool{}}
	last := map[string]*file{}
	for i, f := range k.files {
		last[f.Name] = &k.files[i]
	}
	for _, l := range looks {
		out.read[l.root] = k.read[l.root] || l.err == nil
		if l.err != nil {
			out.files = append(out.files, k.keepRoot(l.root, cause(l.err))...)
			continue
		}
		read := make([]file, len(l.files))
		parallel.Each(len(l.files), func(i int) { read[i] = l.files[i].file(l.root, last[l.files[i].name]) })
		for i, s := range l.files {
			f := read[i].standIn(last[s.name])
			if f.lack == "" && !f.ended && last[s.name] != nil && last[s.name].ended {
				f = f.cutShort()
			}
			if f.lack == "" && len(f.parsed) == 0 && last[s.name] != nil && last[s.name].cut {
				f.lack, f.cut = "holds comments alone, after a version that was cut off: if that is meant, remove the file", true
			}
			if f.lack != "" {
				f = keepMissing(f, last[s.name])
			}
			out.files = append(out.files, f)
		}
	}
	out.since = k.seen(out.files, now)
	out.contents, out.good = objects.Assemble(dated(out.files, out.since), k.good, notInFiles)
	out.keepNodes(k)
	out.contents.Snapshot = snapshotOfFiles(out.good, settings)
	out.contents.Snapshot.Subnets = sharing(out.contents.Snapshot.Subnets, k.contents.Snapshot.Subnets)
	objects.StampSince(out.contents.Problems, k.contents.Problems, now)
	return out
}

// seen says since when each object has been there.
func (k known) seen(files []file, now time.Time) map[objects.Key]time.Time {
	since := map[objects.Key]time.Time{}
	for _, f := range files {
		for _, o := range f.Objects {
			if t, known := k.since[o.Key]; known {
				since[o.Key] = t
			} else if k.since != nil {
				since[o.Key] = now.UTC()
			} else {
				since[o.Key] = time.Time{}
			}
		}
	}
	return since
}

// dated gives the files with a date for objects that have no creationTimestamp: who
// comes later is younger, whatever its name, and takes nothing from one that is in
// force.
func dated(files []file, since map[objects.Key]time.Time) []objects.Batch {
	var out []objects.Batch
	for _, f := range files {
		b := f.Batch
		b.Objects = slices.Clone(b.Objects)
		for i := range b.Objects {
			o := &b.Objects[i]
			switch d := o.Value.(type) {
			case *objects.Subnet:
				if begun := since[o.Key]; !begun.IsZero() {
					o.Value = d.CreatedAt(begun)
				}
			case objects.Peer:
				if begun := since[o.Key]; d.Created.IsZero() && !begun.IsZero() {
					d.Created = begun
					o.Value = d
				}
			}
		}
		out = append(out, b)
	}
	return out
}

// keepNodes keeps all Nodes where none is left: that is the loss of a
// file and no wish, for nobody takes every node out by forgetting its name. Of
// single ones that are gone it keeps only what they were.
func (k *known) keepNodes(last known) {
	before, now := last.good.Nodes(), k.good.Nodes()
	k.gone = maps.Clone(last.gone)
	if k.gone == nil {
		k.gone = map[string]objects.Node{}
	}
	for _, n := range before {
		k.gone[n.Name] = n
	}
	if len(now) == 0 && len(before) > 0 {
		var kept []objects.Object
		for _, n := range before {
			node := objects.Key{Kind: objects.KindNode, Name: n.Name}
			k.good[node] = n
			kept = append(kept, objects.Object{Key: node})
		}
		k.contents.Problems = append(k.contents.Problems, objects.Problem{Severity: objects.Wrong, Object: names(kept), Message: "no Node is in the input any more: " +
			"what they said last stays in force; put them back, or start again to do without"})
		now = before
	}
	for _, n := range now {
		delete(k.gone, n.Name)
	}
	if _, gone := fillIn(nil, slices.Collect(maps.Values(k.gone)), routes.Settings{}); len(gone) > 0 {
		k.contents.GoneNodes = map[string]routes.Node{}
		for _, n := range gone {
			k.contents.GoneNodes[n.Name] = n
		}
	}
}

// standIn gives the file with the objects of its last version in the place of
// those that are there by the same name and are nothing that Fairway reads: a typo
// in apiVersion or kind is no deletion. One that was there beside them before is
// none.
func (f file) standIn(last *file) file {
	if last == nil || !slices.ContainsFunc(f.Objects, unread) {
		return f
	}
	gone := slices.DeleteFunc(keptObjects(last.Objects, f.Objects), unread)
	f.Objects = slices.Clone(f.Objects)
	for i, o := range f.Objects {
		if !unread(o) || slices.ContainsFunc(last.Objects, func(p objects.Object) bool { return p.Key == o.Key && p.Ignored == o.Ignored }) {
			continue
		}
		meant := slices.IndexFunc(gone, func(p objects.Object) bool { return namedLike(o, p) })
		if meant < 0 {
			continue
		}
		f.Objects[i] = takenFor(o, gone[meant])
		gone = slices.Delete(gone, meant, meant+1)
	}
	return f
}

// unread reports whether an object is of no kind that Fairway reads.
func unread(o objects.Object) bool { return !o.Broken && !objects.IsRead(o.Kind) }

// namedLike reports whether only the kinds of two objects differ. Nobody knows
// whether an unknown kind is in a namespace.
func namedLike(o, p objects.Object) bool {
	return o.Name != "" && o.Name == p.Name && (p.Namespace == "" || o.Namespace == p.Namespace)
}

// takenFor gives an object o that cannot be read in the place of another, p.
func takenFor(o, p objects.Object) objects.Object {
	out := objects.Object{Key: p.Key, Where: o.Where, Kept: true}
	what := o.Ignored
	if what == "" {
		what = o.Kind
	}
	out.Add(objects.Problem{Severity: objects.Wrong, Field: "kind", Value: what, Message: "is nothing that Fairway reads, where " + p.Key.String() +
		" was before: correct apiVersion and kind, or give it another name"})
	return out
}

// keepRoot gives the last files of a path that leads nowhere now. The first of
// them, which has no objects, tells of it.
func (k known) keepRoot(root, why string) []file {
	note := file{Batch: objects.Batch{Name: root, Unread: !k.read[root]}, root: root, lack: why}
	files := []file{note}
	count := 0
	for _, f := range k.files {
		if f.root != root {
			continue
		}
		f.Objects = keptObjects(f.Objects, nil)
		f.Problems = nil
		count += len(f.Objects)
		if count > 0 {
			files = append(files, f)
		}
	}
	message := "cannot be read: " + why
	if count > 0 {
		message += "; " + stay(count) + " in force"
	}
	files[0].Problems = []objects.Problem{{Severity: objects.Wrong, Where: root, Message: message}}
	return files
}

// holds reports whether a path has given any object.
func (k known) holds(root string) bool {
	return slices.ContainsFunc(k.files, func(f file) bool { return f.root == root && len(f.Objects) > 0 })
}

// lacksFiles reports whether a file that has given objects is not among the
// looks, though its folder is there.
func (k known) lacksFiles(looks []look) bool {
	there := map[string]bool{}
	for _, l := range looks {
		there[l.root] = l.err != nil
		for _, s := range l.files {
			there[s.name] = true
		}
	}
	return slices.ContainsFunc(k.files, func(f file) bool {
		return len(f.Objects) > 0 && !there[f.Name] && !there[f.root]
	})
}

// keepMissing adds to a file that is not whole the objects of its last version that are
// missing from it, marked as kept.
func keepMissing(f file, last *file) file {
	if last == nil {
		f.Unread = true
		return f
	}
	f.Unread, f.ended = last.Unread, last.ended
	kept := keptObjects(last.Objects, f.Objects)
	f.Objects = slices.Concat(f.Objects, kept)
	if len(kept) == 0 {
		return f
	}
	message := fmt.Sprintf("%s; of its last good version %s in force: %s", f.lack, stay(len(kept)), names(kept))
	f.Problems = []objects.Problem{{Severity: objects.Wrong, Where: f.Name, Message: message}}
	return f
}

// cutShort is for a file that ends inside a line and did not before: what looks
// like its last object may be the first half of it, with natOutgoing still to
// come.
func (f file) cutShort() file {
	f.cut = true
	f.lack = "ends in the middle of a line, as if half written"
	f.Objects = slices.Clone(f.Objects)
	if n := len(f.Objects); n > 0 && f.Objects[n-1].Kind != "" {
		last := &f.Objects[n-1]
		last.Value, last.Problems = nil, slices.Clone(last.Problems)
		last.Add(objects.Problem{Severity: objects.Wrong, Message: "is the last in a file that ends in the middle of a line, as if half written: add a line end"})
	}
	return f
}

// keptObjects gives the last objects that are not among others, marked as kept.
func keptObjects(last, others []objects.Object) []objects.Object {
	there := map[objects.Key]bool{}
	for _, o := range others {
		there[o.Key] = true
	}
	var kept []objects.Object
	for _, o := range last {
		if o.Kind != "" && !there[o.Key] {
			o.Kept = true
			kept = append(kept, o)
		}
	}
	return kept
}

func stay(n int) string {
	if n == 1 {
		return "1 object stays"
	}
	return fmt.Sprintf("%d objects stay", n)
}

// names lists the first few objects.
func names(some []objects.Object) string {
	const most = 5
	var out []string
	for _, o := range some[:min(most, len(some))] {
		out = append(out, o.Key.String())
	}
	if len(some) > most {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}
