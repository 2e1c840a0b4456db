package enforce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/fairway-bgp/fairway/flock"
	"github.com/fairway-bgp/fairway/host/netfilter"
	"github.com/fairway-bgp/fairway/replace"
)

// ledger is what we changed on the host and how it was before: the file that Undo
// works from, such as net.ipv4.ip_forward, old 0, new 1. It is written before the
// change, so that a crash in between loses nothing.
type ledger struct {
	Sysctls map[string]sysctlEntry `json:"sysctls"`
	// Made are base chains of nftables that were not there before our jump.
	Made []madeChain `json:"made,omitempty"`
}

// madeChain is a base chain that enforcing made, and maybe its table too.
type madeChain struct {
	Family netfilter.Family `json:"family"`
	Table  string           `json:"table"`
	Chain  string           `json:"chain"`
	// Own is the chain of ours that is jumped to.
	Own string `json:"own"`
	// Alone is set where the table was made too.
	Alone bool `json:"alone,omitempty"`
}

type sysctlEntry struct {
	Old string `json:"old"`
	New string `json:"new"`
	// Due is set while old values are being written back: then Old counts, whatever
	// the setting holds by now. Writing ip_forward changes the forwarding of each
	// link along, so after the first write nothing tells ours from theirs.
	Due bool `json:"due,omitempty"`
}

// ledgerName is the ledger's file in the state folder.
const ledgerName = "host-ledger.json"

func readLedger(folder string) (ledger, error) {
	l := ledger{Sysctls: map[string]sysctlEntry{}}
	b, err := os.ReadFile(filepath.Join(folder, ledgerName))
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("read the ledger: %w", err)
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("read the ledger %s: %w", filepath.Join(folder, ledgerName), err)
	}
	if l.Sysctls == nil {
		l.Sysctls = map[string]sysctlEntry{}
	}
	return l, nil
}

// write replaces the file at once; only its owner may read it. An empty ledger
// is none. Whoever writes holds the folder's lock, so that what lies beside it
// was left by a process that was killed.
func (l ledger) write(folder string) error {
	if len(l.Sysctls) == 0 && len(l.Made) == 0 {
		if err := os.Remove(filepath.Join(folder, ledgerName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the ledger: %w", err)
		}
		return nil
	}
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	path := filepath.Join(folder, ledgerName)
	if err := errors.Join(replace.Sweep(path), replace.File(path, append(b, '\n'), 0o600)); err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}

// lockName is the file that keeps two daemons, or a daemon and `check --fix`,
// from working on the host at once.
const lockName = "host.lock"

// lock waits for the folder's lock. The kernel frees it with the process.
func lock(folder string) (unlock func(), err error) {
	return lockFile(folder, lockName, unix.LOCK_EX)
}

// enforcingLockName is the file that a Keeper has locked as long as it enforces.
const enforcingLockName = "enforcing.lock"

// ErrKept says that taking back is of no use: a daemon would put everything on
// the host again at once.
var ErrKept = errors.New("the daemon on this node enforces: start it with --host=off, which takes everything back")

// holdEnforcing says to others that a Keeper enforces, until release or the end of
// the process, however it ends. Several may, so the lock is shared.
func holdEnforcing(folder string) (release func(), err error) {
	return lockFile(folder, enforcingLockName, unix.LOCK_SH)
}

// requireNotEnforcing makes sure that no Keeper enforces until release, or gives
// ErrKept.
func requireNotEnforcing(folder string) (release func(), err error) {
	release, err = lockFile(folder, enforcingLockName, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrKept
	}
	return release, err
}

// lockFile locks a file of the folder, made where there is none.
func lockFile(folder, name string, how int) (unlock func(), err error) {
	f, err := flock.Lock(folder, name, how)
	if err != nil {
		return nil, fmt.Errorf("lock the host: %w%s", err, wayOut(err))
	}
	return func() { f.Close() }, nil
}

// wayOut says what to do where the folder of state cannot be written.
func wayOut(err error) string {
	switch {
	case errors.Is(err, unix.EROFS):
		return "; name a folder that can be written, and stays, with --host-state"
	case errors.Is(err, fs.ErrPermission):
		return "; run it as root"
	}
	return ""
}
