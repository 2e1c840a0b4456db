package netfilter

import (
	"math"
	"strconv"
)

// hopLimitMatch is "-m hl --hl-eq 255", which neighbour discovery has (RFC 4861 section
// 7.1), or "-m ttl --ttl-lt 2". Of other packets it is not known.
func hopLimitMatch(o option) match {
	n, err := strconv.ParseUint(o.value(), 10, 8)
	limit := pattern{from: n, to: n}
	switch o.name {
	case "hl-eq", "ttl-eq", "ttl":
	case "hl-lt", "ttl-lt":
		limit = pattern{to: n - 1}
		if n == 0 {
			return answer(No)
		}
	case "hl-gt", "ttl-gt":
		limit = pattern{from: n + 1, to: math.MaxUint8}
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	return oneOf{hopLimit, []pattern{limit}}
}

// hopLimit is that of a packet of either family.
var hopLimit = field{kindNumber, func(p *Packet) (value, Truth) {
	if p.HopLimit == 0 {
		return unknownValue, truthOf(!p.ARP)
	}
	return value{number: uint64(p.HopLimit)}, Yes
}}

// hopLimitField is "ip ttl" or "ip6 hoplimit".
func hopLimitField(six bool) field {
	return field{kindNumber, func(p *Packet) (value, Truth) {
		if !p.isIP(six) {
			return value{}, No
		}
		return hopLimit.read(p)
	}}
}
