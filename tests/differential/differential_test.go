// Package differential_test runs random programs of AMQP operations against
// two brokers, RabbitMQ and ours, and compares what the client sees.
//
//	go test ./tests/differential -programs 2000
//	go test ./tests/differential -seed 71 -programs 1 -v
//	go test ./tests/differential -programs 2000 -against rabbitmq
//
// A program follows from its seed alone. Operations are made one at a time and
// settled before the next, so that what is seen does not depend on how either
// broker schedules its work; what still does (server-made names, the grouping
// of confirms, the interleaving of independent queues on one channel, times) is
// taken out of the transcript. A difference counts when it shows again with
// longer pauses, and is shrunk to the fewest operations that still show it.
package differential_test

import (
	"flag"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

var (
	programs = flag.Int("programs", 200, "how many random programs to compare")
	seed     = flag.Uint64("seed", 1, "seed of the first program; the next one's is one more")
	against  = flag.String("against", "", "URL of the broker to compare, `rabbitmq` for RabbitMQ with itself; ours is started if empty")
	workers  = flag.Int("workers", 16, "programs under way at once; most of their time they wait")
	tell     = flag.Bool("show", false, "print what the first broker says to every program")
	failures = flag.Int("failures", 5, "differences after which to give up")
)

// vhosts are the virtual hosts of one broker, one for each program that runs at the same
// time, because programs share the predeclared exchanges.
func vhosts(prefix string) (names []string) {
	for i := range *workers {
		names = append(names, fmt.Sprintf("differential-%s%d", prefix, i))
	}
	return names
}

// prepare makes RabbitMQ's virtual hosts.
func prepare(t *testing.T, node *rabbitmq.Node, prefix string) []*broker {
	var calls strings.Builder
	for _, v := range vhosts(prefix) {
		fmt.Fprintf(&calls, `rabbit_vhost:add(<<%q>>, <<"test">>), rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<%q>>, <<".*">>, <<".*">>, <<".*">>, <<"test">>), rabbit_trace:start(<<%q>>), `, v, v, v)
	}
	node.Ctl(t, "eval", calls.String()+"ok.")
	return at(t, "RabbitMQ", node.URL, prefix)
}

// at are the virtual hosts of the broker at this URL, one a worker.
func at(t *testing.T, name, raw, prefix string) (brokers []*broker) {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	for _, v := range vhosts(prefix) {
		brokers = append(brokers, &broker{name: name, addr: u.Host, user: u.User.Username(), password: password, vhost: v})
	}
	return brokers
}

// pairs are the brokers to compare, one pair a worker.
func pairs(t *testing.T, node *rabbitmq.Node) (ps []pair) {
	reference := prepare(t, node, "a")
	var subject []*broker
	switch *against {
	case "rabbitmq":
		subject = prepare(t, node, "b")
	case "":
		n := embedded.New(t, embedded.Options{Vhosts: vhosts("a"), Set: []string{"log.level=error"}})
		subject = at(t, "ours", n.URL, "a")
	default:
		subject = at(t, "ours", *against, "a")
	}
	for i := range reference {
		ps = append(ps, pair{reference[i], subject[i], nil})
	}
	if *against == "" {
		later := map[string]bool{}
		for _, c := range changes {
			later[c.since] = node.AtLeast(t, c.since)
		}
		for i := range ps {
			ps[i].later = later
		}
	}
	return ps
}

// reference is the RabbitMQ to compare with. The embedded broker does as 3.10 does;
// what 4.3 refuses of that unless its configuration permits it is permitted here.
func reference(t *testing.T) *rabbitmq.Node {
	t.Helper()
	node := rabbitmq.Shared(t)
	if !node.AtLeast(t, "4.3") {
		return node
	}
	return rabbitmq.NewWith(t, "deprecated_features.permit.transient_nonexcl_queues = true\ndeprecated_features.permit.global_qos = true\n")
}

func TestDifferential(t *testing.T) {
	if testing.Short() {
		t.Skip("compares with RabbitMQ, thousands of programs")
	}
	ps := pairs(t, reference(t))
	c := &comparison{t: t, changed: map[string]int{}}
	began := time.Now()
	seeds := make(chan uint64)
	var wg sync.WaitGroup
	for _, p := range ps {
		wg.Go(func() {
			for s := range seeds {
				c.compare(p, s)
			}
		})
	}
	for i := range uint64(*programs) {
		if c.full() {
			break
		}
		seeds <- *seed + i
	}
	close(seeds)
	wg.Wait()
	t.Logf("%d programs from seed %d, %d operations, %v; %d looked different once, %d every time, %d ended with a connection",
		c.compared, *seed, c.operations, time.Since(began).Round(time.Millisecond), c.unsteady, c.different, c.excused)
	for _, change := range changes {
		if n := c.changed[change.what]; n > 0 {
			t.Logf("%d met what changed in RabbitMQ %s: %s", n, change.since, change.what)
		}
	}
}

// comparison is one run of the test.
type comparison struct {
	t                    *testing.T
	mu                   sync.Mutex
	compared, operations int
	unsteady, different  int
	excused              int
	changed              map[string]int // by change.what
	shrinking            sync.Mutex     // one at a time, as the output is read by people
}

func (c *comparison) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.different >= *failures
}

