package objects

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fairway-bgp/fairway/objects/objectstest"
	"github.com/fairway-bgp/fairway/routes"
)

// convert gives the Contents of a stream, with nothing filled in.
func convert(t *testing.T, text string) Contents {
	t.Helper()
	absent := func(string) error { return errors.New("is not in the input: add it, or take passwordSecretRef away") }
	c, values := Assemble([]Batch{{Objects: Parse("in.yaml", []byte(text))}}, nil, absent)
	c.Snapshot = values.Lists().Snapshot(routes.DefaultSettings)
	return c
}

// problemLines gives each problem as severity and text.
func problemLines(c Contents) string {
	var b strings.Builder
	for _, p := range c.Problems {
		b.WriteString(string(p.Severity) + " " + p.Error() + "\n")
	}
	return b.String()
}

// What is wrong with the spec of a BGPPeer, in the words that a user reads. The
// peer is used where there are only warnings.
func TestPeerProblems(t *testing.T) {
	const at = "in.yaml document 1: BGPPeer tor-a: "
	const bounds = "an AS number is 1 to 4294967294; give "
	const real = "the real one, or a private one (64512 to 65534, RFC 6996)"
	for name, tc := range map[string]struct {
		spec []string
		want string
	}{
		"unknown field":              {[]string{objectstest.PeerAddress, objectstest.PeerASN, "peerAsn: 5"}, "wrong spec.peerAsn: there is no such field; did you mean peerASN?"},
		"unknown field, far":         {[]string{objectstest.PeerAddress, objectstest.PeerASN, "colour: red"}, "wrong spec.colour: there is no such field; see `kubectl explain` for those there are"},
		"unknown nested field":       {[]string{objectstest.PeerAddress, objectstest.PeerASN, "gracefulRestart: {restarttime: 5s}"}, "wrong spec.gracefulRestart.restarttime: there is no such field; did you mean restartTime?"},
		"unknown field in selector":  {[]string{objectstest.PeerAddress, objectstest.PeerASN, "nodeSelector: {matchLabel: {a: b}}"}, "wrong spec.nodeSelector.matchLabel: there is no such field; did you mean matchLabels?"},
		"password in the clear":      {[]string{objectstest.PeerAddress, objectstest.PeerASN, "password: hunter2"}, "wrong spec.password: there is no such field; see `kubectl explain` for those there are"},
		"password for a reference":   {[]string{objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: hunter2"}, "wrong spec.passwordSecretRef: is not a map of fields"},
		"AS missing":                 {[]string{objectstest.PeerAddress}, "wrong spec.peerASN: missing: " + bounds + "the AS that the neighbour is in, or dynamicASN"},
		"AS 0":                       {[]string{objectstest.PeerAddress, "peerASN: 0"}, "wrong spec.peerASN: 0: " + bounds + real},
		"AS negative":                {[]string{objectstest.PeerAddress, "peerASN: -1"}, "wrong spec.peerASN: -1: " + bounds + real},
		"AS too large":               {[]string{objectstest.PeerAddress, "peerASN: 4294967296"}, "wrong spec.peerASN: 4294967296: " + bounds + real},
		"AS the last":                {[]string{objectstest.PeerAddress, "peerASN: 4294967295"}, "wrong spec.peerASN: 4294967295: AS 4294967295 is reserved (RFC 7300) and may not be used; give " + real},
		"AS_TRANS":                   {[]string{objectstest.PeerAddress, "peerASN: 23456"}, "wrong spec.peerASN: 23456: AS 23456 is AS_TRANS (RFC 6793) and may not be used; give " + real},
		"AS a string":                {[]string{objectstest.PeerAddress, `peerASN: "65000"`}, `wrong spec.peerASN: "65000": is not a whole number (without quotes)`},
		"AS a fraction":              {[]string{objectstest.PeerAddress, "peerASN: 1.5"}, "wrong spec.peerASN: 1.5: is not a whole number (without quotes)"},
		"local AS 0":                 {[]string{objectstest.PeerAddress, objectstest.PeerASN, "localASN: 0"}, "wrong spec.localASN: 0: " + bounds + real},
		"address missing":            {[]string{objectstest.PeerASN}, "wrong spec.peerAddress: missing: give the neighbour's IPv4 or IPv6 address, or interface or peerDiscovery in its place"},
		"address a name":             {[]string{objectstest.PeerASN, "peerAddress: tor-a.example"}, "wrong spec.peerAddress: tor-a.example: is not an IP address: write it without name, port or prefix length"},
		"address with length":        {[]string{objectstest.PeerASN, "peerAddress: 10.0.0.1/24"}, "wrong spec.peerAddress: 10.0.0.1/24: is not an IP address: write it without name, port or prefix length"},
		"address unspecified":        {[]string{objectstest.PeerASN, "peerAddress: '::'"}, "wrong spec.peerAddress: ::: is the unspecified address: give that of one router"},
		"address unspecified mapped": {[]string{objectstest.PeerASN, "peerAddress: '::ffff:0.0.0.0'"}, "wrong spec.peerAddress: ::ffff:0.0.0.0: is the unspecified address: give that of one router"},
		"address multicast":          {[]string{objectstest.PeerASN, "peerAddress: 224.0.0.5"}, "wrong spec.peerAddress: 224.0.0.5: is a multicast or broadcast address: give that of one router"},
		"address broadcast":          {[]string{objectstest.PeerASN, "peerAddress: 255.255.255.255"}, "wrong spec.peerAddress: 255.255.255.255: is a multicast or broadcast address: give that of one router"},
		"address link-local":         {[]string{objectstest.PeerASN, "peerAddress: fe80::1"}, "wrong spec.peerAddress: fe80::1: is link-local, and every link has such addresses: add the interface, as in fe80::1%eth1"},
		"address with a zone":        {[]string{objectstest.PeerASN, "peerAddress: '2001:db8::1%eth1'"}, "wrong spec.peerAddress: 2001:db8::1%eth1: only a link-local address takes a zone: remove %eth1"},
		"address, hostile zone":      {[]string{objectstest.PeerASN, `peerAddress: "fe80::1%e 1\nno"`}, "wrong spec.peerAddress: fe80::1%e 1 no: what is behind the % is no interface's name: up to 15 letters, digits, and . - _ @ +"},
		"address link-local, zone":   {[]string{objectstest.PeerASN, "peerAddress: 'fe80::1%eth1'"}, ""},
		"address loopback":           {[]string{objectstest.PeerASN, "peerAddress: 127.0.0.2"}, ""},
		"address and interface":      {[]string{objectstest.PeerAddress, objectstest.PeerASN, "interface: eth1"}, "wrong spec.interface: eth1: stands beside peerAddress: give one of them"},
		"interface alone":            {[]string{objectstest.PeerASN, "interface: eth1"}, ""},
		"interface, hostile":         {[]string{objectstest.PeerASN, `interface: "e 1\nno"`}, "wrong spec.interface: e 1 no: is no interface's name: up to 15 letters, digits, and . - _ @ +"},
		"interface and source":       {[]string{objectstest.PeerASN, "interface: eth1", "sourceAddress: 10.0.0.2"}, "wrong spec.sourceAddress: 10.0.0.2: is not for a neighbour on an interface: the session comes from the link-local address there; leave it out"},
		"interface and multihop":     {[]string{objectstest.PeerASN, "interface: eth1", "ebgpMultihop: true"}, "wrong spec.ebgpMultihop: true: is not for a neighbour on an interface, which is one hop away: leave it out"},
		"discovery and interface":    {[]string{objectstest.PeerASN, "interface: eth1", "peerDiscovery: defaultGateway"}, "wrong spec.peerDiscovery: defaultGateway: stands beside interface: give one of them"},
		"discovery and address":      {[]string{objectstest.PeerAddress, objectstest.PeerASN, "peerDiscovery: defaultGateway"}, "wrong spec.peerDiscovery: defaultGateway: stands beside peerAddress: give one of them"},
		"discovery unknown":          {[]string{objectstest.PeerASN, "peerDiscovery: lldp"}, "wrong spec.peerDiscovery: lldp: is not defaultGateway"},
		"discovery, source of IPv6":  {[]string{objectstest.PeerASN, "peerDiscovery: defaultGateway", "sourceAddress: '2001:db8::1'"}, "wrong spec.sourceAddress: 2001:db8::1: is not of the default gateway's family: IPv4, unless families has ipv6-unicast alone"},
		"AS twice":                   {[]string{objectstest.PeerAddress, objectstest.PeerASN, "dynamicASN: internal"}, "wrong spec.dynamicASN: internal: stands beside peerASN: give one of them"},
		"AS dynamic, unknown":        {[]string{objectstest.PeerAddress, "dynamicASN: any"}, "wrong spec.dynamicASN: any: is neither external nor internal"},
		"AS dynamic":                 {[]string{objectstest.PeerAddress, "dynamicASN: external"}, ""},
		"bfd":                        {[]string{objectstest.PeerAddress, objectstest.PeerASN, "bfd: {detectMultiplier: 3}"}, ""},
		"bfd too fast":               {[]string{objectstest.PeerAddress, objectstest.PeerASN, "bfd: {transmitInterval: 1ms}"}, "wrong spec.bfd.transmitInterval: 1ms: is not between 10ms and 1m0s; leave it out for 300ms"},
		"bfd too slow":               {[]string{objectstest.PeerAddress, objectstest.PeerASN, "bfd: {receiveInterval: 61s}"}, "wrong spec.bfd.receiveInterval: 1m1s: is not between 10ms and 1m0s; leave it out for 300ms"},
		"bfd multiplier":             {[]string{objectstest.PeerAddress, objectstest.PeerASN, "bfd: {detectMultiplier: 256}"}, "wrong spec.bfd.detectMultiplier: 256: is not a number from 1 to 255; leave it out for 3"},
		"bfd a number":               {[]string{objectstest.PeerAddress, objectstest.PeerASN, "bfd: {receiveInterval: 300}"}, `wrong spec.bfd.receiveInterval: 300: is not a duration with its unit, such as "90s"`},
		"hold time 0":                {[]string{objectstest.PeerAddress, objectstest.PeerASN, "holdTime: 0s"}, "wrong spec.holdTime: 0s: is not between 3s and 65535s; leave it out for 90s"},
		"hold time 2":                {[]string{objectstest.PeerAddress, objectstest.PeerASN, "holdTime: 2s"}, "wrong spec.holdTime: 2s: is not between 3s and 65535s; leave it out for 90s"},
		"hold time too long":         {[]string{objectstest.PeerAddress, objectstest.PeerASN, "holdTime: 18h12m16s"}, "wrong spec.holdTime: 18h12m16s: is not between 3s and 65535s; leave it out for 90s"},
		"hold time, fraction":        {[]string{objectstest.PeerAddress, objectstest.PeerASN, "holdTime: 9500ms"}, "wrong spec.holdTime: 9.5s: BGP counts in whole seconds: round it"},
		"hold time a number":         {[]string{objectstest.PeerAddress, objectstest.PeerASN, "holdTime: 90"}, `wrong spec.holdTime: 90: is not a duration with its unit, such as "90s"`},
		"hold time without unit":     {[]string{objectstest.PeerAddress, objectstest.PeerASN, `holdTime: "90"`}, `wrong spec.holdTime: "90": is not a duration with its unit, such as "90s"`},
		"keepalive too long":         {[]string{objectstest.PeerAddress, objectstest.PeerASN, "keepaliveTime: 31s"}, "wrong spec.keepaliveTime: 31s: is more than a third of holdTime 90s, so that one lost KEEPALIVE may end the session: 30s at most"},
		"keepalive 0":                {[]string{objectstest.PeerAddress, objectstest.PeerASN, "keepaliveTime: 0s"}, "wrong spec.keepaliveTime: 0s: is not between 1s and 65535s; leave it out for 30s"},
		"connect retry 0":            {[]string{objectstest.PeerAddress, objectstest.PeerASN, "connectRetryTime: 0s"}, "wrong spec.connectRetryTime: 0s: is not between 1s and 65535s; leave it out for 5s"},
		"ttlSecurity and multihop":   {[]string{objectstest.PeerAddress, objectstest.PeerASN, "ttlSecurity: true", "ebgpMultihop: true"}, "wrong spec.ttlSecurity: true: is for a neighbour one hop away and excludes ebgpMultihop: leave one of them out"},
		"ttlSecurity, internal":      {[]string{objectstest.PeerAddress, objectstest.PeerASN, "localASN: 65000", "ttlSecurity: true"}, ""},
		"multihop, internal":         {[]string{objectstest.PeerAddress, objectstest.PeerASN, "localASN: 65000", "ebgpMultihop: true"}, "warning spec.ebgpMultihop: true: means nothing to an internal neighbour, which may be any number of hops away"},
		"source of another family":   {[]string{objectstest.PeerAddress, objectstest.PeerASN, "sourceAddress: '2001:db8::1'"}, "wrong spec.sourceAddress: 2001:db8::1: is not of the same family as peerAddress 10.0.0.1"},
		"source is the peer":         {[]string{objectstest.PeerAddress, objectstest.PeerASN, "sourceAddress: 10.0.0.1"}, "wrong spec.sourceAddress: 10.0.0.1: is the neighbour's own address: give one of the node's, or leave it out"},
		"port 0":                     {[]string{objectstest.PeerAddress, objectstest.PeerASN, "port: 0"}, "wrong spec.port: 0: a TCP port is 1 to 65535; leave it out for 179"},
		"port too large":             {[]string{objectstest.PeerAddress, objectstest.PeerASN, "port: 65536"}, "wrong spec.port: 65536: a TCP port is 1 to 65535; leave it out for 179"},
		"families twice":             {[]string{objectstest.PeerAddress, objectstest.PeerASN, "families: [ipv4-unicast, ipv4-unicast]"}, "wrong spec.families[1]: ipv4-unicast: is there twice: leave one"},
		"families unknown":           {[]string{objectstest.PeerAddress, objectstest.PeerASN, "families: [ipv6-unicast, evpn]"}, "wrong spec.families[1]: evpn: is neither ipv4-unicast nor ipv6-unicast"},
		"families none":              {[]string{objectstest.PeerAddress, objectstest.PeerASN, "families: []"}, "wrong spec.families: []: a session without a family carries nothing: leave it out for both"},
		"restart time too long":      {[]string{objectstest.PeerAddress, objectstest.PeerASN, "gracefulRestart: {restartTime: 4096s}"}, "wrong spec.gracefulRestart.restartTime: 1h8m16s: is not between 1s and 4095s; leave it out for 120s"},
		"community":                  {[]string{objectstest.PeerAddress, objectstest.PeerASN, "attributes: {communities: ['65000:1', 'no-exports']}"}, `wrong spec.attributes.communities[1]: "no-exports" is neither AS:VALUE nor the name of a well-known community`},
		"two communities in one":     {[]string{objectstest.PeerAddress, objectstest.PeerASN, "attributes: {communities: ['65000:1,65000:2']}"}, `wrong spec.attributes.communities[0]: "65000:1,65000:2" has a comma: one community per item`},
		"med":                        {[]string{objectstest.PeerAddress, objectstest.PeerASN, "attributes: {med: -1}"}, "wrong spec.attributes.med: -1: is not a number from 0 to 4294967295"},
		"local pref":                 {[]string{objectstest.PeerAddress, objectstest.PeerASN, "attributes: {localPref: 4294967296}"}, "wrong spec.attributes.localPref: 4294967296: is not a number from 0 to 4294967295"},
		"too many communities":       {[]string{objectstest.PeerAddress, objectstest.PeerASN, "attributes: {communities: [" + manyCommunities() + "]}"}, "wrong spec.attributes.communities: has 65 communities: at most 64 are allowed"},
		"prepend":                    {[]string{objectstest.PeerAddress, objectstest.PeerASN, "attributes: {asPathPrepend: 17}"}, "wrong spec.attributes.asPathPrepend: 17: is not a number from 0 to 16"},
		"no prefix of a Pod":         {[]string{objectstest.PeerAddress, objectstest.PeerASN, "maxPodPrefixes: 0"}, "wrong spec.maxPodPrefixes: 0: is not a number from 1 to 4294967295; leave it out for as many prefixes as there are"},
		"selector operator":          {[]string{objectstest.PeerAddress, objectstest.PeerASN, "nodeSelector: {matchExpressions: [{key: rack, operator: Inn, values: [a]}]}"}, "wrong spec.nodeSelector.matchExpressions[0].operator: Inn: is not one of In, NotIn, Exists, DoesNotExist"},
		"selector operator missing":  {[]string{objectstest.PeerAddress, objectstest.PeerASN, "nodeSelector: {matchExpressions: [{key: rack}]}"}, "wrong spec.nodeSelector.matchExpressions[0].operator: missing: give In, NotIn, Exists or DoesNotExist"},
		"selector without values":    {[]string{objectstest.PeerAddress, objectstest.PeerASN, "nodeSelector: {matchExpressions: [{key: rack, operator: In}]}"}, "wrong spec.nodeSelector.matchExpressions[0].values: missing: operator In needs at least one value"},
		"selector with values":       {[]string{objectstest.PeerAddress, objectstest.PeerASN, "nodeSelector: {matchExpressions: [{key: rack, operator: Exists, values: [a]}]}"}, "wrong spec.nodeSelector.matchExpressions[0].values: [a]: operator Exists takes no values: remove them"},
		"selector key missing":       {[]string{objectstest.PeerAddress, objectstest.PeerASN, "nodeSelector: {matchExpressions: [{operator: Exists}]}"}, "wrong spec.nodeSelector.matchExpressions[0].key: missing: give the key of a label"},
		"secret missing":             {[]string{objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {name: md5}"}, "wrong spec.passwordSecretRef: Secret md5 is not in the input: add it, or take passwordSecretRef away"},
		"secret's name missing":      {[]string{objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {key: password}"}, "wrong spec.passwordSecretRef.name: missing: give the name of the Secret with the password, or leave passwordSecretRef out"},
		"several":                    {[]string{"port: 0"}, "wrong spec.peerAddress: missing: give the neighbour's IPv4 or IPv6 address, or interface or peerDiscovery in its place\nwrong spec.port: 0: a TCP port is 1 to 65535; leave it out for 179\nwrong spec.peerASN: missing: " + bounds + "the AS that the neighbour is in, or dynamicASN"},
	} {
		t.Run(name, func(t *testing.T) {
			c := convert(t, objectstest.BGPPeer("tor-a", tc.spec...))
			got := strings.TrimSpace(strings.ReplaceAll(problemLines(c), at, ""))
			if got != tc.want {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tc.want)
			}
			used := !strings.Contains(tc.want, "wrong ")
			if (len(c.Snapshot.Peers) == 1) != used {
				t.Errorf("peers %v, want used %v", c.Snapshot.Peers, used)
			}
		})
	}
}

// What is wrong with a Secret or the reference to it, without ever showing what
// is in it.
func TestPasswordProblems(t *testing.T) {
	const at = "BGPPeer tor-a: spec.passwordSecretRef: "
	peer := objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "passwordSecretRef: {name: md5}")
	for name, tc := range map[string]struct {
		secret, want, password string
	}{
		"stringData":     {objectstest.SecretHead + "stringData: {password: hunter2}", "", "hunter2"},
		"data":           {objectstest.SecretHead + "data: {password: aHVudGVyMg==}", "", "hunter2"},
		"stringData won": {objectstest.SecretHead + "data: {password: b2xk}\nstringData: {password: hunter2}", "", "hunter2"},
		"no key":         {objectstest.SecretHead + "stringData: {pass: hunter2}", at + "Secret md5 has no key password: add it, or name the right one in passwordSecretRef.key", ""},
		"empty":          {objectstest.SecretHead + "stringData: {password: ''}", at + "key password of Secret md5 is empty: put the neighbour's password there", ""},
		"too long":       {objectstest.SecretHead + "stringData: {password: " + strings.Repeat("x", 81) + "}", at + "key password of Secret md5 has 81 bytes: TCP MD5 takes 80 at most", ""},
		"longest":        {objectstest.SecretHead + "stringData: {password: " + strings.Repeat("x", 80) + "}", "", strings.Repeat("x", 80)},
		"line end":       {objectstest.SecretHead + "data: {password: aHVudGVyMgo=}", at + "key password of Secret md5 begins or ends with a blank or a line end, which is part of the password; `printf %s` writes none", "hunter2\n"},
		"not base64":     {objectstest.SecretHead + "data: {password: hunter2!}", at + "Secret md5 is in the input but does not convert: see its own problem\nin.yaml document 2: Secret md5: data.password: is not base64: put plain text under stringData", ""},
		"not a string":   {objectstest.SecretHead + "stringData: {password: 12345678}", at + "Secret md5 is in the input but does not convert: see its own problem\nin.yaml document 2: Secret md5: stringData.password: is not a string: put it in quotes", ""},
		"alias":          {objectstest.SecretHead + "stringData: {password: *hunter2 }", at + "Secret md5 is not in the input: add it, or take passwordSecretRef away\nin.yaml document 2: a value that starts with * refers to an anchor that is not there: quote it", ""},
		"template":       {objectstest.SecretHead + "stringData: {password: {{ hunter2 }} }", at + "Secret md5 is not in the input: add it, or take passwordSecretRef away\nin.yaml document 2: a map where a key belongs: quote values that start with {{", ""},
		"wrong tag":      {objectstest.SecretHead + "stringData: {password: !!int hunter2 }", at + "Secret md5 is not in the input: add it, or take passwordSecretRef away\nin.yaml document 2: cannot decode !!str a value as a !!int", ""},
		"two namespaces": {objectstest.SecretHead + "stringData: {password: hunter2}\n" + strings.Replace(objectstest.SecretHead, "name: md5", "name: md5, namespace: b", 1) + "stringData: {password: hunter3}",
			at + `Secret md5 is in the namespaces "" and "b": leave one in the input`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := convert(t, peer+tc.secret)
			var got []string
			for _, p := range c.Problems {
				got = append(got, strings.TrimPrefix(p.Error(), "in.yaml document 1: "))
			}
			if strings.Join(got, "\n") != tc.want {
				t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), tc.want)
			}
			if strings.Contains(strings.Join(got, ""), "hunter") {
				t.Error("a problem shows the password")
			}
			password := ""
			for _, p := range c.Snapshot.Peers {
				password = string(p.Password)
			}
			if password != tc.password {
				t.Errorf("password %q, want %q", password, tc.password)
			}
		})
	}
}

// What is wrong with other objects and with the stream itself.
func TestInputProblems(t *testing.T) {
	const subnet = "apiVersion: kubeovn.io/v1\nkind: Subnet\nmetadata: {name: s}\n"
	for name, tc := range map[string]struct{ text, want string }{
		"NAT a string":            {subnet + `spec: {natOutgoing: "false"}`, `wrong in.yaml document 1: Subnet s: spec.natOutgoing: "false": is neither true nor false (without quotes)`},
		"CIDR a list":             {subnet + `spec: {cidrBlock: [10.0.0.0/8]}`, `wrong in.yaml document 1: Subnet s: spec.cidrBlock: ["10.0.0.0/8"]: is not a string: put it in quotes`},
		"two misfits":             {subnet + `spec: {vpc: 5, private: maybe}`, "wrong in.yaml document 1: Subnet s: spec.private: \"maybe\": is neither true nor false (without quotes)\nwrong in.yaml document 1: Subnet s: spec.vpc: 5: is not a string: put it in quotes"},
		"no spec":                 {subnet, "wrong in.yaml document 1: Subnet s: spec: missing: a Subnet without one is only a part of one"},
		"created nonsense":        {strings.Replace(subnet, "name: s", "name: s, creationTimestamp: now", 1) + "spec: {}", `wrong in.yaml document 1: Subnet s: metadata.creationTimestamp: "now": is not a time such as 2026-01-02T15:04:05Z`},
		"annotation a bool":       {strings.Replace(subnet, "name: s", "name: s, annotations: {fairway.dev/advertise: true}", 1) + "spec: {}", "refused in.yaml document 1: Subnet s: metadata.annotations[fairway.dev/advertise]: true: is not a string, and Kubernetes would refuse it: put it in quotes"},
		"annotation a map":        {strings.Replace(subnet, "name: s", "name: s, annotations: {fairway.dev/advertise: {a: b}}", 1) + "spec: {}", `wrong in.yaml document 1: Subnet s: metadata.annotations[fairway.dev/advertise]: {"a":"b"}: is not a string: put it in quotes`},
		"annotation of others":    {strings.Replace(subnet, "name: s", "name: s, annotations: {example.org/x: true}", 1) + "spec: {}", ""},
		"gateway selector":        {subnet + "spec: {gatewayNodeSelectors: [{matchExpressions: [{key: a, operator: Is}]}]}", "wrong in.yaml document 1: Subnet s: spec.gatewayNodeSelectors[0].matchExpressions[0].operator: Is: is not one of In, NotIn, Exists, DoesNotExist"},
		"gateway selector unused": {subnet + "spec: {gatewayNode: n1, gatewayNodeSelectors: [{matchExpressions: [{key: a, operator: Is}]}]}", ""},
		"node address":            {"apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus: {addresses: [{type: InternalIP, address: n1}]}", "warning in.yaml document 1: Node n1: status.addresses[0].address: n1: is not an IP address: left out"},
		"pod address": {"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: d, annotations: {ovn.kubernetes.io/ip_address: 'x', ovn.kubernetes.io/logical_switch: s}}\nspec: {nodeName: n1}",
			"warning in.yaml document 1: Pod d/p: metadata.annotations[ovn.kubernetes.io/ip_address]: x: is not an IP address: left out"},
		"not YAML":                      {"a: [b", "wrong in.yaml document 1: line 1: did not find expected ',' or ']'"},
		"not YAML, later":               {"# c\n---\n" + subnet + "spec: {}\n---\n\n\na: [b", "wrong in.yaml document 2: line 10: did not find expected ',' or ']'"},
		"a list":                        {"- a\n- b", "wrong in.yaml document 1: not a Kubernetes object: a map with apiVersion, kind and metadata is needed"},
		"no kind":                       {"apiVersion: v1\nmetadata: {name: a}", "wrong in.yaml document 1: apiVersion or kind is missing: not a Kubernetes object, or only a part of one"},
		"no name":                       {"apiVersion: v1\nkind: Node\nmetadata: {}", "wrong in.yaml document 1: Node without metadata.name: every object needs one"},
		"name a number":                 {"apiVersion: v1\nkind: Node\nmetadata: {name: 5}", "wrong in.yaml document 1: metadata.name is not a string: put it in quotes"},
		"name a boolean":                {"apiVersion: v1\nkind: Node\nmetadata: {name: n}", "wrong in.yaml document 1: metadata.name is not a string: put it in quotes"},
		"peer of tomorrow":              {"apiVersion: fairway.dev/v1\nkind: BGPPeer\nmetadata: {name: tor-a}", "wrong in.yaml document 1: BGPPeer tor-a: apiVersion: fairway.dev/v1: this version knows BGPPeer and Speaker of fairway.dev/v1alpha1"},
		"peer's name":                   {objectstest.BGPPeer("Tor_A", objectstest.PeerAddress, objectstest.PeerASN), "wrong in.yaml document 1: BGPPeer Tor_A: metadata.name: Tor_A: is not a name that Kubernetes takes: use lower-case letters, digits, - and ."},
		"peer misspelt":                 {"apiVersion: fairway.dev/v1alpha1\nkind: BgpPeer\nmetadata: {name: tor-a}", "wrong in.yaml document 1: BgpPeer tor-a: apiVersion: fairway.dev/v1alpha1: this version knows BGPPeer and Speaker of fairway.dev/v1alpha1"},
		"key twice":                     {objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "port: 1", "port: 2"), "wrong in.yaml document 1: BGPPeer tor-a: a key is there twice: line 10: key \"port\" already set in map"},
		"key twice, JSON":               {`{"apiVersion":"fairway.dev/v1alpha1","kind":"BGPPeer","metadata":{"name":"tor-a"},"spec":{"peerAddress":"10.0.0.1","peerASN":5,"peerASN":6}}`, "wrong in.yaml document 1: BGPPeer tor-a: a key is there twice: spec.peerASN"},
		"key twice, other":              {subnet + "spec: {vpc: a, vpc: b}", "wrong in.yaml document 1: Subnet s: a key is there twice: line 4: key \"vpc\" already set in map"},
		"key twice, Subnet in JSON":     {`{"apiVersion":"kubeovn.io/v1","kind":"Subnet","metadata":{"name":"s"},"spec":{"natOutgoing":false,"natOutgoing":true}}`, "wrong in.yaml document 1: Subnet s: a key is there twice: spec.natOutgoing"},
		"key twice, ignored":            {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {a: 1, a: 2}", ""},
		"no line between two":           {subnet + "spec: {}\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}", "wrong in.yaml document 1: a key is there twice: line 5: key \"apiVersion\" already set in map line 6: key \"kind\" already set in map line 7: key \"metadata\" already set in map; is a line with --- missing between two objects?"},
		"the same object":               {subnet + "spec: {}\n---\n" + subnet + "spec: {}", "wrong in.yaml document 2: Subnet s: is in in.yaml document 1 too, and that one counts: remove one of them"},
		"the same address":              {objectstest.BGPPeer("tor-b", objectstest.PeerAddress, objectstest.PeerASN) + objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN), "wrong in.yaml document 1: BGPPeer tor-b: spec.peerAddress: 10.0.0.1: is the address of BGPPeer tor-a too, for the same nodes, and one session is all there can be: remove one, or tell them apart by nodeSelector"},
		"the same interface":            {objectstest.BGPPeer("tor-b", "interface: eth1", objectstest.PeerASN) + objectstest.BGPPeer("tor-a", "interface: eth1", objectstest.PeerASN), "wrong in.yaml document 1: BGPPeer tor-b: spec.interface: eth1: is the interface of BGPPeer tor-a too, for the same nodes, and one session is all there can be: remove one, or tell them apart by nodeSelector"},
		"two interfaces, two gateways":  {objectstest.BGPPeer("a", "interface: eth1", objectstest.PeerASN) + objectstest.BGPPeer("b", "interface: eth2", objectstest.PeerASN) + objectstest.BGPPeer("c", "peerDiscovery: defaultGateway", objectstest.PeerASN) + objectstest.BGPPeer("d", "peerDiscovery: defaultGateway", "families: [ipv6-unicast]", objectstest.PeerASN), ""},
		"the same address, other nodes": {objectstest.BGPPeer("tor-b", objectstest.PeerAddress, objectstest.PeerASN) + objectstest.BGPPeer("tor-a", objectstest.PeerAddress, objectstest.PeerASN, "nodeSelector: {matchLabels: {rack: a}}"), ""},
		"UTF-8 with a mark":             {"\ufeff" + subnet + "spec: {}", ""},
		"only comments":                 {"# nothing\n---\n", ""},
		"in a list":                     {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Node, metadata: {name: n1}}\n- {apiVersion: kubeovn.io/v1, kind: Subnet, metadata: {name: s}, spec: {vlan: 5}}", "wrong in.yaml document 1 item 2: Subnet s: spec.vlan: 5: is not a string: put it in quotes"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.TrimSpace(problemLines(convert(t, tc.text))); got != tc.want {
				t.Errorf("problems:\n%s\nwant:\n%s", got, tc.want)
			}
		})
	}
}

// manyCommunities is one more than a BGPPeer may add.
func manyCommunities() string {
	var out []string
	for i := range routes.MaxCommunities + 1 {
		out = append(out, fmt.Sprintf("'65000:%d'", i))
	}
	return strings.Join(out, ", ")
}
