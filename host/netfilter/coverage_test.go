package netfilter_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/host/netfilter"
)

// notGenerated are the names that no rule of the generator has, and why.
var notGenerated = map[string]string{
	"iptables match nfacct":        "the test kernel lacks it",
	"iptables target ULOG":         "the test kernel lacks it",
	"iptables target LED":          "the test kernel lacks it",
	"iptables target SECMARK":      "needs SELinux",
	"iptables target ACCOUNT":      "comes with xtables-addons",
	"nft statement xt":             "only iptables-nft makes it",
	"nft statement map":            "nft 1.0.6 has no JSON for it",
	"nft statement ct helper":      "needs a helper, which the test kernel lacks",
	"nft statement ct timeout":     "needs an object of its own",
	"nft statement ct expectation": "needs an object of its own",
	"nft statement secmark":        "needs SELinux",
	"nft statement last":           "nft 1.0.6 lacks it",
	"nft statement flow":           "needs a flow table, which takes packets past the rules",
	"nft statement queue":          "nothing is known of what comes of it",
	"nft statement tproxy":         "nothing is known of what comes of it",
	"nft statement synproxy":       "nothing is known of what comes of it",
	"nft statement fwd":            "nothing is known of what comes of it",
	"part of an ipset mark":        "the test kernel lacks it",
	"nft ct original saddr":        "nft prints the family",
	"nft ct original daddr":        "nft prints the family",
	"nft ct reply saddr":           "nft prints the family",
	"nft ct reply daddr":           "nft prints the family",
}

// signs are how names look in rules where that is not "-m NAME", "-j NAME" or
// NAME itself.
var signs = map[string]string{
	"iptables match ": "-s ", "iptables match tcp": "--tcp-flags", "iptables match udp": "-p udp --dport", "iptables match icmp6": "-m icmp6 ",
	"nft statement match": "ip saddr ", "nft statement mangle": " set ", "nft statement set": "add @", "part of an ipset ip": "hash:ip ",
	"part of an ipset net": "hash:net ", "part of an ipset port": "hash:ip,port ", "part of an ipset iface": ",iface ",
	"part of an ipset mark": "hash:ip,mark ", "nft statement xt": "xt match", "nft statement map": "add @to", "nft statement flow": "flow add", "nft statement ct helper": "ct helper set",
}

// TestTheGeneratorKnowsWhatTheEvaluatorKnows: what is claimed to be known of the
// kernel is compared with the kernel.
func TestTheGeneratorKnowsWhatTheEvaluatorKnows(t *testing.T) {
	var all strings.Builder
	for i := range uint64(600) {
		all.WriteString(generate(rand.New(rand.NewPCG(1, i)), i%2 == 0).String())
	}
	for list, names := range netfilter.Known() {
		for _, name := range names {
			full := list + " " + name
			sign, special := signs[full]
			switch {
			case special:
			case list == "iptables match":
				sign = "-m " + name + " "
			case list == "iptables target":
				sign = "-j " + name
			case list == "nft written field":
				sign = name + " set "
			case list == "nft ct":
				sign = "ct " + name + " "
			case list == "nft meta":
				sign = name + " "
			default:
				sign = name
			}
			if generated, why := strings.Contains(all.String(), sign), notGenerated[full]; generated == (why != "") {
				t.Errorf("%s: generated is %v, reason not to: %q", full, generated, why)
			}
		}
	}
}
