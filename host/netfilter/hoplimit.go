package netfilter

import "strconv"

// hopLimitMatch is "-m hl --hl-eq 255", which neighbour discovery has (RFC 4861 section
// 7.1), or "-m ttl --ttl-lt 2". Of other packets it is not known.
func hopLimitMatch(o option) func(*Packet) Truth {
	if len(o.values) != 1 {
		return nil
	}
	n, err := strconv.ParseUint(o.values[0], 10, 8)
	if err != nil {
		return nil
	}
	var holds func(uint64) bool
	switch o.name {
	case "hl-eq", "ttl-eq", "ttl":
		holds = func(limit uint64) bool { return limit == n }
	case "hl-lt", "ttl-lt":
		holds = func(limit uint64) bool { return limit < n }
	case "hl-gt", "ttl-gt":
		holds = func(limit uint64) bool { return limit > n }
	default:
		return nil
	}
	return func(p *Packet) Truth {
		if p.HopLimit == 0 {
			return Maybe
		}
		return truthOf(holds(uint64(p.HopLimit)))
	}
}

// hopLimitField is "ip ttl" or "ip6 hoplimit".
func hopLimitField(six bool) field {
	return field{kindNumber, func(p *Packet) (value, presence) {
		if p.isIP(six) && p.HopLimit == 0 {
			return value{}, unknownValue
		}
		return has(p.isIP(six), value{number: uint64(p.HopLimit)})
	}}
}
