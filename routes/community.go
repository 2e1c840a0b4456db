package routes

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Community is a standard community (RFC 1997): AS in the high, value in the
// low 16 bits.
type Community uint32

// LargeCommunity is a large community (RFC 8092).
type LargeCommunity struct{ GlobalAdmin, Data1, Data2 uint32 }

// GracefulShutdown asks the receiver to prefer every other path (RFC 8326).
const GracefulShutdown Community = 0xFFFF0000

// wellKnown are the communities that have a name (IANA "BGP Well-known
// Communities"; RFC 1997, 3765, 7999, 8326).
var wellKnown = map[string]Community{
	"graceful-shutdown":   GracefulShutdown,
	"accept-own":          0xFFFF0001,
	"llgr-stale":          0xFFFF0006,
	"no-llgr":             0xFFFF0007,
	"blackhole":           0xFFFF029A,
	"no-export":           0xFFFFFF01,
	"no-advertise":        0xFFFFFF02,
	"no-export-subconfed": 0xFFFFFF03,
	"no-peer":             0xFFFFFF04,
}

// ParseCommunity reads "65000:100" or the name of a well-known community.
func ParseCommunity(s string) (Community, error) {
	if c, ok := wellKnown[s]; ok {
		return c, nil
	}
	parts := strings.Split(s, ":")
	if len(parts) != 2 {
		return 0, fmt.Errorf("%q is neither AS:VALUE nor the name of a well-known community", s)
	}
	hi, err := parseDecimal(parts[0], 16)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	lo, err := parseDecimal(parts[1], 16)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", s, err)
	}
	return Community(hi<<16 | lo), nil
}

// String gives the name of a well-known community, else "AS:VALUE".
func (c Community) String() string {
	for name, v := range wellKnown {
		if v == c {
			return name
		}
	}
	return fmt.Sprintf("%d:%d", uint32(c)>>16, uint32(c)&0xFFFF)
}

// MarshalText is String, for JSON.
func (c Community) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is ParseCommunity, for JSON.
func (c *Community) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCommunity(string(b))
	return err
}

// ParseLargeCommunity reads "65000:1:2". The global administrators 0, 65535 and
// 4294967295 are reserved (RFC 8092 section 5) and refused: 0 marks Fairway's own
// classes inside the speaker.
func ParseLargeCommunity(s string) (LargeCommunity, error) {
	var l LargeCommunity
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return l, fmt.Errorf("%q is not ADMIN:DATA1:DATA2", s)
	}
	for i, to := range []*uint32{&l.GlobalAdmin, &l.Data1, &l.Data2} {
		n, err := parseDecimal(parts[i], 32)
		if err != nil {
			return LargeCommunity{}, fmt.Errorf("%q: %w", s, err)
		}
		*to = n
	}
	if l.GlobalAdmin == 0 || l.GlobalAdmin == 65535 || l.GlobalAdmin == 4294967295 {
		return LargeCommunity{}, fmt.Errorf("%q: global administrator %d is reserved (RFC 8092)", s, l.GlobalAdmin)
	}
	return l, nil
}

// String gives "ADMIN:DATA1:DATA2".
func (l LargeCommunity) String() string {
	return fmt.Sprintf("%d:%d:%d", l.GlobalAdmin, l.Data1, l.Data2)
}

// MarshalText is String, for JSON.
func (l LargeCommunity) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is ParseLargeCommunity, for JSON.
func (l *LargeCommunity) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLargeCommunity(string(b))
	return err
}

// Compare orders large communities field by field.
func (l LargeCommunity) Compare(m LargeCommunity) int {
	return cmp.Or(cmp.Compare(l.GlobalAdmin, m.GlobalAdmin), cmp.Compare(l.Data1, m.Data1), cmp.Compare(l.Data2, m.Data2))
}

// MaxCommunities bounds the communities of a Subnet, and those of a BGPPeer: both
// together fit into a message of 4096 octets (RFC 4271 section 4) with room for
// the rest, whatever their kind.
const MaxCommunities = 64

// ParseCommunities reads a comma-separated list of at most MaxCommunities
// standard, well-known and large communities, and sorts and dedupes each kind.
func ParseCommunities(s string) ([]Community, []LargeCommunity, error) {
	var std []Community
	var large []LargeCommunity
	for _, item := range strings.Split(s, ",") {
		item = strings.TrimSpace(item)
		if strings.Count(item, ":") == 2 {
			l, err := ParseLargeCommunity(item)
			if err != nil {
				return nil, nil, err
			}
			large = append(large, l)
			continue
		}
		c, err := ParseCommunity(item)
		if err != nil {
			return nil, nil, err
		}
		std = append(std, c)
	}
	std, large = SortedSet(std, cmp.Compare[Community]), SortedSet(large, LargeCommunity.Compare)
	if n := len(std) + len(large); n > MaxCommunities {
		return nil, nil, fmt.Errorf("has %d communities: at most %d are allowed", n, MaxCommunities)
	}
	return std, large, nil
}

// parseDecimal reads an unsigned decimal of at most bits bits, without sign.
func parseDecimal(s string, bits int) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", s, uint64(1)<<bits-1)
	}
	return uint32(n), nil
}
