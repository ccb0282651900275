package amqpproto_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zamqp/amqpproto"
)

var update = flag.Bool("update", false, "write the events of testdata/*.txt again")

// scanner reads one direction of a connection the way the loop feeds a machine:
// each chunk behind what was left of the ones before, in a buffer that is
// overwritten afterwards, so that a view kept too long shows.
type scanner struct {
	max    uint32
	kept   []byte
	header bool // a protocol header has to come first
	asm    map[uint16]*amqpproto.Assembler
	method map[uint16]string
	events []string
	failed bool
	again  bool // encode each frame again, and compare
}

func newScanner(max uint32) *scanner {
	return &scanner{max: max, asm: map[uint16]*amqpproto.Assembler{}, method: map[uint16]string{}}
}

func (s *scanner) feed(chunk []byte) {
	if s.failed {
		return
	}
	in := slices.Concat(s.kept, chunk)
	used := 0
	for {
		n, err := s.one(in[used:])
		if err != nil {
			s.events = append(s.events, "error "+err.Error())
			s.failed = true
			return
		}
		if n < 0 || n > len(in)-used {
			panic("n is out of bounds")
		}
		if n == 0 {
			break
		}
		used += n
	}
	s.kept = bytes.Clone(in[used:])
	for i := range in {
		in[i] = 0xAA
	}
}

// one takes one frame, or the protocol header.
func (s *scanner) one(in []byte) (n int, err error) {
	if s.header {
		v, n, err := amqpproto.CutProtocolHeader(in)
		if n > 0 {
			s.header = false
			s.events = append(s.events, fmt.Sprint("protocol header ", v))
		}
		return n, err
	}
	f, n, err := amqpproto.CutFrame(in, s.max)
	if err != nil || n == 0 {
		return n, err
	}
	if s.again {
		if err := encodeAgain(f, in[:n]); err != nil {
			return 0, err
		}
	}
	return n, s.frame(f)
}

func (s *scanner) frame(f amqpproto.Frame) error {
	a := s.asm[f.Channel]
	if a == nil {
		a = &amqpproto.Assembler{Channel: f.Channel}
		s.asm[f.Channel] = a
	}
	var err error
	done := false
	switch f.Type {
	case amqpproto.FrameHeartbeat:
		s.events = append(s.events, "heartbeat")
		return nil
	case amqpproto.FrameMethod:
		return s.methodFrame(f, a)
	case amqpproto.FrameHeader:
		err = a.Header(f.Payload)
		done = a.Done()
	case amqpproto.FrameBody:
		done, err = a.Body(f.Payload)
	}
	if err == nil && done {
		s.events = append(s.events, fmt.Sprintf("%d %s\n      %s", f.Channel, s.method[f.Channel], showContent(a.Content())))
	}
	return err
}

func (s *scanner) methodFrame(f amqpproto.Frame, a *amqpproto.Assembler) error {
	id, _, err := f.Method()
	if err == nil {
		err = a.Begin(id)
	}
	if err != nil {
		return err
	}
	m, err := amqpproto.DecodeMethod(f.Payload)
	if err != nil {
		return err
	}
	s.method[f.Channel] = show(m)
	if !a.Busy() {
		s.events = append(s.events, fmt.Sprintf("%d %s", f.Channel, show(m)))
	}
	return nil
}

func showContent(c *amqpproto.Content) string {
	sum := fnv.New32a()
	sum.Write(c.Body)
	text := fmt.Sprintf("body %d octets, fnv %08x", len(c.Body), sum.Sum32())
	var p amqpproto.Properties
	rest, err := p.Decode(c.RawProperties)
	if err == nil && len(rest) > 0 {
		return fmt.Sprintf("%s, %d octets behind the properties", text, len(rest))
	}
	if err != nil {
		return text + ", " + err.Error()
	}
	pub, err := p.Publishing()
	if err != nil {
		return text + ", " + err.Error()
	}
	pub.Body = nil
	return fmt.Sprintf("%s, %+v", text, pub)
}

// encodeAgain fails unless the frame's method or properties, decoded and encoded
// by us, are the octets that came.
func encodeAgain(f amqpproto.Frame, octets []byte) error {
	var again []byte
	switch f.Type {
	case amqpproto.FrameMethod:
		m, err := amqpproto.DecodeMethod(f.Payload)
		if err != nil {
			return err
		}
		if again, err = amqpproto.AppendMethod(nil, f.Channel, m); err != nil {
			return err
		}
	case amqpproto.FrameHeader:
		var h amqpproto.ContentHeader
		var p amqpproto.Properties
		if err := h.Decode(f.Payload); err != nil {
			return err
		}
		rest, err := p.Decode(h.RawProperties)
		if err != nil || len(rest) > 0 {
			return fmt.Errorf("%d octets behind the properties, %w", len(rest), err)
		}
		if again, err = amqpproto.AppendContentHeaderProperties(nil, f.Channel, h.Class, h.BodySize, &p); err != nil {
			return err
		}
	default:
		again = amqpproto.AppendFrame(nil, f.Type, f.Channel, f.Payload)
	}
	if m, ok := bytes.CutPrefix(f.Payload, []byte("\x00\x0a\x00\x28")); ok && len(m) > 0 {
		return nil // connection.open: pika still sets the reserved bit that was "insist" in 0-8
	}
	if !bytes.Equal(again, octets) {
		return fmt.Errorf("encoded again: %x, came as %x", again, octets)
	}
	return nil
}

