package enforce

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lockPath is the file that every program of iptables-legacy opens and locks while it
// works (XT_LOCK_NAME in iptables' xshared.h).
const lockPath = "/run/xtables.lock"

// lockWatch tells when a program that had iptables' lock is done with it.
type lockWatch struct {
	file *os.File
	path string
	// watched is whether the file is there, and watched.
	watched atomic.Bool
	// touched is set when a program has closed it.
	touched atomic.Bool
}

// watchLock calls wake whenever a program has closed the file, until close. A user has few
// inotify instances (fs.inotify.max_user_instances); without one nothing is watched, and
// looks are as frequent as without the file.
func watchLock(path string, wake func()) *lockWatch {
	l := &lockWatch{path: path}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return l
	}
	l.file = os.NewFile(uintptr(fd), "inotify")
	go l.listen(wake)
	return l
}

func (l *lockWatch) close() {
	if l.file != nil {
		l.file.Close()
	}
}

// try watches the file, if it is there and not watched.
func (l *lockWatch) try() {
	if l.file == nil || l.watched.Load() {
		return
	}
	raw, err := l.file.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		_, err := unix.InotifyAddWatch(int(fd), l.path, unix.IN_CLOSE_WRITE|unix.IN_CLOSE_NOWRITE|unix.IN_MOVE_SELF|unix.IN_ATTRIB)
		l.watched.Store(err == nil)
		l.touched.Store(err == nil) // by whoever worked until now
	})
}

// listen hears events until the file is closed. After one that may be the end of the
// watched file, as its removal is, the name is watched anew.
func (l *lockWatch) listen(wake func()) {
	buf := make([]byte, 1<<12)
	for {
		n, err := l.file.Read(buf)
		if err != nil {
			return
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			if event.Mask&(unix.IN_CLOSE_WRITE|unix.IN_CLOSE_NOWRITE) == 0 {
				l.watched.Store(false)
			}
			at += unix.SizeofInotifyEvent + int(event.Len)
		}
		l.touched.Store(true)
		wake()
	}
}
