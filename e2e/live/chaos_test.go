package live

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fairway-bgp/fairway/e2e/must"
)

// misfortune is a cluster in which things go wrong, and what its Subnets are at any
// moment: that is what the router must have.
type misfortune struct {
	*world
	*rand.Rand
	state   string
	subnets []*chaotic
}

// chaotic is a Subnet as it is meant. typo is whether its cidrBlock parses no more.
type chaotic struct {
	name, cidr                   string
	there, advertised, nat, typo bool
}

func (s *chaotic) announced() bool { return s.there && s.advertised && !s.nat }

// TestMisfortuneWithAnAPIServer draws what happens from a seed: objects change, break
// and are mended, the API server is away, hangs or hangs up, a CRD goes and comes
// back, the daemon is killed. After each step the router's kernel has what the
// Subnets ask for, and meanwhile nothing goes that the step was not about.
// FAIRWAY_CHAOS_SEED and FAIRWAY_CHAOS_STEPS draw another run.
func TestMisfortuneWithAnAPIServer(t *testing.T) {
	seed, steps := must.Setting(t, "FAIRWAY_CHAOS_SEED", 1), must.Setting(t, "FAIRWAY_CHAOS_STEPS", 16)
	t.Logf("FAIRWAY_CHAOS_SEED=%d FAIRWAY_CHAOS_STEPS=%d", seed, steps)
	w := newWorld(t, "a")
	m := &misfortune{world: w, Rand: rand.New(rand.NewPCG(uint64(seed), 0)), state: w.dir + "/state"}
	m.run("--state-dir=" + m.state)
	m.peer("a", ", gracefulRestart: {restartTime: 120s}")
	for i := range 6 {
		s := &chaotic{name: fmt.Sprint("s", i), cidr: fmt.Sprintf("10.%d.0.0/16", i+1), there: true, advertised: true}
		m.subnets = append(m.subnets, s)
		m.subnet(s.name, s.cidr, "")
	}
	m.routers["a"].has(m.wanted())
	var told []string
	for range steps {
		before, lost := strings.Fields(m.wanted()), m.routers["a"].losses()
		what, touched := m.step()
		told = append(told, what)
		m.routers["a"].has(m.wanted())
		for _, prefix := range lost() {
			// A daemon that starts while the API server is away may announce for a moment
			// what its last-known state still has.
			if slices.Contains(before, prefix) && !slices.Contains(touched, prefix) {
				t.Errorf("%s was lost, and nothing was done to it", prefix)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d, after:\n%s\nthe daemon:\n%s", seed, strings.Join(told, "\n"), m.log.last(60))
		}
	}
	t.Logf("%s", strings.Join(told, "\n"))
}

// wanted is what the router must have.
func (m *misfortune) wanted() string {
	var out []string
	for _, s := range m.subnets {
		if s.announced() {
			out = append(out, s.cidr)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// step does one thing, and gives what it was and which prefixes may go by it.
func (m *misfortune) step() (what string, touched []string) {
	s := m.subnets[m.IntN(len(m.subnets))]
	one := []string{s.cidr}
	switch m.IntN(10) {
	case 0:
		return "annotation of " + s.name + " changed", m.annotate(s, one)
	case 1:
		return "natOutgoing of " + s.name + " changed", m.flipNAT(s, one)
	case 2:
		return "cidrBlock of " + s.name + " broken, or mended", m.breakCIDR(s)
	case 3:
		return s.name + " deleted, or made", m.deleteOrMake(s, one)
	case 4:
		m.hangUp()
		return "all watches cut", nil
	case 5:
		m.line.Lock()
		m.says("/status.json", "not followed since")
		m.line.Unlock()
		return "the API server hung", nil
	case 6:
		m.server.API.Kill()
		m.says("/status.json", "not followed since")
		m.startAPI()
		return "the API server was away", m.annotate(s, one)
	case 7:
		m.deleteCRD()
		return "the CRD of Subnets was deleted, and came back", nil
	case 8:
		m.savedNow()
		m.stop(syscall.SIGKILL)
		m.run("--state-dir=" + m.state)
		return "the daemon was killed", nil
	}
	if s.announced() {
		m.patch(subnets(), s.name, `{"metadata":{"annotations":{"fairway.dev/med":"much"}}}`)
		m.says("/status.json", "fairway.dev/med")
		m.patch(subnets(), s.name, `{"metadata":{"annotations":{"fairway.dev/med":null}}}`)
	}
	return "an annotation of " + s.name + " did not parse", nil
}

func (m *misfortune) annotate(s *chaotic, touched []string) []string {
	if !s.there || s.typo {
		return nil // what is not selected is forgotten, its last good CIDR too
	}
	s.advertised = !s.advertised
	m.advertise(s.name, map[bool]string{true: `"true"`, false: "null"}[s.advertised])
	return touched
}

func (m *misfortune) flipNAT(s *chaotic, touched []string) []string {
	if s.there {
		s.nat = !s.nat
		m.patch(subnets(), s.name, fmt.Sprintf(`{"spec":{"natOutgoing":%t}}`, s.nat))
	}
	return touched
}

// breakCIDR lets one that is announced parse no more, which takes nothing away, or
// mends it.
func (m *misfortune) breakCIDR(s *chaotic) []string {
	if !s.typo && !s.announced() {
		return nil
	}
	s.typo = !s.typo
	m.patch(subnets(), s.name, fmt.Sprintf(`{"spec":{"cidrBlock":%q}}`, m.block(s)))
	if s.typo && s.announced() {
		m.says("/status.json", "InvalidCIDR")
	}
	return nil
}

func (m *misfortune) block(s *chaotic) string {
	if s.typo {
		return s.cidr + "6"
	}
	return s.cidr
}

func (m *misfortune) deleteOrMake(s *chaotic, touched []string) []string {
	there := 0
	for _, s := range m.subnets {
		if s.there {
			there++
		}
	}
	const least = 4 // so that a CRD that is deleted takes many along
	switch {
	case !s.there:
		s.there, s.advertised, s.nat, s.typo = true, true, false, false
		m.subnet(s.name, s.cidr, "")
	case there > least && !s.typo:
		s.there = false
		m.delete(subnets(), s.name)
	}
	return touched
}

// deleteCRD takes all Subnets away in one moment, and brings them back one by one.
func (m *misfortune) deleteCRD() {
	m.delete(like("apiextensions.k8s.io/v1", "CustomResourceDefinition", ""), "subnets.kubeovn.io")
	m.says("/status.json", "subnets.kubeovn.io: its CRD is not installed")
	if err := m.server.InstallCRDs(m.ctx()); err != nil {
		m.Fatal(err)
	}
	for _, s := range m.subnets {
		if !s.there {
			continue
		}
		m.subnet(s.name, m.block(s), fmt.Sprintf(", natOutgoing: %t", s.nat))
		if !s.advertised {
			m.advertise(s.name, "null")
		}
	}
	m.until("nothing is held any more", func() string {
		text, _ := m.ask("/status.json")
		return lack(!strings.Contains(text, "vanished together") && !strings.Contains(text, "its CRD is not installed"))
	})
}

// savedNow waits until the state on disk has all that is announced, and what was good
// of it.
func (m *misfortune) savedNow() {
	m.until("the state on disk is that of now", func() string {
		text, err := os.ReadFile(m.state + "/last-known.json")
		for _, s := range m.subnets {
			if err != nil || s.announced() && !strings.Contains(string(text), `"`+s.cidr+`"`) {
				return fmt.Sprintf("%v, %s", err, s.cidr)
			}
		}
		return ""
	})
}
