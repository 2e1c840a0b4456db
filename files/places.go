package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// place is where a path of the input leads, and the points of the file system at
// which a change can change what is there. All names are absolute and free of
// symlinks but for their last part, as those of the kernel's events then are.
type place struct {
	path string
	// folder is that which the path leads to, if it is one; every change in it
	// counts.
	folder string
	// way holds every symlink on the way to the path, and its end.
	way map[string]bool
	// links holds the same for files in the folder that are symlinks.
	links map[string]bool
}

// findPlaces looks at the paths of the input as they are now. The end of one that
// is not there is the first part of it that is missing.
func findPlaces(paths []string) []place {
	var places []place
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if path == Stdin || err != nil {
			continue
		}
		p := place{path: path, way: map[string]bool{}, links: map[string]bool{}}
		end := follow(abs, p.way)
		if entries, err := os.ReadDir(end); err == nil {
			p.folder = end
			for _, e := range entries {
				if e.Type()&fs.ModeSymlink != 0 && holdsObjects(e.Name()) {
					follow(filepath.Join(end, e.Name()), p.links)
				}
			}
		}
		places = append(places, p)
	}
	return places
}

// follow notes every symlink on the way along a path, and where it ends.
func follow(path string, way map[string]bool) (end string) {
	// As many symlinks as Linux follows (path_resolution(7)).
	for range 40 {
		link, target := firstSymlink(path)
		if link == "" {
			path = target
			break
		}
		way[link] = true
		path = target
	}
	way[path] = true
	return path
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

// toWatch gives the folders to watch for the places, sorted: a name's appearing,
// vanishing and replacing is an event of its parent. What is not there is left
// out.
func toWatch(places []place) []string {
	var folders []string
	for _, p := range places {
		if p.folder != "" {
			folders = append(folders, p.folder)
		}
		for _, names := range []map[string]bool{p.way, p.links} {
			for n := range names {
				if stat, err := os.Stat(filepath.Dir(n)); err == nil && stat.IsDir() {
					folders = append(folders, filepath.Dir(n))
				}
			}
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders)
}

// concerns reports whether an event may have changed what the path holds.
func (p place) concerns(e fsnotify.Event) bool {
	return p.folder != "" && p.folder == filepath.Dir(e.Name) || p.moved(e) || touches(e, p.links)
}

// moved reports whether an event is about the way to the path.
func (p place) moved(e fsnotify.Event) bool { return touches(e, p.way) }

// touches reports whether an event is about one of the names, or a folder above.
func touches(e fsnotify.Event, names map[string]bool) bool {
	if names[e.Name] {
		return true
	}
	for n := range names {
		if strings.HasPrefix(n, e.Name+"/") {
			return true
		}
	}
	return false
}
