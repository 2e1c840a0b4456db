package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-bgp/fairway/routes"
)

// view is what a watch knows after one look at its paths.
type view struct {
	files []file
	// read holds the paths that could be read at least once.
	read     map[string]bool
	standing standing
	// since is when each object was first there, zero for what the first look saw.
	since map[key]time.Time
	// gone are the Nodes that were there once.
	gone     map[string]nodeDraft
	contents Contents
}

// next gives the view after another look. What cannot be read keeps what it gave
// last: unknown is not empty. A file that is gone from a folder which is still
// there has been deleted on purpose, and takes its objects with it.
func (v view) next(looks []look, settings routes.Settings, now time.Time) view {
	out := view{read: map[string]bool{}}
	last := map[string]*file{}
	for i, f := range v.files {
		last[f.name] = &v.files[i]
	}
	for _, l := range looks {
		out.read[l.root] = v.read[l.root] || l.err == nil
		if l.err != nil {
			out.files = append(out.files, v.keepRoot(l.root, cause(l.err))...)
			continue
		}
		for _, s := range l.sources {
			f := s.file(l.root, last[s.name]).standIn(last[s.name])
			if f.lack == "" && !f.ended && last[s.name] != nil && last[s.name].ended {
				f = f.cutShort()
			}
			if f.lack != "" {
				f = hold(f, last[s.name])
			}
			out.files = append(out.files, f)
		}
	}
	out.since = v.seen(out.files, now)
	out.contents, out.standing = assemble(dated(out.files, out.since), v.standing)
	out.keepNodes(v)
	out.contents.Snapshot = snapshotOfFiles(out.standing, settings)
	stampSince(out.contents.Problems, v.contents.Problems, now)
	return out
}

// seen says since when each object has been there.
func (v view) seen(files []file, now time.Time) map[key]time.Time {
	since := map[key]time.Time{}
	for _, f := range files {
		for _, o := range f.objects {
			if t, known := v.since[o.key]; known {
				since[o.key] = t
			} else if v.since != nil {
				since[o.key] = now.UTC()
			} else {
				since[o.key] = time.Time{}
			}
		}
	}
	return since
}

// dated gives the files with a date for objects that have no creationTimestamp: who
// comes later is younger, whatever its name, and takes nothing from one that is in
// force.
func dated(files []file, since map[key]time.Time) []file {
	files = copyObjects(files)
	for _, f := range files {
		for i := range f.objects {
			o := &f.objects[i]
			switch d := o.value.(type) {
			case subnetDraft:
				if d.Created.IsZero() {
					d.Created = since[o.key]
					o.value = d
				}
			case peerDraft:
				if d.Created.IsZero() {
					d.Created = since[o.key]
					o.value = d
				}
			}
		}
	}
	return files
}

// keepNodes keeps all Nodes in force where none is left: that is the loss of a
// file and no wish, for nobody takes every node out by forgetting its name. Of
// single ones that are gone it keeps only what they were.
func (v *view) keepNodes(last view) {
	before, now := last.standing.drafts().nodes, v.standing.drafts().nodes
	v.gone = maps.Clone(last.gone)
	if v.gone == nil {
		v.gone = map[string]nodeDraft{}
	}
	for _, n := range before {
		v.gone[n.Name] = n
	}
	if len(now) == 0 && len(before) > 0 {
		var kept []object
		for _, n := range before {
			k := key{kind: kindNode, name: n.Name}
			v.standing[k] = n
			kept = append(kept, object{key: k})
		}
		v.contents.Problems = append(v.contents.Problems, Problem{Severity: Wrong, Object: names(kept), Message: "no Node is in the input any more: " +
			"what they said last stays in force; put them back, or start again to do without"})
		now = before
	}
	for _, n := range now {
		delete(v.gone, n.Name)
	}
	if _, gone := fillIn(nil, slices.Collect(maps.Values(v.gone)), routes.Settings{}); len(gone) > 0 {
		v.contents.GoneNodes = map[string]routes.Node{}
		for _, n := range gone {
			v.contents.GoneNodes[n.Name] = n
		}
	}
}

// standIn gives the file with the objects of its last version in the place of
// those that are there by the same name and are nothing that Fairway reads: a typo
// in apiVersion or kind is no deletion. One that was there beside them before is
// none.
func (f file) standIn(last *file) file {
	if last == nil || !slices.ContainsFunc(f.objects, object.unread) {
		return f
	}
	gone := slices.DeleteFunc(keptObjects(last.objects, f.objects), object.unread)
	f.objects = slices.Clone(f.objects)
	for i, o := range f.objects {
		if !o.unread() || slices.ContainsFunc(last.objects, func(p object) bool { return p.key == o.key && p.ignored == o.ignored }) {
			continue
		}
		meant := slices.IndexFunc(gone, o.namedLike)
		if meant < 0 {
			continue
		}
		f.objects[i] = o.takenFor(gone[meant])
		gone = slices.Delete(gone, meant, meant+1)
	}
	return f
}

