package enforce

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fairway-bgp/fairway/host"
)

// setSysctls writes settings, each with its old value in the ledger first, and
// with it what the kernel changes along. A value of ours that is already there
// keeps the older one.
func (e *Enforcer) setSysctls(changes []host.SysctlChange) error {
	if len(changes) == 0 {
		return nil
	}
	l, err := readLedger(e.State)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range changes {
		errs = append(errs, e.setSysctl(&l, c))
	}
	return errors.Join(errs...)
}

// setSysctl writes one setting. What could not be written leaves no entry: to restore it
// some day would take back what somebody else has written by then.
func (e *Enforcer) setSysctl(l *ledger, c host.SysctlChange) error {
	before := maps.Clone(l.Sysctls)
	for _, touched := range append(changedAlong(c), c) {
		now := host.ReadSysctl(touched.Key)
		switch {
		case now.Err == nil:
			l.note(touched, now.Value)
		case touched == c || !errors.Is(now.Err, fs.ErrNotExist): // else a link that has just gone
			return now.Err
		}
	}
	if err := l.write(e.State); err != nil {
		return err // without a way back there is no way there
	}
	err := e.writeSysctl(c.Key, c.Value)
	if err != nil && host.ReadSysctl(c.Key).Value != c.Value {
		l.Sysctls = before
		err = errors.Join(err, l.write(e.State))
	}
	return err
}

// note remembers a setting that is about to change.
func (l ledger) note(c host.SysctlChange, now string) {
	entry, ours := l.Sysctls[c.Key]
	if !ours {
		entry.Old = now
	}
	entry.New = c.Value
	l.Sysctls[c.Key] = entry
}

// The settings that the kernel gives to every link when they are written.
const (
	forwardAll4 = "net/ipv4/ip_forward"
	forwardAll6 = "net/ipv6/conf/all/forwarding"
)

// changedAlong is what the kernel changes by itself when a setting is written:
// forwarding of everything is forwarding of each link and of those to come, and
// a router of IPv4 takes no redirects (inet_forward_change in net/ipv4/devinet.c,
// addrconf_fixup_forwarding in net/ipv6/addrconf.c). Back again it does the same,
// whatever each link had.
func changedAlong(c host.SysctlChange) []host.SysctlChange {
	var out []host.SysctlChange
	for _, key := range linksForwarding(c.Key) {
		out = append(out, host.SysctlChange{Key: key, Value: c.Value})
	}
	if c.Key == forwardAll4 {
		out = append(out, host.SysctlChange{Key: "net/ipv4/conf/all/accept_redirects", Value: "0"}) // for it is only ever set to 1
	}
	return out
}

// linksForwarding are the settings that follow one of everything; none for
// another setting.
func linksForwarding(key string) []string {
	paths, _ := filepath.Glob(filepath.Join(host.SysctlRoot, followersOf(key), "*/forwarding")) // the pattern is good
	var out []string
	for _, path := range paths {
		// ip_forward is conf/all/forwarding of IPv4 by another name.
		if key, err := filepath.Rel(host.SysctlRoot, path); err == nil && !strings.HasSuffix(key, "/all/forwarding") {
			out = append(out, key)
		}
	}
	return out
}

// followersOf is the folder of the links that a setting of everything is for; one
// that is not there for another setting.
func followersOf(key string) string {
	switch key {
	case forwardAll4:
		return "net/ipv4/conf"
	case forwardAll6:
		return "net/ipv6/conf"
	}
	return "none"
}

func (e *Enforcer) writeSysctl(key, value string) error {
	if err := os.WriteFile(filepath.Join(cmp.Or(e.Sysctls, host.SysctlRoot), key), []byte(value), 0o644); err != nil {
		return fmt.Errorf("write sysctl %s=%s: %w", key, value, err)
	}
	return nil
}

// restoreSysctls writes the old values back, but not where somebody has changed a
// value after us, who wants it so. What is to be written is decided, and in the
// ledger, before the first is written, for that one may change others (ip_forward
// changes each link's forwarding).
func (e *Enforcer) restoreSysctls() (restored []string, err error) {
	l, err := readLedger(e.State)
	if err != nil || len(l.Sysctls) == 0 {
		return nil, err
	}
	unread := l.planRestore()
	if err := l.write(e.State); err != nil {
		return nil, errors.Join(unread, err)
	}
	restored, err = e.writeDue(l)
	return restored, errors.Join(unread, err)
}

// finishRestoring ends what an Undo had begun that was killed.
func (e *Enforcer) finishRestoring() error {
	l, err := readLedger(e.State)
	if err != nil {
		return err
	}
	for _, entry := range l.Sysctls {
		if entry.Due {
			_, err := e.writeDue(l)
			return err
		}
	}
	return nil
}

// planRestore makes every setting due that can be read: with the old value where
// ours is still there, else with the one that is there, which then stays.
func (l ledger) planRestore() error {
	var errs []error
	for _, key := range restoreOrder(l.Sysctls) {
		entry, now := l.Sysctls[key], host.ReadSysctl(key)
		switch {
		case entry.Due:
		case errors.Is(now.Err, fs.ErrNotExist):
			delete(l.Sysctls, key) // the link is gone
		case now.Err != nil:
			errs = append(errs, now.Err)
		default:
			l.addNewLinks(key, now.Value)
			l.Sysctls[key] = entry.restoring(now.Value)
		}
	}
	return errors.Join(errs...)
}

// restoring is the entry as it is due, where the setting holds now.
func (e sysctlEntry) restoring(now string) sysctlEntry {
	if now != e.New {
		e.Old = now
	}
	e.Due = true
	return e
}

// addNewLinks adds the links that were made since: they have what new links
// got because of us, and would else have got what new links got before.
func (l ledger) addNewLinks(global, now string) {
	if now != l.Sysctls[global].New {
		return // it stays, and so do they
	}
	fresh, known := l.Sysctls[followersOf(global)+"/default/forwarding"]
	for _, key := range linksForwarding(global) {
		now := host.ReadSysctl(key)
		if _, listed := l.Sysctls[key]; known && !listed && now.Err == nil {
			l.Sysctls[key] = fresh.restoring(now.Value)
		}
	}
}

// writeDue writes what is due and takes it out of the ledger.
func (e *Enforcer) writeDue(l ledger) (written []string, err error) {
	var errs []error
	for _, key := range restoreOrder(l.Sysctls) {
		entry, now := l.Sysctls[key], host.ReadSysctl(key)
		if !entry.Due {
			continue
		}
		if now.Err == nil && now.Value != entry.Old { // writing the same would change links
			err := e.writeSysctl(key, entry.Old)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
				continue
			}
			written = append(written, host.SysctlName(key)+"="+entry.Old)
		}
		delete(l.Sysctls, key)
	}
	return written, errors.Join(append(errs, l.write(e.State))...)
}

// restoreOrder has the settings that change others first.
func restoreOrder(entries map[string]sysctlEntry) []string {
	keys := slices.Sorted(maps.Keys(entries))
	var first, rest []string
	for _, key := range keys {
		if key == forwardAll4 || key == forwardAll6 {
			first = append(first, key)
		} else {
			rest = append(rest, key)
		}
	}
	return append(first, rest...)
}
