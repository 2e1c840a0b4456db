package files

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

	"github.com/fairway-bgp/fairway/objects"
	"github.com/fairway-bgp/fairway/routes"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Read reads the objects of files and folders, once. A path is a file of
// any name, a folder, or "-" for standard input; of a folder, the files
// *.yaml, *.yml and *.json directly in it count, without hidden ones. The error
// is that of a path that cannot be read at all; whatever else is wrong is among
// the Problems.
func Read(paths []string, settings routes.Settings) (objects.Contents, error) {
	batches, err := ReadBatches(paths)
	if err != nil {
		return objects.Contents{}, err
	}
	c, _ := Assemble(batches, nil, settings)
	return c, nil
}

// ReadBatches is Read for who does something with the objects before they count.
func ReadBatches(paths []string) ([]objects.Batch, error) {
	var batches []objects.Batch
	for _, l := range lookAll(&disk{}, paths, os.Stdin) {
		if l.err != nil {
			return nil, fmt.Errorf("read objects: %w", l.err)
		}
		for _, s := range l.files {
			f := s.file(l.root, nil)
			f.Unread = f.lack != ""
			batches = append(batches, f.Batch)
		}
	}
	return batches, nil
}

// Assemble makes one picture of the batches; what no controller has seen is filled in.
// last are the values to fall back on, nil for none.
func Assemble(batches []objects.Batch, last objects.Good, settings routes.Settings) (objects.Contents, objects.Good) {
	c, values := objects.Assemble(batches, last, notInFiles)
	c.Snapshot = snapshotOfFiles(values, settings)
	return c, values
}

// file is one file of the input.
type file struct {
	objects.Batch
	// root is the path by which it was asked for: its own, or its folder's.
	root string
	// digest tells two versions apart; zero for one that has no text.
	digest [32]byte
	// parsed is what this version holds; the batch's objects are what counts of it.
	parsed []objects.Object
	// lack says why the version is not whole; empty if it is.
	lack string
	// cut is true where the lack is that of a file which is being written.
	cut bool
	// ended is true if the text ends with a line end, or a good version of it did.
	ended bool
}

// notInFiles is what a BGPPeer is told of a Secret that no file has.
func notInFiles(string) error {
	return errors.New("is not in the input: add it, or take passwordSecretRef away")
}

// content is the bytes of one file.
type content struct {
	name string
	data []byte
	err  error
}

// look is what one path of the input leads to.
type look struct {
	root  string
	files []content
	err   error
	// stat is that of the path, behind symlinks; nil for standard input.
	stat os.FileInfo
}

// failed reports whether something that is there could not be read.
func (l look) failed() bool {
	return l.err != nil && !errors.Is(l.err, fs.ErrNotExist) || slices.ContainsFunc(l.files, func(c content) bool {
		return c.err != nil && !errors.Is(c.err, fs.ErrNotExist)
	})
}

// lookAll reads every path; a file that two paths lead to counts for the first
// one only.
func lookAll(d *disk, paths []string, stdin io.Reader) []look {
	seen := map[string]bool{}
	var out []look
	for _, p := range paths {
		var l look
		if p == Stdin {
			data, err := readBounded(stdin, 0)
			l = look{root: p, files: []content{{name: "stdin", data: data}}, err: err}
		} else {
			l = lookAt(d, p)
		}
		l.files = slices.DeleteFunc(l.files, func(s content) bool {
			abs, err := filepath.Abs(s.name)
			again := err == nil && seen[abs]
			seen[abs] = true
			return again
		})
		out = append(out, l)
	}
	return out
}

func lookAt(d *disk, path string) look {
	l := look{root: path}
	stat, err := d.stat(path)
	if err != nil {
		l.err = err
		return l
	}
	l.stat = stat
	if !stat.IsDir() {
		data, err := d.read(path, stat)
		l.files, l.err = []content{{name: path, data: data}}, err
		return l
	}
	entries, err := d.list(path)
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
		stat, err := d.stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && e.Type()&fs.ModeSymlink == 0:
			// Removed since the folder was listed.
		case err != nil:
			l.files = append(l.files, content{name: name, err: err})
		case stat.Mode().IsRegular():
			data, err := d.read(name, stat)
			l.files = append(l.files, content{name, data, err})
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
func (s content) file(root string, last *file) file {
	f := file{Batch: objects.Batch{Name: s.name}, root: root, ended: bytes.HasSuffix(s.data, []byte("\n"))}
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
			f.parsed = objects.Parse(s.name, s.data)
		}
		f.Objects = f.parsed
		if i := slices.IndexFunc(f.parsed, func(o objects.Object) bool { return o.Broken }); i >= 0 {
			f.lack = strings.TrimPrefix(f.parsed[i].Where, s.name+" ") + " cannot be read"
			f.cut = true
		}
		return f
	}
	f.Problems = []objects.Problem{{Severity: objects.Wrong, Where: s.name, Message: f.lack}}
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
