package host_test

import (
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Programs that let each packet pass: "r0 = WORD; exit".
func loadXDP() (int, error) { return load(unix.BPF_PROG_TYPE_XDP, 2) }

func loadTCX() (int, error) { return load(unix.BPF_PROG_TYPE_SCHED_CLS, 0xff) }

// load loads a program that answers with a number (BPF_PROG_LOAD in linux/bpf.h).
func load(kind uint32, answer byte) (int, error) {
	program := []byte{0xb7, 0, 0, 0, answer, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0}
	license := []byte("GPL\x00")
	if answer == 0xff { // -1: TCX_NEXT
		copy(program[4:], []byte{0xff, 0xff, 0xff, 0xff})
	}
	attr := struct {
		kind, instructions    uint32
		program, license      uint64
		level, size           uint32
		log                   uint64
		kernelVersion, flags  uint32
		name                  [16]byte
		ifindex, expectedType uint32
	}{kind: kind, instructions: uint32(len(program) / 8), program: uint64(uintptr(unsafe.Pointer(&program[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0])))}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(program)
	runtime.KeepAlive(license)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// attachTCX attaches a program at a link's egress (BPF_PROG_ATTACH).
func attachTCX(link netlink.Link, program int) error {
	const egress = 47
	attr := struct{ ifindex, program, kind, flags, replace, relative, _, _ uint32 }{ifindex: uint32(link.Attrs().Index), program: uint32(program), kind: egress}
	if _, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_ATTACH, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr)); errno != 0 {
		return errno
	}
	return nil
}
