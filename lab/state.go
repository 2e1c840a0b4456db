package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stateMark is the file that makes a folder the state folder of the lab whose
// prefix it holds. Without it nothing in a folder is ever removed: the folder's
// name comes from a command line.
const stateMark = ".fairway-lab"

// claim makes the state folder. Only one program can make it, so of two that
// start the same lab at once, one gets no further and touches nothing.
func (l *Lab) claim() error {
	if err := os.MkdirAll(filepath.Dir(l.State), 0o755); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	err := os.Mkdir(l.State, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return l.leftover(l.State)
	}
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(l.State, stateMark), []byte(l.Prefix), 0o644); err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}

// removeState removes the state folder, its mark last, so that what an
// interruption leaves is still known as a lab's. An empty folder without a mark
// is one whose claim was interrupted.
func (o Options) removeState() error {
	entries, err := os.ReadDir(o.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the state folder: %w", err)
	}
	mark := filepath.Join(o.State, stateMark)
	owner, err := os.ReadFile(mark)
	if len(entries) > 0 && (err != nil || string(owner) != o.Prefix && len(owner) > 0) {
		return fmt.Errorf("remove the state folder: %s is not that of the lab %s, it stays", o.State, o.Prefix)
	}
	for _, e := range entries {
		if e.Name() == stateMark {
			continue
		}
		if err := os.RemoveAll(filepath.Join(o.State, e.Name())); err != nil {
			return fmt.Errorf("remove the state folder: %w", err)
		}
	}
	if err := os.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the state folder: %w", err)
	}
	if err := os.Remove(o.State); err != nil {
		return fmt.Errorf("remove the state folder: %w", err)
	}
	return nil
}
