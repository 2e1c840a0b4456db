package main

// exitRow says what the exit codes of a command mean, for documents.
type exitRow struct{ command, good, wrong, unknown string }

// exitCodes has a row for each command that decides by its exit code.
func exitCodes() []exitRow {
	return []exitRow{
		{"status", "ready, and nothing is degraded", "not ready, or degraded: a session, a family, an object, a finding", "no daemon answers, and there is no cluster to ask"},
		{"status --cluster", "every Speaker is well", "a Speaker is not, its daemon is dead, its Node is not Ready, a Node that a BGPPeer selects has no daemon, or there is no Speaker", "the API server cannot be asked"},
		{"why SUBNET", "some node announces every CIDR of it", "none announces some CIDR, nobody asked for the Subnet, or an object of the input is wrong", "there is no such Subnet, or the input cannot be read"},
		{"plan", "every object is understood", "an object is wrong: it is not used, or an API server would refuse it; with --without, a Subnet loses its last announcer", "the input cannot be read"},
		{"plan --diff", "nothing changes", "something changes, or an object of -f is wrong", "something could not be told, or no daemon can be asked"},
		{"plan --check FILE", "the router's file fits the plan", "it does not: a prefix that it filters, a node without a neighbor, an AS, a password", "it cannot be read or judged, or is another router's"},
		{"check", "all is ok", "something is wrong, or an object of -f", "something could not be told"},
		{"check --cluster", "every node says that all is ok", "a node says that something is wrong", "a node does not know or does not speak, or there is no Speaker"},
		{"check --trace", "the packet passes", "it is dropped", "it could not be told"},
		{"check --probe", "the packets arrive", "they do not", "nobody answers there"},
		{"probe live, probe ready", "it is so", "it is not, or nobody answers", "bad usage"},
		{"drain", "it is done, or no daemon runs there", "the node is the last to announce something, or its Speaker does not say in time that it is done", "the API server cannot be asked"},
		{"undrain", "it is done", "the node does not say in time that it is", "the API server cannot be asked"},
		{"lab up, lab demo, lab down", "it works, it is proved, it is gone", "something is otherwise than it should be", "the lab cannot be played here"},
		{"version", "always", "-", "-"},
		{"ui", "it was told to end", "-", "it cannot start: no kubeconfig, a port that is taken"},
		{"run", "it was told to end", "-", "it cannot start: a flag, a port, a file or folder that is not there"},
	}
}
