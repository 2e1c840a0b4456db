package enforce

import (
	"maps"
	"reflect"
	"slices"

	"github.com/fairway-bgp/fairway/host"
)

// This file answers: has a look been at just this before, and found that nothing had to
// be done?

// look is one that found nothing to do, and what it was about.
type look struct {
	steady   host.Steady
	want     host.Want
	datapath host.Datapath
	settings map[string]host.Setting
}

// askState is the state of what a look looks at; none where it cannot be told.
func askState(w host.Want, whole bool) host.FilterState {
	ask := host.AskFilter
	if !whole {
		ask = func() (host.FilterState, error) { return host.AskForwarding(families(w, false)...) }
	}
	state, _ := ask() // what cannot be told is looked at
	return state
}

// holds reports whether a look now would find what that one found.
func (l *look) holds(now host.FilterState, e *Enforcer, w host.Want) bool {
	return l != nil && l.steady.Holds(now) && l.about(e, w)
}

// about is whether the look was for this Want, with the facts that are taken for granted.
func (l *look) about(e *Enforcer, w host.Want) bool {
	return sameWant(l.want, w) && reflect.DeepEqual(l.datapath, e.datapath) && sameSettings(l.settings, e.settings)
}

// sameSettings compares settings, but for how full the connection table is.
func sameSettings(a, b map[string]host.Setting) bool {
	for key := range a {
		if key != host.ConntrackCount && a[key] != b[key] && !(a[key].Err != nil && b[key].Err != nil) {
			return false
		}
	}
	return slices.Equal(slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
}

// noteLook takes in a look; after one that had to do something, or could not, nothing is
// known.
func (e *Enforcer) noteLook(whole bool, before host.FilterState, w host.Want, f *host.Filter, busy bool) {
	l := e.looks[whole]
	if busy || l != nil && !l.about(e, w) {
		delete(e.looks, whole)
		l = nil
	}
	if busy {
		return
	}
	if l == nil {
		l = &look{want: w, datapath: e.datapath, settings: e.settings}
	}
	note := l.steady.Note
	if !whole {
		note = l.steady.NoteForwarding
	}
	note(before, askState(w, whole), f)
	if e.looks == nil {
		e.looks = map[bool]*look{}
	}
	e.looks[whole] = l
}
