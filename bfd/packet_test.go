package bfd

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func TestPacketOnTheWire(t *testing.T) {
	p := Packet{
		Diagnostic: NeighborDown, State: Up, Poll: true, Multiplier: 3, My: 0x01020304, Your: 0x0a0b0c0d,
		MinTransmit: 300 * time.Millisecond, MinReceive: 50 * time.Millisecond,
	}
	b := p.Append(nil)
	// 300,000 and 50,000 microseconds.
	if got, want := hex.EncodeToString(b), "23e00318"+"01020304"+"0a0b0c0d"+"000493e0"+"0000c350"+"00000000"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if back, err := Parse(b); err != nil || back != p {
		t.Errorf("%+v became %+v (%v)", p, back, err)
	}
}

// TestWhatAReceiverDiscards is RFC 5880 section 6.8.6 as far as it needs no session.
func TestWhatAReceiverDiscards(t *testing.T) {
	good := Packet{State: Down, Multiplier: 3, My: 1, MinTransmit: time.Second, MinReceive: time.Second}.Append(nil)
	with := func(at int, b byte) []byte {
		out := append([]byte(nil), good...)
		out[at] = b
		return out
	}
	for name, c := range map[string]struct {
		packet []byte
		want   string
	}{
		"as it should be":          {good, ""},
		"longer than it says":      {append(append([]byte(nil), good...), 1, 2, 3), ""},
		"too short":                {good[:23], "no BFD packet"},
		"version 0":                {with(0, 0), "version 0"},
		"length beyond its end":    {with(3, 25), "length 25"},
		"length of a shorter one":  {with(3, 23), "length 23"},
		"with authentication":      {with(1, good[1]|authenticationBit), "authentication"},
		"multipoint":               {with(1, good[1]|multipointBit), "multipoint"},
		"multiplier 0":             {with(2, 0), "multiplier of 0"},
		"no discriminator":         {with(7, 0), "without a discriminator"},
		"up to nobody":             {with(1, byte(Up)<<6), "state Up without our discriminator"},
		"beginning with nobody":    {with(1, byte(Init)<<6), "state Init without our discriminator"},
		"turned off, with nobody":  {with(1, byte(AdminDown)<<6), ""},
		"the neighbour wants less": {with(1, good[1]|demandBit), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.packet)
			if got := errorText(err); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
