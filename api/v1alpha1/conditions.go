package v1alpha1

// Condition types of a Speaker. All but Drained are always there.
const (
	// ConditionReady is True when everything has been read that a plan needs, and the
	// plan is handed to BGP without error.
	ConditionReady = "Ready"
	// ConditionSessionsEstablished is True when there are sessions and all are up.
	ConditionSessionsEstablished = "SessionsEstablished"
	// ConditionRoutesInSync is True when the node originates exactly what its plan wants.
	ConditionRoutesInSync = "RoutesInSync"
	// ConditionHostReady is True when every check of the host is ok, and Unknown before
	// the first audit, where a check could not tell, or where nobody audits.
	ConditionHostReady = "HostReady"
	// ConditionSourceFresh is True while the objects are followed.
	ConditionSourceFresh = "SourceFresh"
	// ConditionInputValid is True when no object is wrong in a way that the API server
	// could not know, such as two BGPPeers with one address.
	ConditionInputValid = "InputValid"
	// ConditionDrained is there only while the Node drains, and True once nothing is
	// announced any more.
	ConditionDrained = "Drained"
)

// ReasonStopped is the reason of every condition of a Speaker whose daemon has ended:
// Ready is False then, and the others are Unknown.
const ReasonStopped = "Stopped"

// Reasons of Ready; AsPlanned is RoutesInSync's too.
const (
	// ReasonAsPlanned: what the plan wants is so.
	ReasonAsPlanned = "AsPlanned"
	// ReasonNotReady: the message says what is missing.
	ReasonNotReady = "NotReady"
)

// ReasonNotAsPlanned is of RoutesInSync: the message says what could not be done.
const ReasonNotAsPlanned = "NotAsPlanned"

// Reasons of SessionsEstablished.
const (
	// ReasonAllUp: every session is established.
	ReasonAllUp = "AllUp"
	// ReasonSessionDown: the message names the sessions that are not, with the last
	// error of each.
	ReasonSessionDown = "SessionDown"
	// ReasonNoPeer: no BGPPeer selects the node, or it is not known whether one does.
	ReasonNoPeer = "NoPeer"
)

// Reasons of HostReady.
const (
	// ReasonAllChecksOK: the audit found nothing.
	ReasonAllChecksOK = "AllChecksOK"
	// ReasonFindings: the message names the checks that are not ok.
	ReasonFindings = "Findings"
	// ReasonUnknown: nothing is known to be wrong, and some check could not tell.
	ReasonUnknown = "Unknown"
	// ReasonNotChecked: there was no audit yet, or nobody audits.
	ReasonNotChecked = "NotChecked"
)

// Reasons of SourceFresh.
const (
	// ReasonFollowing: what changes is seen.
	ReasonFollowing = "Following"
	// ReasonStale: the message says what is not followed, and since when. What was
	// known then stays in force.
	ReasonStale = "Stale"
)

// Reasons of InputValid.
const (
	// ReasonUnderstood: every object means something.
	ReasonUnderstood = "Understood"
	// ReasonProblems: the message names the objects, and what is wrong with them.
	ReasonProblems = "Problems"
)

// Reasons of Drained, in the order in which a drain goes through them.
const (
	// ReasonWaiting: everything is announced with GRACEFUL_SHUTDOWN (RFC 8326) and a
	// path that loses, until status.drainUntil.
	ReasonWaiting = "Waiting"
	// ReasonWithdrawing: the wait is over, and some peer or the table has a prefix left.
	ReasonWithdrawing = "Withdrawing"
	// ReasonLastAnnouncer: what the message names stays announced, for no other node
	// would announce it, and nobody asked for this very Node to be emptied.
	ReasonLastAnnouncer = "LastAnnouncer"
	// ReasonNothingAnnounced: nothing is planned, in the table, or sent to a peer.
	ReasonNothingAnnounced = "NothingAnnounced"
)

// Reasons of a BGPPeer's Ready; AllUp and SessionDown are among them.
const (
	// ReasonSessionLimited: all sessions are up, and some cannot carry all that is planned.
	ReasonSessionLimited = "SessionLimited"
	// ReasonInvalid: the BGPPeer, or its Secret, cannot be used as it is.
	ReasonInvalid = "Invalid"
	// ReasonNoNode: no Node is selected.
	ReasonNoNode = "NoNode"
)
