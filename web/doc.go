// Package web shows the published Status over HTTP on loopback: a page for
// people, /status.json, /basis.json, /metrics, /healthz and /readyz. It reads status and nothing else;
// no request changes anything. /metrics can be had at an address of its own too, for other machines.
package web
