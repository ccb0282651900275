package amqpproto_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zamqp/amqpproto"
)

// chunks cuts b into pieces whose sizes come from cuts, over and over.
func chunks(b []byte, cuts uint64) (list [][]byte) {
	for len(b) > 0 {
		n := min(int(cuts&31)+1, len(b))
		cuts = cuts>>5 | cuts<<59
		list = append(list, b[:n])
		b = b[n:]
	}
	return list
}

// seedFrames is what our encoder writes, a frame each.
func seedFrames(f *testing.F) (list [][]byte) {
	for _, id := range allMethods(f) {
		b, err := amqpproto.AppendMethod(nil, 1, newMethod(f, id))
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, b)
	}
	raw, err := amqpproto.AppendPublishing(nil, &everyPublishing)
	if err != nil {
		f.Fatal(err)
	}
	return append(list, amqpproto.AppendHeartbeat(nil), amqpproto.AppendBody(nil, 1, []byte("hello"), 0),
		amqpproto.AppendBody(nil, 1, []byte("hello"), 10), amqpproto.AppendContentHeader(nil, 1, 60, 5, raw))
}

// Frames: n is within the input, what was cut is what the encoder writes, and
// chunks of any size give the same frames and the same error.
func FuzzFrame(f *testing.F) {
	for _, b := range seedFrames(f) {
		f.Add(b, uint32(4096), uint64(0))
		f.Add(append(b, b...), uint32(64), ^uint64(0))
	}
	f.Fuzz(func(t *testing.T, in []byte, max uint32, cuts uint64) {
		cut := func(parts [][]byte) (frames []string, last string) {
			var kept []byte
			for _, part := range parts {
				kept = append(kept, part...)
				for {
					f, n, err := amqpproto.CutFrame(kept, max)
					if err != nil {
						return frames, err.Error()
					}
					if n < 0 || n > len(kept) || max > 0 && n > int(max) {
						t.Fatalf("n = %d of %d, frame_max %d", n, len(kept), max)
					}
					if n == 0 {
						break
					}
					if again := amqpproto.AppendFrame(nil, f.Type, f.Channel, f.Payload); !bytes.Equal(again, kept[:n]) {
						t.Fatalf("%x encoded again: %x", kept[:n], again)
					}
					frames = append(frames, f.String())
					kept = kept[n:]
				}
			}
			return frames, ""
		}
		whole, err := cut([][]byte{in})
		parts, partsErr := cut(chunks(in, cuts))
		if !slices.Equal(whole, parts) || err != partsErr {
			t.Fatalf("whole: %q %s\nin chunks: %q %s", whole, err, parts, partsErr)
		}
	})
}

// Tables: Validate and Table agree, decode∘encode is a fixed point, and there
// are no more values than octets.
func FuzzTable(f *testing.F) {
	raw, err := amqpproto.AppendTable(nil, everyField)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(nest(amqpproto.FieldTable, 40))
	f.Add(append([]byte("\x01k"), nest(amqpproto.FieldArray, 40)...))
	f.Add([]byte("\x01kA\xff\xff\xff\xff"))
	f.Add([]byte("\x01kx\x80\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		raw := amqpproto.RawTable(in)
		table, err := raw.Table()
		if valid := raw.Validate(); (valid == nil) != (err == nil) {
			t.Fatalf("Validate: %v, Table: %v", valid, err)
		}
		_ = raw.Each(func(key []byte, v amqpproto.Field) bool {
			_ = v.String()
			if _, ok := raw.Lookup(string(key)); !ok {
				t.Fatalf("%q is there and is not found", key)
			}
			return true
		})
		if err != nil {
			if table != nil {
				t.Fatal("a table and an error")
			}
			return
		}
		if n := countValues(smooth(table)); n > len(in) {
			t.Fatalf("%d values of %d octets", n, len(in))
		}
		once, err := amqpproto.AppendTable(nil, table)
		if err != nil {
			t.Fatalf("the encoder refuses what the decoder made: %v", err)
		}
		if len(once) > len(in) {
			t.Fatalf("%d octets became %d", len(in), len(once))
		}
		back, err := amqpproto.RawTable(once).Table()
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := amqpproto.AppendTable(nil, back); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x\nbecame %x, %v", once, twice, err)
		}
	})
}

