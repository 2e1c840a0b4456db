package picture

import (
	"time"

	"github.com/fairway-bgp/fairway/policy"
)

// Level is how well something is.
type Level string

// Levels, the worst first. Unknown is what nobody could look at.
const (
	Bad     Level = "bad"
	Warn    Level = "warn"
	Unknown Level = "unknown"
	OK      Level = "ok"
)

// Picture is one moment of a node or of a cluster. Lists are sorted, and never nil.
type Picture struct {
	// Whole is true for a cluster's; else it is that of one node.
	Whole bool `json:"whole"`
	// Name is the node's, or the API server's address.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Started is when what made the picture began to look; nothing is known of before.
	Started time.Time `json:"started"`
	// At is when it was so. It is told apart, for it changes where nothing does.
	At      time.Time `json:"-"`
	Verdict Verdict   `json:"verdict"`
	Routers []Router  `json:"routers"`
	Nodes   []Node    `json:"nodes"`
	// Lists are what nodes announce and withhold. Many nodes may have the same.
	Lists []List `json:"lists"`
	// Remedies say what to do about what is withheld, by reason; SUBNET and NODE stand
	// for the names in them.
	Remedies map[string]string `json:"remedies"`
	Warnings []policy.Warning  `json:"warnings"`
	Source   Source            `json:"source"`
}

// Verdict is all of it in a line.
type Verdict struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// Router is a BGPPeer, as the nodes see it.
type Router struct {
	Peer string `json:"peer"`
	// Neighbour is its address, or where it is looked for; "" where that differs from
	// node to node.
	Neighbour string `json:"neighbour,omitempty"`
	// ASN is 0 where it is not known.
	ASN uint32 `json:"asn,omitempty"`
	// Up and Sessions count its sessions.
	Up       int `json:"up"`
	Sessions int `json:"sessions"`
}

// Node is one node with its sessions.
type Node struct {
	Name  string `json:"name"`
	Level Level  `json:"level"`
	// State is in a word: ready, degraded, not ready, dead, stopped, no daemon.
	State string `json:"state"`
	// Silent is true where what is shown is not known to be so: the daemon is dead,
	// stopped, or was never there.
	Silent bool `json:"silent,omitempty"`
	// Problems are what is not as it should be, the worst first.
	Problems []string `json:"problems,omitempty"`
	// Drain says why the node drains and what that means now.
	Drain    string    `json:"drain,omitempty"`
	ASN      uint32    `json:"asn,omitempty"`
	RouterID string    `json:"routerID,omitempty"`
	Sessions []Session `json:"sessions"`
	// List is which of the Picture's Lists is this node's.
	List     int       `json:"list"`
	Findings []Finding `json:"findings,omitempty"`
	// Passed counts the findings that are ok, by check; nil where they are not told.
	Passed map[string]int `json:"passed,omitempty"`
	// Unchecked is true where nobody has looked at the host.
	Unchecked bool `json:"unchecked,omitempty"`
}

// Session is one BGP session.
type Session struct {
	Peer      string `json:"peer"`
	Neighbour string `json:"neighbour"`
	ASN       uint32 `json:"asn,omitempty"`
	// State is that of RFC 4271 section 8.2.2.
	State string `json:"state"`
	Up    bool   `json:"up"`
	Level Level  `json:"level"`
	// Since is when it came up, or went down; zero if it never was up.
	Since time.Time `json:"since,omitzero"`
	// Trouble is why not everything that is planned can be sent, and what to change.
	Trouble string `json:"trouble,omitempty"`
	// TroubleAt is when that was seen last, where it is told.
	TroubleAt time.Time `json:"troubleAt,omitzero"`
	// From is the node's own address, which is the next hop where none is asked for.
	From string `json:"from,omitempty"`
	// Sent is how many prefixes it has been sent, of those Planned for it.
	Sent    int64 `json:"sent"`
	Planned int64 `json:"planned"`
	// Flaps counts how often it went down after it was up; ResetAt and Reset say when it
	// did last, and why.
	Flaps   int64     `json:"flaps,omitempty"`
	ResetAt time.Time `json:"resetAt,omitzero"`
	Reset   string    `json:"reset,omitempty"`
	BFD     string    `json:"bfd,omitempty"`
	// Note is what else there is to say.
	Note string `json:"note,omitempty"`
}

// List is what a node announces and withholds. The counts are whole; a Speaker names
// only the first prefixes.
type List struct {
	Announced []Announced `json:"announced"`
	Withheld  []Withheld  `json:"withheld"`
	// Planned is how many there are to announce, Sent how many of them some router has
	// been sent.
	Planned  int64 `json:"planned"`
	Sent     int64 `json:"sent"`
	Withhold int64 `json:"withhold"`
	// Reasons counts what is withheld.
	Reasons map[string]int64 `json:"reasons,omitempty"`
}

// Announced is one prefix that a node is to announce.
type Announced struct {
	Prefix string `json:"prefix"`
	Subnet string `json:"subnet"`
	Role   string `json:"role"`
	// NextHop is "" for the session's own address.
	NextHop string `json:"nextHop,omitempty"`
	// To are the BGPPeers that it is for.
	To []string `json:"to,omitempty"`
	// NotSentTo are those that have not been sent it.
	NotSentTo []string `json:"notSentTo,omitempty"`
	// Sent is whether some router has been sent it.
	Sent bool `json:"sent"`
	// Draining is whether it leaves with GRACEFUL_SHUTDOWN and a path that loses.
	Draining bool `json:"draining,omitempty"`
}

// Withheld is one prefix of a selected Subnet that a node does not announce.
type Withheld struct {
	Prefix string `json:"prefix"`
	Subnet string `json:"subnet"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	// Fault is whether only the node itself knows why: nobody has asked for that.
	Fault bool `json:"fault,omitempty"`
}

// Finding is what is not ok about a host, for one thing or for several networks alike.
type Finding struct {
	Check    string   `json:"check"`
	Subject  string   `json:"subject"`
	Subjects []string `json:"subjects,omitempty"`
	Level    Level    `json:"level"`
	Got      string   `json:"got,omitempty"`
	Want     string   `json:"want,omitempty"`
	Why      string   `json:"why,omitempty"`
	Fixes    []string `json:"fixes,omitempty"`
}

// Source is where the objects come from.
type Source struct {
	Text string `json:"text"`
	// Explain is the command that explains a Subnet, called SUBNET in it.
	Explain string `json:"explain"`
	// StaleSince is when it was last in step; zero while it is.
	StaleSince time.Time `json:"staleSince,omitzero"`
	Problems   []string  `json:"problems"`
}
