package kube

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/routes"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// ReadFiles reads the objects of files and folders, once. A path is a file of
// any name, a folder, or "-" for standard input; of a folder, the files
// *.yaml, *.yml and *.json directly in it count, without hidden ones. The error
// is that of a path that cannot be read at all; whatever else is wrong is among
// the Problems.
func ReadFiles(paths []string, settings routes.Settings) (Contents, error) {
	var files []file
	for _, l := range lookAll(paths, os.Stdin) {
		if l.err != nil {
			return Contents{}, fmt.Errorf("read objects: %w", l.err)
		}
		for _, s := range l.sources {
			files = append(files, s.file(l.root, nil))
		}
	}
	for i := range files {
		files[i].unread = files[i].lack != ""
	}
	c, values := assemble(files, nil)
	c.Snapshot = snapshotOfFiles(values, settings)
	return c, nil
}

// source is the bytes of one file.
type source struct {
	name string
	data []byte
	err  error
}

// look is what one path of the input leads to.
type look struct {
	root    string
	sources []source
	err     error
	// stat is that of the path, behind symlinks; nil for standard input.
	stat os.FileInfo
}

// lookAll reads every path; a file that two paths lead to counts for the first
// one only.
func lookAll(paths []string, stdin io.Reader) []look {
	seen := map[string]bool{}
	var out []look
	for _, p := range paths {
		var l look
		if p == Stdin {
			data, err := io.ReadAll(stdin)
			l = look{root: p, sources: []source{{name: "stdin", data: data}}, err: err}
		} else {
			l = lookAt(p)
		}
		l.sources = slices.DeleteFunc(l.sources, func(s source) bool {
			abs, err := filepath.Abs(s.name)
			again := err == nil && seen[abs]
			seen[abs] = true
			return again
		})
		out = append(out, l)
	}
	return out
}

func lookAt(path string) look {
	l := look{root: path}
	stat, err := os.Stat(path)
	if err != nil {
		l.err = err
		return l
	}
	l.stat = stat
	if !stat.IsDir() {
		data, err := os.ReadFile(path)
		l.sources, l.err = []source{{name: path, data: data}}, err
		return l
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		l.err = err
		return l
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if !holdsObjects(e.Name()) {
			continue
		}
		// Stat follows the symlinks that a mounted ConfigMap is made of.
		stat, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink == 0:
			// Removed since the folder was listed.
		case err != nil:
			l.sources = append(l.sources, source{name: name, err: err})
		case stat.Mode().IsRegular():
			data, err := os.ReadFile(name)
			l.sources = append(l.sources, source{name, data, err})
		}
	}
	return l
}

// holdsObjects judges a file by its name. What editors leave behind is hidden
// (.#x.yaml, .x.yaml.swp) or has another ending (x.yaml~).
func holdsObjects(name string) bool {
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return !strings.HasPrefix(name, ".")
	}
	return false
}

// file parses what was read, unless last is the same version.
func (s source) file(root string, last *file) file {
	f := file{root: root, name: s.name, ended: bytes.HasSuffix(s.data, []byte("\n"))}
	switch {
	case s.err != nil:
		f.lack = "cannot be read: " + cause(s.err)
	case len(bytes.TrimSpace(s.data)) == 0:
		f.lack = "is empty"
	case notUTF8(s.data):
		f.lack = "is not UTF-8, but looks like UTF-16: save it as UTF-8"
	default:
		f.digest = sha256.Sum256(s.data)
		if last != nil && last.digest == f.digest {
			f.parsed = last.parsed
		} else {
			f.parsed = parse(s.name, s.data)
		}
		f.objects = f.parsed
		if i := slices.IndexFunc(f.parsed, func(o object) bool { return o.torn }); i >= 0 {
			f.lack = strings.TrimPrefix(f.parsed[i].where, s.name+" ") + " cannot be read"
		}
		return f
	}
	f.problems = []Problem{{Severity: Wrong, Where: s.name, Message: f.lack}}
	return f
}

// notUTF8 reports whether text is in another encoding of Unicode, by its byte
// order mark or, without one, its NUL bytes: YAML has none. The YAML parser reads
// UTF-16, but the cutting into documents before it does not.
func notUTF8(data []byte) bool {
	return bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) || bytes.IndexByte(data, 0) >= 0
}

// cause gives an error without the path, which stands before it already.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
