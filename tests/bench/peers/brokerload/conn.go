package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"zamqp/amqpproto"
)

const frameMax = 131072

// conn is a connection with channel 1 open.
type conn struct {
	net.Conn
	buf         []byte
	used        int
	lastConfirm uint64
}

// frame is the part of a frame that brokerload reads.
type frame struct {
	typ     byte
	payload []byte
}

func (f frame) method() amqpproto.MethodID {
	if f.typ != amqpproto.FrameMethod || len(f.payload) < 4 {
		return 0
	}
	return amqpproto.MethodID(binary.BigEndian.Uint32(f.payload))
}

// confirms returns how many publishes the frame confirms.
func (f frame) confirms(last *uint64) int {
	if f.method() != amqpproto.IDBasicAck {
		return 0
	}
	tag, multiple := binary.BigEndian.Uint64(f.payload[4:]), f.payload[12]&1 != 0
	n := 1
	if multiple {
		n = int(tag - *last)
	}
	// A broker may confirm single messages out of order. Then the next multiple
	// confirm is counted from the highest tag and counts too few; the check at the
	// end finds that.
	*last = max(*last, tag)
	return n
}

func (j *job) dial() (*conn, error) {
	nc, err := net.Dial("tcp", j.addr)
	if err != nil {
		return nil, err
	}
	return j.open(nc)
}

// open does the handshake and opens channel 1.
func (j *job) open(nc net.Conn) (*conn, error) {
	c := &conn{Conn: nc, buf: make([]byte, 1<<20)}
	_ = nc.SetDeadline(time.Now().Add(5 * time.Minute)) // for the whole job
	if _, err := io.WriteString(nc, amqpproto.ProtocolHeader); err != nil {
		return nil, err
	}
	if err := c.until(amqpproto.IDConnectionStart); err != nil {
		return nil, err
	}
	start := &amqpproto.ConnectionStartOk{Mechanism: []byte("PLAIN"), Response: []byte("\x00" + j.user + "\x00" + j.password), Locale: []byte("en_US")}
	if err := c.call(0, start, amqpproto.IDConnectionTune); err != nil {
		return nil, err
	}
	if err := c.send(0, &amqpproto.ConnectionTuneOk{ChannelMax: 10, FrameMax: frameMax}); err != nil {
		return nil, err
	}
	if err := c.call(0, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}, amqpproto.IDConnectionOpenOk); err != nil {
		return nil, err
	}
	return c, c.call(1, &amqpproto.ChannelOpen{}, amqpproto.IDChannelOpenOk)
}

func (c *conn) send(channel uint16, m amqpproto.Method) error {
	b, err := amqpproto.AppendMethod(nil, channel, m)
	if err != nil {
		return err
	}
	_, err = c.Write(b)
	return err
}

func (c *conn) call(channel uint16, m amqpproto.Method, reply amqpproto.MethodID) error {
	if err := c.send(channel, m); err != nil {
		return err
	}
	return c.until(reply)
}

// until reads until this method comes.
func (c *conn) until(id amqpproto.MethodID) error {
	for came := false; !came; {
		if err := c.read(func(f frame) error { came = came || f.method() == id; return nil }); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	return nil
}

// read reads once and calls fn with each whole frame.
func (c *conn) read(fn func(frame) error) error {
	n, err := c.Read(c.buf[c.used:])
	if err != nil {
		return err
	}
	c.used += n
	at := 0
	for c.used-at >= 7 {
		size := int(binary.BigEndian.Uint32(c.buf[at+3:]))
		if c.used-at < size+8 {
			break
		}
		f := frame{c.buf[at], c.buf[at+7 : at+7+size]}
		if id := f.method(); id == amqpproto.IDChannelClose || id == amqpproto.IDConnectionClose {
			return fmt.Errorf("%w: %q", errClosed, f.payload)
		}
		if err := fn(f); err != nil {
			return err
		}
		at += size + 8
	}
	c.used = copy(c.buf, c.buf[at:c.used])
	return nil
}

// declare declares the queue of the job.
func (j *job) declare(c *conn) error {
	return c.call(1, &amqpproto.QueueDeclare{Queue: []byte(j.queue), Durable: j.persistent}, amqpproto.IDQueueDeclareOk)
}

func (c *conn) deleteQueue(name string) error {
	return c.call(1, &amqpproto.QueueDelete{Queue: []byte(name)}, amqpproto.IDQueueDeleteOk)
}

func (c *conn) confirms() error {
	return c.call(1, &amqpproto.ConfirmSelect{}, amqpproto.IDConfirmSelectOk)
}

// publication is n publishes to the job's queue, built once and sent again and
// again.
func (j *job) publication(n int) []byte {
	return j.publicationTo(j.queue, "", n)
}

func (j *job) publicationTo(key, replyTo string, n int) []byte {
	p := &amqpproto.Properties{ContentType: []byte("application/octet-stream"), CorrelationID: []byte("0123456789abcdef0123456789abcdef"),
		ReplyTo: []byte(replyTo), DeliveryMode: 1}
	if j.persistent {
		p.DeliveryMode = 2
	}
	p.SetFlags()
	body := make([]byte, j.size)
	one, _ := amqpproto.AppendMethod(nil, 1, &amqpproto.BasicPublish{RoutingKey: []byte(key)}) // all of it is short enough
	one, _ = amqpproto.AppendContentHeaderProperties(one, 1, amqpproto.ClassBasic, uint64(len(body)), p)
	if len(body) > 0 {
		one = amqpproto.AppendFrame(one, amqpproto.FrameBody, 1, body)
	}
	var all []byte
	for range n {
		all = append(all, one...)
	}
	return all
}