// The transcripts are sessions of other people's clients with RabbitMQ 3.10,
// octet for octet: a line of C (client) or S (server) for each read, followed
// by the events that we see in it.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			old, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			have := replay(t, string(old))
			if *update {
				if err := os.WriteFile(name, []byte(have), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if have != string(old) {
				t.Errorf("events differ; go test -run Transcripts -update, and look at the change. Now:\n%s", have)
			}
		})
	}
}

// octets returns what one line of a transcript carries, nil for other lines.
func octets(t *testing.T, line string) []byte {
	if !strings.HasPrefix(line, "C: ") && !strings.HasPrefix(line, "S: ") {
		return nil
	}
	b, err := hex.DecodeString(line[3:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func replay(t *testing.T, transcript string) string {
	var out strings.Builder
	peers := map[byte]*scanner{'C': newScanner(131072), 'S': newScanner(131072)}
	peers['C'].header = true
	for line := range strings.SplitSeq(transcript, "\n") {
		b := octets(t, line)
		if b == nil {
			continue
		}
		s := peers[line[0]]
		s.again = true
		s.events = nil
		s.feed(b)
		fmt.Fprintln(&out, line)
		for _, e := range s.events {
			fmt.Fprintln(&out, "   ", e)
		}
		if s.failed {
			t.Fatal(s.events)
		}
	}
	for side, s := range peers {
		if len(s.kept) > 0 {
			t.Errorf("%c: %d octets are left", side, len(s.kept))
		}
	}
	return out.String()
}

// The sessions give the same events octet by octet.
func TestTranscriptsByteByByte(t *testing.T) {
	names, _ := filepath.Glob("testdata/*.txt")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole, single := newScanner(131072), newScanner(131072)
		for line := range strings.SplitSeq(string(text), "\n") {
			if strings.HasPrefix(line, "S: ") {
				b := octets(t, line)
				whole.feed(b)
				for i := range b {
					single.feed(b[i : i+1])
				}
			}
		}
		if !slices.Equal(whole.events, single.events) || len(whole.events) < 10 {
			t.Errorf("%s: %d events whole, %d octet by octet", name, len(whole.events), len(single.events))
		}
	}
}

// shortSession has every kind of frame in few octets.
func shortSession(t testing.TB) []byte {
	props, err := amqpproto.AppendPublishing(nil, &everyShortPublishing)
	if err != nil {
		t.Fatal(err)
	}
	b, err := amqpproto.AppendMethod(nil, 1, &amqpproto.QueueDeclareOk{Queue: []byte("q"), MessageCount: 1})
	if err != nil {
		t.Fatal(err)
	}
	b = amqpproto.AppendBasicDeliver(b, 1, "t", 1, false, "e", "k")
	b = amqpproto.AppendContentHeader(b, 1, amqpproto.ClassBasic, 5, props)
	b = amqpproto.AppendHeartbeat(b)
	b = amqpproto.AppendBody(b, 1, []byte("hello"), 11)
	b = amqpproto.AppendBasicDeliver(b, 2, "t", 2, true, "", "k")
	b = amqpproto.AppendContentHeader(b, 2, amqpproto.ClassBasic, 0, []byte{0, 0})
	return amqpproto.AppendBasicAck(b, 1, 9, true)
}

// Every three-way split gives the same events, errors included.
func TestEverySplit(t *testing.T) {
	for name, end := range map[string]string{
		"orderly": "", "wrong end": "\x03\x00\x01\x00\x00\x00\x00\xff", "too large": "\x03\x00\x01\x00\x01\x00\x00",
		"bad type": "\x09", "body without header": "\x03\x00\x01\x00\x00\x00\x01x\xce", "cut": "\x01\x00",
	} {
		t.Run(name, func(t *testing.T) {
			in := append(amqpproto.AppendHeartbeat(nil), end...)
			if end == "" {
				in = shortSession(t)
			}
			whole := newScanner(4096)
			whole.feed(in)
			for i := range in {
				for j := i; j <= len(in); j++ {
					s := newScanner(4096)
					s.feed(in[:i])
					s.feed(in[i:j])
					s.feed(in[j:])
					if !slices.Equal(s.events, whole.events) {
						t.Fatalf("split at %d and %d:\n%q\nwhole:\n%q", i, j, s.events, whole.events)
					}
				}
			}
		})
	}
}