// pair is the two brokers of one worker.
type pair struct {
	reference, subject *broker
	later              map[string]bool // the versions of changes that reference has
}

// both runs a program on the two brokers at once.
func (p pair) both(program []*operation, slowly bool) (left, right *transcript) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		left = execute(p.reference, program, slowly)
	}()
	right = execute(p.subject, program, slowly)
	<-done
	return left, right
}

// differs reports whether the two brokers still differ when the program is repeated, with
// what they sent last.
func (p pair) differs(program []*operation, tries int) (left, right *transcript, yes bool) {
	for range tries {
		left, right = p.both(program, true)
		if left.equal(right) || left.excused(right) || p.changed(program, left, right) != "" {
			return left, right, false
		}
	}
	return left, right, true
}

// racesMax is how often a program has to differ: RabbitMQ's processes race with each other,
// and one of the outcomes is the same as ours.
const racesMax = 8

func (c *comparison) compare(p pair, seed uint64) {
	program := write(seed)
	left, right := p.both(program, false)
	excused := left.excused(right)
	changed := p.changed(program, left, right)
	same := left.equal(right) || excused || changed != ""
	c.mu.Lock()
	c.compared++
	c.operations += len(program)
	if excused {
		c.excused++
	}
	if changed != "" {
		c.changed[changed]++
	}
	c.mu.Unlock()
	if *tell {
		c.t.Logf("seed %d, %v\n%v", seed, left.took, left)
	}
	if same {
		return
	}
	l, r, yes := p.differs(program, racesMax)
	if !yes {
		c.mu.Lock()
		c.unsteady++
		c.mu.Unlock()
		c.t.Logf("seed %d looked different once:\n%s", seed, beside(p.reference.name, p.subject.name, left, right))
		return
	}
	c.mu.Lock()
	c.different++
	c.mu.Unlock()
	c.shrinking.Lock()
	defer c.shrinking.Unlock()
	left, right = l, r // of the shortest program that differed: it may not do so every time
	program = shrink(program, func(less []*operation) bool {
		l, r, yes := p.differs(less, 1)
		if yes {
			left, right = l, r
		}
		return yes
	}, time.Now().Add(90*time.Second))
	c.t.Errorf("seed %d differs (repeat: go test ./tests/differential -seed %d -programs 1); shrunk to %d operations:\n%s",
		seed, seed, len(program), beside(p.reference.name, p.subject.name, left, right))
}

// shrink takes operations out while the program still fails: delta debugging,
// by halves first and single operations last.
func shrink(program []*operation, fails func([]*operation) bool, deadline time.Time) []*operation {
	for chunk := max(1, len(program)/2); chunk > 0 && time.Now().Before(deadline); {
		removed := false
		for at := len(program) - chunk; at >= 0 && time.Now().Before(deadline); at -= chunk {
			less := append(append([]*operation{}, program[:at]...), program[at+chunk:]...)
			if len(less) > 0 && fails(less) {
				program, removed = less, true
				at = min(at, len(program))
			}
		}
		if !removed || chunk > len(program) {
			chunk /= 2
		}
	}
	return program
}

// TestShrink takes all out but the two operations that matter.
func TestShrink(t *testing.T) {
	program := write(1)
	has := func(p []*operation, id int) bool {
		for _, o := range p {
			if o.id == id {
				return true
			}
		}
		return false
	}
	got := shrink(program, func(p []*operation) bool { return has(p, 2) && has(p, 7) }, time.Now().Add(time.Minute))
	if len(got) != 2 || !has(got, 2) || !has(got, 7) {
		t.Error(fmt.Sprint("shrunk to ", got))
	}
}

// TestProgramsFollowFromSeeds: otherwise a seed in a report would be worth nothing.
func TestProgramsFollowFromSeeds(t *testing.T) {
	for s := range uint64(50) {
		if first, second := fmt.Sprint(write(s)), fmt.Sprint(write(s)); first != second {
			t.Errorf("seed %d gives two programs", s)
		}
	}
}
