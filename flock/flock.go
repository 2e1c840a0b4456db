// Package flock locks files (flock(2)), so that processes know of each other; the
// kernel frees a lock with its process, however that ends. It knows no other room.
package flock

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock locks a file of a folder, for root alone, and makes both where there are none.
// how is unix.LOCK_EX or LOCK_SH; with LOCK_NB the error is unix.EWOULDBLOCK where
// another has it. To close the file is to unlock it.
func Lock(folder, name string, how int) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
