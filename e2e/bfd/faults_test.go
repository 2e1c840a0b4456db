package bfd

import "github.com/fairway-bgp/fairway/e2e/must"

// dead takes all that the node sends and gets away: its machine is gone, and nobody
// closes its connections.
func (w *world) dead() {
	w.Helper()
	must.Run(w, "ip", "netns", "exec", w.node, "nft", "table inet dead { chain in { type filter hook input priority 0; policy drop; }; chain out { type filter hook output priority 0; policy drop; }; }")
}

// alive brings it back.
func (w *world) alive() {
	w.Helper()
	must.Run(w, "ip", "netns", "exec", w.node, "nft", "delete table inet dead")
}

// link sets the node's end of a link up or down.
func (w *world) link(r *router, how string) {
	w.Helper()
	must.Run(w, "ip", "-n", w.node, "link", "set", "to-"+r.kind, how)
}
