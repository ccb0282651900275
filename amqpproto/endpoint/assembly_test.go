package endpoint_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

func assembly(bodyMax uint64, room amqpproto.Room) *endpoint.Assembly {
	a := &endpoint.Assembly{}
	a.Init(7, bodyMax, room)
	return a
}

// cut makes frames of octets.
func cut(t *testing.T, b []byte) (frames []amqpproto.Frame) {
	t.Helper()
	for len(b) > 0 {
		f, n, err := amqpproto.CutFrame(b, 0)
		if n == 0 || err != nil {
			t.Fatal(n, err)
		}
		frames, b = append(frames, f), b[n:]
	}
	return frames
}

// content is the header and body frames of a body.
func content(t *testing.T, body []byte) []amqpproto.Frame {
	b := amqpproto.AppendContentHeader(nil, 7, amqpproto.ClassBasic, uint64(len(body)), []byte{0, 0})
	return cut(t, amqpproto.AppendBody(b, 7, body, amqpproto.FrameMin))
}

// A content comes out as it was sent, with the arguments of its method, whatever has happened
// to their octets.
func TestAssemblyOfAContent(t *testing.T) {
	for _, size := range []int{0, 1, 4088, 4089, 100_000, 3 << 20} {
		a := assembly(0, nil)
		body := bytes.Repeat([]byte("octets! "), size/8+1)[:size]
		for range 3 {
			args := []byte("arguments")
			if err := a.Begin(amqpproto.IDBasicPublish, args); err != nil {
				t.Fatal(err)
			}
			clear(args)
			frames := content(t, body)
			for i, f := range frames {
				if !a.Busy() || !a.Takes(f.Type) || a.AwaitsHeader() != (i == 0) {
					t.Fatalf("%d octets: frame %d is not taken", size, i)
				}
				done, err := a.Frame(f)
				if err != nil || done != (i == len(frames)-1) {
					t.Fatalf("%d octets: frame %d of %d: %v, %v", size, i, len(frames), done, err)
				}
			}
			c := a.Content()
			if !bytes.Equal(c.Body, body) || string(a.Args()) != "arguments" || a.Method() != amqpproto.IDBasicPublish {
				t.Fatalf("%d octets: %d octets of body, arguments %q of %s", size, len(c.Body), a.Args(), a.Method())
			}
			if a.Reset(); a.Busy() || a.Held() > amqpproto.LargeBody {
				t.Fatalf("%d octets: %d are held when all is done", size, a.Held())
			}
		}
	}
}

// Every fault of a content is found before memory is allocated for it, and nothing is kept.
func TestAssemblyOfAFault(t *testing.T) {
	header := func(class uint16, size uint64) amqpproto.Frame {
		return cut(t, amqpproto.AppendContentHeader(nil, 7, class, size, []byte{0, 0}))[0]
	}
	body := func(n int) amqpproto.Frame {
		return amqpproto.Frame{Type: amqpproto.FrameBody, Channel: 7, Payload: make([]byte, n)}
	}
	for _, row := range []struct {
		name   string
		frames []amqpproto.Frame
		code   uint16 // of a ConnectionError
		closes uint16 // of a ChannelError
	}{
		{"body before header", []amqpproto.Frame{body(1)}, amqpproto.UnexpectedFrame, 0},
		{"header after header", []amqpproto.Frame{header(amqpproto.ClassBasic, 9), header(amqpproto.ClassBasic, 9)}, amqpproto.UnexpectedFrame, 0},
		{"other class", []amqpproto.Frame{header(10, 9)}, amqpproto.UnexpectedFrame, 0},
		{"other class and too large", []amqpproto.Frame{header(10, 1<<40)}, amqpproto.UnexpectedFrame, 0},
		{"too large", []amqpproto.Frame{header(amqpproto.ClassBasic, 1001)}, 0, amqpproto.ContentTooLarge},
		{"more than declared", []amqpproto.Frame{header(amqpproto.ClassBasic, 9), body(5), body(5)}, amqpproto.FrameError, 0},
		{"short header", []amqpproto.Frame{{Type: amqpproto.FrameHeader, Channel: 7, Payload: make([]byte, 13)}}, amqpproto.FrameError, 0},
	} {
		a := assembly(1000, nil)
		if err := a.Begin(amqpproto.IDBasicPublish, nil); err != nil {
			t.Fatal(err)
		}
		var err error
		for _, f := range row.frames {
			if err != nil {
				t.Fatalf("%s: %v comes too early", row.name, err)
			}
			_, err = a.Frame(f)
		}
		var conn *amqpproto.ConnectionError
		var channel *amqpproto.ChannelError
		switch {
		case errors.As(err, &conn) && conn.Code == row.code:
		case errors.As(err, &channel) && channel.Code == row.closes && channel.Channel == 7:
		default:
			t.Errorf("%s: %v", row.name, err)
		}
		if a.Busy() || a.Takes(amqpproto.FrameHeader) || a.Takes(amqpproto.FrameBody) || a.Held() > 16 {
			t.Errorf("%s: something is kept", row.name)
		}
	}
}

// What an idle channel keeps of arguments is bounded.
func TestAssemblyLetsLongArgumentsGo(t *testing.T) {
	a := assembly(0, nil)
	if err := a.Begin(amqpproto.IDBasicPublish, []byte(strings.Repeat("x", 100_000))); err != nil {
		t.Fatal(err)
	}
	if a.Reset(); cap(a.Args()) > 2048 {
		t.Errorf("%d octets of arguments are kept", cap(a.Args()))
	}
}

// taken is a Room that keeps what it gave.
type taken struct{ mem []byte }

func (r *taken) Reserve(size int) []byte { r.mem = make([]byte, size); return r.mem }

// A large body comes to the Room, and is no one's to keep.
func TestAssemblyWithARoom(t *testing.T) {
	r := &taken{}
	a := assembly(0, r)
	body := bytes.Repeat([]byte("0123456789"), 300_000)
	if err := a.Begin(amqpproto.IDBasicPublish, nil); err != nil {
		t.Fatal(err)
	}
	for _, f := range content(t, body) {
		if _, err := a.Frame(f); err != nil {
			t.Fatal(err)
		}
	}
	c := a.Content()
	if c.Owned || !bytes.Equal(r.mem, body) || &c.Body[0] != &r.mem[0] {
		t.Error("the body did not come to the room")
	}
}

// What comes in one frame after another allocates nothing once buffers are there.
func TestAssemblyAllocates(t *testing.T) {
	a := assembly(0, nil)
	frames := content(t, make([]byte, 10_000))
	args := []byte("arguments")
	if n := testing.AllocsPerRun(200, func() {
		_ = a.Begin(amqpproto.IDBasicPublish, args)
		for _, f := range frames {
			_, _ = a.Frame(f)
		}
		a.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
