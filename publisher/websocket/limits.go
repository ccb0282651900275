package websocket

import "time"

// Config has the limits of a connection. A zero value of a size or of WriteTimeout, CloseTimeout
// and RateMin means its default. A negative RateMin switches that limit off. A PingInterval of 0
// switches pings off.
type Config struct {
	MessageMax int // octets of a message; more ends the connection with 1009. 1 MiB
	FrameMax   int // octets of the payload of one frame; more ends it with 1009. MessageMax
	OutMax     int // octets that may wait for the peer before [Conn.Full] reports it. 64 KiB

	PingInterval time.Duration // a peer that is silent for so long is sent a ping; 0 = never
	PongTimeout  time.Duration // a peer that is silent for so long after a ping is given up. 30 s
	CloseTimeout time.Duration // how long to wait for the peer's answer to a close frame. 5 s
	WriteTimeout time.Duration // longest time in which the peer takes nothing of the output. 60 s
	RateMin      int64         // octets a second. A peer that sends a frame more slowly counts as silent, and one that takes the output more slowly is given up. 100
}

// controlMax is the longest payload of a control frame, in octets. RFC 6455 §5.5.
const controlMax = 125

// Whole messages that are kept until they are taken.
const (
	queueMax       = 8        // messages
	queueOctetsMax = 16 << 10 // once so many octets wait, no further message is read
)

// pongRoom is how many octets the answers to pings may use above OutMax.
const pongRoom = 4 << 10

// WithDefaults returns c with the defaults for the limits that are not set.
func (c Config) WithDefaults() Config {
	setDefault(&c.MessageMax, 1<<20)
	setDefault(&c.FrameMax, c.MessageMax)
	setDefault(&c.OutMax, 64<<10)
	setDefault(&c.PongTimeout, 30*time.Second)
	setDefault(&c.CloseTimeout, 5*time.Second)
	setDefault(&c.WriteTimeout, 60*time.Second)
	setDefault(&c.RateMin, 100)
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