func countValues(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		n = 0
		for _, v := range v {
			n += 1 + countValues(v)
		}
	case []any:
		n = 0
		for _, v := range v {
			n += countValues(v)
		}
	}
	return n
}

// Methods: decode∘encode is a fixed point, and no longer than the input.
func FuzzMethod(f *testing.F) {
	for _, b := range seedFrames(f) {
		if b[0] == amqpproto.FrameMethod {
			f.Add(b[7 : len(b)-1])
		}
	}
	f.Add([]byte("\x00\x0a\x00\x0b\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := amqpproto.DecodeMethod(in)
		if err != nil {
			return
		}
		once, err := amqpproto.AppendMethod(nil, 1, m)
		if err != nil {
			t.Fatal(err)
		}
		if len(once) > len(in)+amqpproto.FrameOverhead {
			t.Fatalf("%d octets became %d", len(in), len(once))
		}
		back := decode(t, once)
		if show(back) != show(m) {
			t.Fatalf("%s\nbecame %s", show(m), show(back))
		}
		if twice, err := amqpproto.AppendMethod(nil, 1, back); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x\nbecame %x, %v", once, twice, err)
		}
	})
}

// Properties: what is taken is encoded to the same octets, and what the
// vocabulary's types hold survives them.
func FuzzProperties(f *testing.F) {
	raw, err := everyProperty.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{0, 0})
	f.Add([]byte("\x20\x00\xff\xff\xff\xff"))
	if raw, err = amqpproto.AppendPublishing(nil, &everyPublishing); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, in []byte) {
		var p amqpproto.Properties
		rest, err := p.Decode(in)
		if err != nil {
			return
		}
		again, err := p.Append(nil)
		if err != nil || !bytes.Equal(append(again, rest...), in) {
			t.Fatalf("%x\nencoded again %x + %x, %v", in, again, rest, err)
		}
		pub, err := p.Publishing()
		if err != nil {
			return
		}
		once, err := amqpproto.AppendPublishing(nil, &pub)
		if err != nil {
			t.Fatal(err)
		}
		if rest, err := p.Decode(once); err != nil || len(rest) > 0 {
			t.Fatal(rest, err)
		}
		back, err := p.Publishing()
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := amqpproto.AppendPublishing(nil, &back); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%x\nbecame %x, %v", once, twice, err)
		}
	})
}

// Content: a whole connection's octets give the same events in chunks of any
// size, and the assemblers hold no more than a constant times what came.
func FuzzContent(f *testing.F) {
	f.Add(shortSession(f), uint64(0))
	f.Add(append(shortSession(f), "\x03\x00\x01\x00\x00\x00\x01x\xce"...), uint64(0x123456789abcdef))
	f.Add(slices.Concat(seedFrames(f)...), uint64(7))
	names, _ := filepath.Glob("testdata/*.txt")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if len(line) > 3 && len(line) < 1000 && line[1] == ':' {
				f.Add(octets(nil, line), uint64(len(line)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, cuts uint64) {
		whole, parts := newScanner(4096), newScanner(4096)
		whole.feed(in)
		for _, chunk := range chunks(in, cuts) {
			parts.feed(chunk)
		}
		if !slices.Equal(whole.events, parts.events) {
			t.Fatalf("whole:\n%q\nin chunks:\n%q", whole.events, parts.events)
		}
		held := 0
		for _, a := range parts.asm {
			held += amqpproto.AssemblerMemory(a)
		}
		if held > 3*len(in) {
			t.Fatalf("%d octets held of %d that came", held, len(in))
		}
	})
}
