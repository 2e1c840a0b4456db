// Package replace puts a file in the place of another so that whoever reads it,
// also after the machine lost power, finds the old one or the new one, whole. It
// serves what must outlive its process, and knows no other room.
package replace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// File replaces the file at path by one with these contents and permissions, or
// makes it; its folder must be there. Until it is done the new one lies beside the
// old by a name that begins with a dot. After an error the old one is as it was,
// unless only the folder could not be synced.
func File(path string, contents []byte, mode fs.FileMode) (err error) {
	folder, name := filepath.Split(path)
	f, err := os.CreateTemp(filepath.Clean(folder), "."+name+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name()) // which is not there after the rename
		}
	}()
	_, err = f.Write(contents)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Clean(folder))
}

// syncFolder brings a rename to the disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
