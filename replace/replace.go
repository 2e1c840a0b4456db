// Package replace puts a file in the place of another so that whoever reads it,
// also after the machine lost power, finds the old one or the new one, whole. It
// serves what must outlive its process, and knows no other room.
package replace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File replaces the file at path by one with these contents and permissions, or
// makes it; its folder must be there. Until it is done the new one lies beside the
// old by a name that begins with a dot. After an error the old one is as it was,
// unless only the folder could not be synced. The error names path, never the
// other name, so that the same fault has the same words each time.
func File(path string, contents []byte, mode fs.FileMode) error {
	return Write(path, mode, func(w io.Writer) error {
		_, err := w.Write(contents)
		return err
	})
}

// Write is File with contents that write writes.
func Write(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("replace %s: %w", path, cause(err))
		}
	}()
	folder, name := filepath.Split(path)
	folder = filepath.Clean(folder)
	f, err := os.CreateTemp(folder, prefix(name)+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name()) // which is not there after the rename
		}
	}()
	if err = write(f); err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// Sweep removes what a writer of the file at path has left beside it because it was
// killed. Nobody may be writing it.
func Sweep(path string) error {
	folder, name := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix(name)) && e.Type().IsRegular() {
			errs = append(errs, os.Remove(filepath.Join(folder, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// prefix begins the name of what is to replace a file.
func prefix(name string) string { return "." + name + "-" }

// cause is an error without the names of the files that it is about.
func cause(err error) error {
	var ofPath *fs.PathError
	var ofLink *os.LinkError
	switch {
	case errors.As(err, &ofPath):
		return ofPath.Err
	case errors.As(err, &ofLink):
		return ofLink.Err
	}
	return err
}

// syncFolder brings a rename to the disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
