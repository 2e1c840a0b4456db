package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// routerCase is a language of routers in the page for the network team.
type routerCase struct {
	// format is that of plan -o, and name what people call the router.
	format, name string
	// session and routes are what is asked of the router to see whether it works.
	session, routes string
}

func routerCases() []routerCase {
	return []routerCase{
		{"frr", "FRR 8", "show bgp summary", "show ip route bgp"},
		{"bird", "BIRD 2", "birdc show protocols", "birdc show route"},
		{"junos", "Junos", "show bgp summary", "show route protocol bgp"},
		{"eos", "Arista EOS", "show ip bgp summary", "show ip route bgp"},
		{"ios", "Cisco IOS-XE", "show bgp ipv4 unicast summary", "show ip route bgp"},
		{"nxos", "Cisco NX-OS", "show bgp ipv4 unicast summary", "show ip route bgp"},
		{"vyos", "VyOS", "show bgp summary", "show ip route bgp"},
	}
}

// forwarded is the text of the page, up to what is asked of routers.
const forwarded = `A Kubernetes cluster will speak BGP with you, to make the addresses of its Pods reachable. Each of its nodes opens a session
with the router of its rack and announces the Pods' networks; it learns nothing. This page says what that takes on your side.

Whoever forwards it puts their own numbers in the place of the example's:

| what | example | ours |
|---|---|---|
| the nodes' addresses | 172.30.0.0/24 | |
| the nodes' AS | 65001 | |
| the router's address and AS | 172.30.0.1, 65000 | |
| what may be announced | 10.160.0.0/12, prefixes up to /24 | |
| password (TCP MD5), by another way than this one | none | |

## What we ask for

| | |
|---|---|
| Sessions | the nodes dial, the router waits: let TCP port 179 in from the nodes' addresses. A range of neighbors (listen range) saves a change with each new node |
| What to take | only the Pods' networks above. Please filter: a default route or one of your own networks never comes from us, and a filter makes that certain |
| What to send us | nothing: it would be dropped |
| How many | a prefix for each Subnet, a few dozen; the configuration below has a bound |
| Policy | FRR, IOS-XR, and others of late take and send nothing by eBGP without a policy (RFC 8212): the session is up, and there is no route. The filter is that policy |
| Multipath | several nodes announce the same prefix, and all of them carry it: please turn ECMP on, for as many nodes as there are |
| Timers | keepalive 30 s, hold time 90 s; less where a dead node has to be noticed sooner, or BFD (UDP port 3784) |
| Maintenance | what leaves soon carries the community GRACEFUL_SHUTDOWN, 65535:0 (RFC 8326): please give it LOCAL_PREF 0 |
| Replies | come from whichever node the Pod is on, not always from the one that got the request: no stateful firewall between router and nodes, and no strict uRPF on these ports |
| Passing it on | that is yours: into your IGP, to the spines, to other sites |

## How to see that it works

| router | is the session up? | is the route there? |
|---|---|---|
`

// writeNetworkTeam writes the page that is forwarded to those who run the routers; the
// configurations are the program's, for the example's router tor-a.
func writeNetworkTeam(w io.Writer, docs string) {
	fmt.Fprint(w, "# For the network team\n\n", generatedNote, forwarded)
	for _, r := range routerCases() {
		fmt.Fprintf(w, "| %s | `%s` | `%s` |\n", r.name, r.session, r.routes)
	}
	fmt.Fprint(w, "\n## Configurations\n\nFor the example above, with ranges, so that a later node or Subnet needs no change. FRR's and BIRD's are run by tests; the\n"+
		"others are printed by the same program and not run. For your own numbers the cluster's people make it by\n\n"+
		"```sh not-run: needs a cluster\n"+strings.Join(quoted(exportArguments("frr")), " ")+"\n```\n")
	for _, r := range routerCases() {
		fmt.Fprintf(w, "\n### %s\n\n```conf\n", r.name)
		args := append(exportArguments(r.format), "-f", filepath.Join(docs, "example", "cluster.yaml"))
		if code := run(args, nil, w, w); code != exitGood {
			fmt.Fprintf(w, "%v: exit status %d\n", args, code)
		}
		fmt.Fprint(w, "```\n")
	}
}

func exportArguments(format string) []string {
	return []string{"fairway", "plan", "-o", format, "--peer", "tor-a", "--allow", "10.160.0.0/12 le 24", "--listen", "172.30.0.0/24"}
}

// quoted puts what has a blank between quotes.
func quoted(args []string) (out []string) {
	for _, a := range args {
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		out = append(out, a)
	}
	return out
}
