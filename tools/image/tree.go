package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// tree is the files of a layer by their path, which has no slash at its beginning. The
// same files make the same bytes, in whatever order they came.
type tree map[string]entry

// entry is one file, folder or link.
type entry struct {
	header tar.Header
	body   []byte
}

// merged are folders that Debian has moved below usr, with links in their place.
func merged() []string { return []string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"} }

// belowUsr gives a path as it is with the folders merged.
func belowUsr(name string) string {
	first, _, _ := strings.Cut(name, "/")
	if slices.Contains(merged(), first) {
		return "usr/" + name
	}
	return name
}

// useless reports whether no program reads the file: pages for people, other languages.
// Licences stay.
func useless(name string) bool {
	if strings.HasPrefix(name, "usr/share/doc/") {
		return path.Base(name) != "copyright"
	}
	for _, folder := range []string{"usr/share/bash-completion/", "usr/share/bug/", "usr/share/info/", "usr/share/lintian/", "usr/share/locale/", "usr/share/man/", "usr/share/doc-base/", "usr/share/initramfs-tools/", "etc/init.d/", "usr/lib/systemd/"} {
		if strings.HasPrefix(name, folder) || name+"/" == folder {
			return true
		}
	}
	return false
}

// addTar adds the files of a tar stream that are of use.
func (t tree) addTar(stream []byte) error {
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := belowUsr(strings.TrimPrefix(path.Clean("/"+h.Name), "/"))
		if name == "" || name == "usr" || h.Typeflag == tar.TypeDir || useless(name) {
			continue // folders are made for what is in them
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if _, twice := t[name]; twice {
			return fmt.Errorf("%s is there twice", name)
		}
		e := entry{header: tar.Header{Typeflag: h.Typeflag, Mode: h.Mode & 0o7777, Linkname: h.Linkname, Size: int64(len(body))}, body: body}
		if h.Typeflag == tar.TypeLink { // it would have to come after what it is a link to
			e.header.Typeflag, e.header.Linkname = tar.TypeSymlink, "/"+belowUsr(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"))
		}
		t[name] = e
	}
}

// addFile adds a file.
func (t tree) addFile(name string, mode int64, body []byte) {
	t[name] = entry{header: tar.Header{Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(body))}, body: body}
}

// addLink adds a symbolic link.
func (t tree) addLink(name, target string) {
	t[name] = entry{header: tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: target}}
}

// addFolder adds a folder with nothing in it yet.
func (t tree) addFolder(name string, mode int64) {
	t[name] = entry{header: tar.Header{Typeflag: tar.TypeDir, Mode: mode}}
}

// tar gives the layer: folders before what is in them, everything of user 0, and of one
// time.
func (t tree) tar(at time.Time) ([]byte, error) {
	all := maps.Clone(t)
	for name := range t {
		for up := path.Dir(name); up != "."; up = path.Dir(up) {
			if _, there := all[up]; !there {
				all[up] = entry{header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}}
			}
		}
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e := all[name]
		e.header.Name, e.header.ModTime, e.header.Format = name, at, tar.FormatPAX
		if e.header.Typeflag == tar.TypeDir {
			e.header.Name += "/"
		}
		if err := w.WriteHeader(&e.header); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if _, err := w.Write(e.body); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// has reports whether there is such a file, or one below it.
func (t tree) has(name string) bool {
	if _, there := t[name]; there {
		return true
	}
	for other := range t {
		if strings.HasPrefix(other, name+"/") {
			return true
		}
	}
	return false
}
