package inet_test

import (
	"testing"

	"github.com/fairway-bgp/fairway/inet"
)

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.1.2.3": true, "::1": true, "localhost": true,
		"": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "localhost.example": false, "LOCALHOST": false, "[::1]": false,
	} {
		if got := inet.IsLoopback(host); got != want {
			t.Errorf("IsLoopback(%q) = %v", host, got)
		}
	}
}

func TestChecksum(t *testing.T) {
	// The example of RFC 1071 section 3, whose sum is ddf2.
	example := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := inet.Checksum(example); got != ^uint16(0xddf2) {
		t.Errorf("Checksum = %x, want %x", got, ^uint16(0xddf2))
	}
	if odd, even := inet.Checksum([]byte{1, 2, 3}), inet.Checksum([]byte{1, 2, 3, 0}); odd != even {
		t.Errorf("an odd byte counts as %x, with a zero behind it as %x", odd, even)
	}
}
