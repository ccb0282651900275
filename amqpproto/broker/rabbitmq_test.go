package broker_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/rabbitmq"
)

// The scripts of script_test.go are played to RabbitMQ and to this broker, and
// what a client hears must be the same to the letter: reply texts too, which
// the random programs of tests/differential do not compare.

const scriptVhost = "broker-scripts"

// talker is one end of a conversation that a script has with a broker.
type talker interface {
	say(b []byte)
	hear() string
}

// socket is a talker to a real broker.
type socket struct {
	ear
	conn  net.Conn
	quiet time.Duration
	over  bool
}

func (s *socket) say(b []byte) { _, _ = s.conn.Write(b) } // what it may fail of is heard

// hear returns what comes until it is quiet for some time: nothing says when a
// broker has said all that it will.
func (s *socket) hear() string {
	s.heard = nil
	buf := make([]byte, 64<<10)
	quiet := s.quiet
	for !s.over {
		_ = s.conn.SetReadDeadline(time.Now().Add(quiet))
		n, err := s.conn.Read(buf)
		s.take(buf[:n])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			s.over = true
			s.heard = append(s.heard, "eof")
		}
		quiet = s.quiet / 2
	}
	return strings.Join(s.heard, "\n")
}

// inMemory is a talker to a machine.
type inMemory struct{ p *peer }

func (m inMemory) say(b []byte) { m.p.say(b) }

func (m inMemory) hear() string { return m.p.hear() }

// player plays a script to one broker.
type player struct {
	t       *testing.T
	vhost   string
	dial    func() talker
	lines   map[string]talker // by name, "" is the one that scripts begin with
	told    []string
	replyTo string // the last name of a reply box that was heard
}

// made are the names that a broker makes up.
var made = regexp.MustCompile(`amq\.(gen|ctag)-[-_A-Za-z0-9]+|amq\.rabbitmq\.reply-to\.[-_=.+/A-Za-z0-9]+`)

var confirmed = regexp.MustCompile(`(basic\.n?ack {DeliveryTag:\d+) Multiple:\w+ `)

// hear writes down what was heard after what was said.
func (p *player) hear(said string, from talker) {
	heard := from.hear()
	if m := regexp.MustCompile(`reply_to=(amq\.rabbitmq\.reply-to\.\S+)`).FindStringSubmatch(heard); m != nil {
		p.replyTo = m[1]
	}
	heard = strings.ReplaceAll(heard, p.vhost, scriptVhost)
	heard = made.ReplaceAllStringFunc(heard, func(s string) string { return s[:strings.IndexAny(s[4:], "-.")+4] + "*" })
	// When the socket is closed, and which confirms go together, is a matter of time.
	heard = strings.TrimSuffix(strings.TrimSuffix(heard, "eof"), "\n")
	heard = confirmed.ReplaceAllString(heard, "$1 ")
	p.told = append(p.told, "> "+said, heard)
}

// on sends methods and contents over a named connection, which it opens.
func (p *player) on(name, user string) *side {
	if p.lines[name] == nil {
		t := p.dial()
		p.lines[name] = t
		t.say([]byte(amqpproto.ProtocolHeader))
		t.hear()
		say := func(m amqpproto.Method) {
			b, err := amqpproto.AppendMethod(nil, 0, m)
			if err != nil {
				p.t.Fatal(err)
			}
			t.say(b)
		}
		say(&amqpproto.ConnectionStartOk{ClientProperties: table(everything), Mechanism: []byte("PLAIN"),
			Response: []byte("\x00" + user + "\x00" + user), Locale: []byte("en_US")})
		t.hear()
		say(&amqpproto.ConnectionTuneOk{ChannelMax: 2047, FrameMax: 131072})
		say(&amqpproto.ConnectionOpen{VirtualHost: []byte(p.vhost)})
		t.hear()
		for ch := uint16(1); ch <= 2; ch++ {
			b, _ := amqpproto.AppendMethod(nil, ch, &amqpproto.ChannelOpen{})
			t.say(b)
		}
		t.hear()
	}
	return &side{p, p.lines[name], name}
}

// side is a connection of a script.
type side struct {
	p    *player
	t    talker
	name string
}

