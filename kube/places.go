package kube

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// places are the points of the file system at which a change can change what the
// paths of the input hold.
type places struct {
	// folders are those in which every change counts.
	folders map[string]bool
	// names are files, folders and symlinks of which the appearing, vanishing and
	// replacing counts; their parents are watched for it.
	names map[string]bool
}

// findPlaces looks at the paths of the input as they are now. A path that is not
// there is represented by the first part of it that is missing.
func findPlaces(paths []string) places {
	p := places{folders: map[string]bool{}, names: map[string]bool{}}
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if path == Stdin || err != nil {
			continue
		}
		p.follow(abs)
		entries, err := os.ReadDir(abs)
		if err != nil {
			continue
		}
		p.folders[abs] = true
		for _, e := range entries {
			if e.Type()&fs.ModeSymlink != 0 && holdsObjects(e.Name()) {
				p.follow(filepath.Join(abs, e.Name()))
			}
		}
	}
	return p
}

// follow notes a path, every symlink on the way, and where it ends.
func (p places) follow(path string) {
	// As many symlinks as Linux follows (path_resolution(7)).
	for range 40 {
		p.names[path] = true
		link, target := firstSymlink(path)
		if link == "" {
			p.names[target] = true
			return
		}
		p.names[link] = true
		path = target
	}
}

// firstSymlink gives the first symlink on the way and the path with it resolved;
// without one, "" and the path, cut after the first part that is not there.
func firstSymlink(path string) (link, resolved string) {
	at := "/"
	rest := strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
	for i, part := range rest {
		at = filepath.Join(at, part)
		target, err := os.Readlink(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", at
		case err != nil:
			// Not a symlink.
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(at), target)
		}
		return at, filepath.Join(append([]string{target}, rest[i+1:]...)...)
	}
	return "", at
}

// watched gives the folders to watch. Parents that are not there are left out:
// a name nearer to the root stands for them.
func (p places) watched() []string {
	set := map[string]bool{}
	for f := range p.folders {
		set[f] = true
	}
	for n := range p.names {
		if stat, err := os.Stat(filepath.Dir(n)); err == nil && stat.IsDir() {
			set[filepath.Dir(n)] = true
		}
	}
	var out []string
	for f := range set {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// concerns reports whether an event may have changed what the paths hold.
func (p places) concerns(e fsnotify.Event) bool {
	if p.folders[filepath.Dir(e.Name)] || p.names[e.Name] {
		return true
	}
	// A folder above one of the names, itself renamed or removed.
	for n := range p.names {
		if strings.HasPrefix(n, e.Name+"/") {
			return true
		}
	}
	return false
}
