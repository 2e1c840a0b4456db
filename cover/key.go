package cover

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// key is the bits of an address, the first in hi's highest. Those of IPv4 are the first
// 32, and the others 0.
type key struct{ hi, lo uint64 }

func keyOf(a netip.Addr) key {
	if a.Is4() {
		b := a.As4()
		return key{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// prefix gives the prefix with the first n bits of the key.
func (k key) prefix(n uint8, is4 bool) netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	if is4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), int(n))
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), int(n))
}

func (k key) compare(l key) int {
	if c := cmp.Compare(k.hi, l.hi); c != 0 {
		return c
	}
	return cmp.Compare(k.lo, l.lo)
}

// common gives how many of the first bits are the same.
func (k key) common(l key) uint8 {
	if k.hi != l.hi {
		return uint8(bits.LeadingZeros64(k.hi ^ l.hi))
	}
	return uint8(64 + bits.LeadingZeros64(k.lo^l.lo))
}

// bit gives bit i, counted from 0; i is less than 128.
func (k key) bit(i uint8) uint64 {
	if i < 64 {
		return k.hi >> (63 - i) & 1
	}
	return k.lo >> (127 - i) & 1
}

// withBit gives the key with bit i set.
func (k key) withBit(i uint8) key {
	if i < 64 {
		k.hi |= 1 << (63 - i)
	} else {
		k.lo |= 1 << (127 - i)
	}
	return k
}

// masked gives the first n bits of the key.
func (k key) masked(n uint8) key {
	if n <= 64 {
		return key{hi: k.hi &^ (1<<(64-n) - 1)}
	}
	k.lo &^= 1<<(128-n) - 1
	return k
}