// do sends a method and listens.
func (l *side) do(ch uint16, m amqpproto.Method) *side {
	l.p.t.Helper()
	b, err := amqpproto.AppendMethod(nil, ch, m)
	if err != nil {
		l.p.t.Fatal(err)
	}
	l.t.say(b)
	l.p.hear(fmt.Sprintf("%s%d %s %+v", l.name, ch, m.ID(), m), l.t)
	return l
}

// raw sends octets and listens.
func (l *side) raw(b []byte) *side {
	l.t.say(b)
	l.p.hear(fmt.Sprintf("%s %.60q", l.name, b), l.t)
	return l
}

// publish sends a message and listens.
func (l *side) publish(ch uint16, exchange, key string, props amqpproto.Properties, mandatory bool) *side {
	l.t.say(publication(l.p.t, ch, exchange, key, "body", props, mandatory))
	l.p.hear(fmt.Sprintf("%s%d publish %q %q", l.name, ch, exchange, key), l.t)
	return l
}

// listen hears what came by itself.
func (l *side) listen() *side {
	l.p.hear(l.name+" listens", l.t)
	return l
}

func play(t *testing.T, vhost string, dial func() talker, script func(p *player)) string {
	p := &player{t: t, vhost: vhost, dial: dial, lines: map[string]talker{}}
	script(p)
	return strings.Join(p.told, "\n")
}

// skipLater skips differences between RabbitMQ 3 and RabbitMQ 4: its texts, its marks on
// messages, its refusals. The client has to know which of the two it talks to.
func skipLater(t *testing.T, node *rabbitmq.Node) {
	t.Helper()
	if node.AtLeast(t, "4.0") {
		t.Skip("the embedded broker answers as RabbitMQ 3.10 does, not as " + node.Version(t))
	}
}

func TestSameWordsAsRabbitMQ(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for RabbitMQ to be quiet, often")
	}
	node := rabbitmq.Shared(t)
	u, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	skipLater(t, node)
	makeVhost(t, node, scriptVhost)
	hash, err := bcrypt.GenerateFromPassword([]byte("narrow"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, broker.Options{Vhosts: []string{scriptVhost}, Users: map[string]broker.User{
				"guest": {}, "narrow": {Hash: string(hash), Vhosts: map[string]broker.Permissions{
					scriptVhost: {Configure: `^(mine|amq\.gen.*)`, Write: `^(mine|amq\.direct)`, Read: "^mine"}}}}})
			got := play(t, scriptVhost, func() talker { return inMemory{f.dial("")} }, script)
			want, vhost := "", scriptVhost
			// A RabbitMQ that was only late gets more time, and sends the missing part then.
			for quiet := 200 * time.Millisecond; quiet < 10*time.Second; quiet *= 5 {
				want = play(t, vhost, func() talker { return dialSocket(t, u.Host, quiet) }, script)
				if got == want {
					return
				}
				vhost = fmt.Sprint(scriptVhost, "-", name, "-", quiet)
				makeVhost(t, node, vhost)
			}
			t.Errorf("RabbitMQ and this broker differ (-RabbitMQ +ours):\n%s", differ(want, got))
		})
	}
}

func dialSocket(t *testing.T, addr string, quiet time.Duration) *socket {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &socket{ear: ear{t: t}, conn: conn, quiet: quiet}
}

// makeVhost makes an empty virtual host, and what users may do in it.
func makeVhost(t *testing.T, node *rabbitmq.Node, vhost string) {
	t.Helper()
	node.Ctl(t, "eval", fmt.Sprintf(`catch rabbit_vhost:delete(<<%[1]q>>, <<"test">>), rabbit_vhost:add(<<%[1]q>>, <<"test">>),
		rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<%[1]q>>, <<".*">>, <<".*">>, <<".*">>, <<"test">>),
		catch rabbit_auth_backend_internal:add_user(<<"narrow">>, <<"narrow">>, <<"test">>),
		rabbit_auth_backend_internal:set_permissions(<<"narrow">>, <<%[1]q>>, <<"^(mine|amq\\.gen.*)">>, <<"^(mine|amq\\.direct)">>, <<"^mine">>, <<"test">>), ok.`, vhost))
}

// differ shows both texts where they part.
func differ(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var b strings.Builder
	for i := 0; i < max(len(w), len(g)); i++ {
		left, right := at(w, i), at(g, i)
		if left == right {
			fmt.Fprintf(&b, "  %s\n", left)
			continue
		}
		fmt.Fprintf(&b, "- %s\n+ %s\n", left, right)
	}
	return b.String()
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}
