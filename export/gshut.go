package export

// A node that is about to withdraw its routes announces them with the community
// GRACEFUL_SHUTDOWN first (65535:0, RFC 8326). A router that honours it gives them
// LOCAL_PREF 0, so that traffic leaves the node while it still carries; one that
// does not is left to the longer AS path and the MED.

// gshut names the community list and the route map that honour it. They are the
// same for every BGPPeer.
const gshut = "FAIRWAY-GSHUT"

// gshutNote explains the name.
const gshutNote = gshut + ": what a node is about to withdraw loses (RFC 8326), so that `fairway drain` costs no packet."

// ciscoGshut prints the route map of FRR, EOS, IOS and NX-OS; list is the command
// that makes the community list, whose form differs, and in the indentation.
func ciscoGshut(t *text, list, in string) {
	t.line("%s", list)
	t.line("route-map %s permit 10", gshut)
	t.line("%smatch community %s", in, gshut)
	t.line("%sset local-preference 0", in)
	t.line("route-map %s permit 20", gshut)
}