// unread reports whether an object is of no kind that Fairway reads.
func (o object) unread() bool { return !o.torn && !isRead(o.kind) }

// namedLike reports whether only the kinds of two objects differ. Nobody knows
// whether an unknown kind is in a namespace.
func (o object) namedLike(p object) bool {
	return o.name != "" && o.name == p.name && (p.namespace == "" || o.namespace == p.namespace)
}

// takenFor gives an object that cannot be read in the place of another.
func (o object) takenFor(p object) object {
	out := object{key: p.key, where: o.where, kept: true}
	what := o.ignored
	if what == "" {
		what = o.kind
	}
	out.add(Problem{Severity: Wrong, Field: "kind", Value: shown(what), Message: "is nothing that Fairway reads, where " + p.key.String() +
		" was before: correct apiVersion and kind, or give it another name"})
	return out
}

// keepRoot gives the last files of a path that leads nowhere now. The first of
// them, which has no objects, tells of it.
func (v view) keepRoot(root, why string) []file {
	note := file{root: root, name: root, lack: why, unread: !v.read[root]}
	files := []file{note}
	count := 0
	for _, f := range v.files {
		if f.root != root {
			continue
		}
		f.objects = keptObjects(f.objects, nil)
		f.problems = nil
		count += len(f.objects)
		if count > 0 {
			files = append(files, f)
		}
	}
	message := "cannot be read: " + why
	if count > 0 {
		message += "; " + stay(count) + " in force"
	}
	files[0].problems = []Problem{{Severity: Wrong, Where: root, Message: message}}
	return files
}

// holds reports whether a path has given any object.
func (v view) holds(root string) bool {
	return slices.ContainsFunc(v.files, func(f file) bool { return f.root == root && len(f.objects) > 0 })
}

// lacksFiles reports whether a file that has given objects is not among the
// looks, though its folder is there.
func (v view) lacksFiles(looks []look) bool {
	there := map[string]bool{}
	for _, l := range looks {
		there[l.root] = l.err != nil
		for _, s := range l.sources {
			there[s.name] = true
		}
	}
	return slices.ContainsFunc(v.files, func(f file) bool {
		return len(f.objects) > 0 && !there[f.name] && !there[f.root]
	})
}

// hold adds to a file that is not whole the objects of its last version that are
// missing from it.
func hold(f file, last *file) file {
	if last == nil {
		f.unread = true
		return f
	}
	f.unread, f.ended = last.unread, last.ended
	kept := keptObjects(last.objects, f.objects)
	f.objects = slices.Concat(f.objects, kept)
	if len(kept) == 0 {
		return f
	}
	message := fmt.Sprintf("%s; of its last good version %s in force: %s", f.lack, stay(len(kept)), names(kept))
	f.problems = []Problem{{Severity: Wrong, Where: f.name, Message: message}}
	return f
}

// cutShort is for a file that ends inside a line and did not before: what looks
// like its last object may be the first half of it, with natOutgoing still to
// come.
func (f file) cutShort() file {
	f.lack = "ends in the middle of a line, as if half written"
	f.objects = slices.Clone(f.objects)
	if n := len(f.objects); n > 0 && f.objects[n-1].kind != "" {
		last := &f.objects[n-1]
		last.value, last.problems = nil, slices.Clone(last.problems)
		last.add(Problem{Severity: Wrong, Message: "is the last in a file that ends in the middle of a line, as if half written: add a line end"})
	}
	return f
}

// keptObjects marks the objects that are not among others as kept.
func keptObjects(objects, others []object) []object {
	there := map[key]bool{}
	for _, o := range others {
		there[o.key] = true
	}
	var kept []object
	for _, o := range objects {
		if o.kind != "" && !there[o.key] {
			o.kept = true
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
func names(objects []object) string {
	const most = 5
	var out []string
	for _, o := range objects[:min(most, len(objects))] {
		out = append(out, o.key.String())
	}
	if len(objects) > most {
		out = append(out, "…")
	}
	return strings.Join(out, ", ")
}

// stampSince dates problems: one with the same field of the same object, or the
// same document, as before keeps its date, whatever it says now.
func stampSince(problems, before []Problem, now time.Time) {
	same := func(p Problem) Problem {
		p.Since, p.Value, p.Message = time.Time{}, "", ""
		if p.Object != "" {
			p.Where = ""
		}
		return p
	}
	since := map[Problem]time.Time{}
	for _, p := range before {
		since[same(p)] = p.Since
	}
	for i, p := range problems {
		problems[i].Since = now
		if t, ok := since[same(p)]; ok {
			problems[i].Since = t
		}
	}
}
