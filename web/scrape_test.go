package web

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fairway-bgp/fairway/status"
)

// TestTheMetricsAddressHasNothingElse: it is reached from other machines.
func TestTheMetricsAddressHasNothingElse(t *testing.T) {
	var board status.Board
	board.Post(interesting())
	for _, tt := range []struct {
		method, url string
		want        int
	}{
		{"GET", "http://192.0.2.11:7474/metrics", 200},
		{"GET", "http://[2001:db8::11]:7474/metrics", 200},
		{"POST", "http://192.0.2.11:7474/metrics", 405},
		{"GET", "http://192.0.2.11:7474/", 404},
		{"GET", "http://192.0.2.11:7474/status.json", 404},
		{"GET", "http://192.0.2.11:7474/basis.json", 404},
		{"GET", "http://192.0.2.11:7474/healthz", 404},
		{"GET", "http://localhost:7474/", 404},
		{"GET", "http://192.0.2.11:7474/metrics/../status.json", 404},
	} {
		w := httptest.NewRecorder()
		scrapeHandler(&board).ServeHTTP(w, httptest.NewRequest(tt.method, tt.url, http.NoBody))
		if got := w.Code; got != tt.want && (tt.want != 404 || got < 300 || got > 399) {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.url, got, tt.want)
		}
	}
}
