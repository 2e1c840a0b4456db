package web

import (
	"net"
	"net/http"

	"github.com/fairway-bgp/fairway/status"
)

// mostScrapeHeader bounds what a scrape may say of itself, in bytes.
const mostScrapeHeader = 16 << 10

// ServeMetrics answers /metrics alone, on l until it is closed. It is for an address that
// other machines reach: whoever does may read the metrics, and nothing else can be asked
// for. It has the bounds of Serve.
func ServeMetrics(l net.Listener, board *status.Board) error {
	s := bounded(scrapeHandler(board))
	s.MaxHeaderBytes = mostScrapeHeader
	return s.Serve(l)
}

func scrapeHandler(board *status.Board) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsHandler(board))
	return mux
}
