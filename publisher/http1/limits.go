package http1

import (
	"fmt"
	"time"
)

// Config has the limits of a Server. A zero value of any limit means its
// default; a negative duration or rate switches that deadline off.
type Config struct {
	TargetMax int   // octets of the request-target; more is 414. 8 KiB
	HeadMax   int   // octets of the whole head, and of a trailer section; more is 431. 64 KiB
	FieldsMax int   // field lines of a head, and of a trailer section; more is 431. 100
	BodyMax   int64 // octets of a decoded body; more is 413. 8 MiB
	OwnMax    int64 // the largest bound that Handler.BodyMax returns; 0: it is not asked
	OutMax    int   // while more octets are unsent, no further request is taken. 256 KiB

	IdleTimeout  time.Duration // from accept or the last answer to the first octet of a head. 75 s
	HeadTimeout  time.Duration // from the first octet of a head to its last; 408 after. 10 s
	BodyGrace    time.Duration // time after which BodyRateMin applies to a body. 5 s
	BodyStallMax time.Duration // longest silence in a body, even if it was fast before. 60 s
	WriteTimeout time.Duration // longest time in which the other side reads nothing of an answer. 60 s
	BodyRateMin  int64         // octets a second of a body; 408 below. 100

	// AnswerRateMin is how many octets of an answer the other side has to read in a second.
	// If it reads less, the connection is aborted, but not before WriteTimeout. 100
	AnswerRateMin int64

	ServerName string // value of the Server field; "" = no Server field

	// StrictTransport is the value of the Strict-Transport-Security field, in answers on
	// connections with TLS; "" = no such field. RFC 6797.
	StrictTransport string
}

// Limits that no configuration needs to change. They are far above real requests, and
// keep rescanning after a partial read cheap.
const (
	methodMax    = 32        // octets of a method; more is 501, RFC 9112 §3
	nameMax      = 256       // octets of a field name; more is 431
	lengthDigits = 18        // digits of a Content-Length: any such number fits an int64
	chunkLineMax = 512       // octets of a chunk-size line with its extensions and CRLF
	chunkDigits  = 15        // hexadecimal digits of a chunk size: any such number fits an int64
	chunkExcess  = 16 * 1024 // octets of chunk framing beyond a fair share of the data, RFC 9112 §7.1.1
)

// DefaultConfig returns every limit at its default, and "zamqp" as the name.
func DefaultConfig() Config {
	return Config{ServerName: "zamqp"}.withDefaults()
}

// Validate returns what is wrong with c. The error names the field and the remedy.
func (c Config) Validate() error {
	for _, l := range []struct {
		name  string
		value int64
	}{
		{"TargetMax", int64(c.TargetMax)},
		{"HeadMax", int64(c.HeadMax)},
		{"FieldsMax", int64(c.FieldsMax)},
		{"BodyMax", c.BodyMax},
		{"OwnMax", c.OwnMax},
		{"OutMax", int64(c.OutMax)},
	} {
		if l.value < 0 {
			return fmt.Errorf("http1: %s is %d: must not be negative; 0 means the default", l.name, l.value)
		}
	}
	if c.HeadMax > 1<<30 {
		return fmt.Errorf("http1: HeadMax is %d: must be at most 1 GiB", c.HeadMax)
	}
	if !validValue(c.ServerName) {
		return fmt.Errorf("http1: ServerName %q holds control characters: use printable ones", c.ServerName)
	}
	if !validValue(c.StrictTransport) {
		return fmt.Errorf("http1: StrictTransport %q holds control characters: use printable ones", c.StrictTransport)
	}
	return nil
}

func (c Config) withDefaults() Config {
	setDefault(&c.TargetMax, 8<<10)
	setDefault(&c.HeadMax, 64<<10)
	setDefault(&c.FieldsMax, 100)
	setDefault(&c.BodyMax, 8<<20)
	setDefault(&c.OutMax, 256<<10)
	setDefault(&c.IdleTimeout, 75*time.Second)
	setDefault(&c.HeadTimeout, 10*time.Second)
	setDefault(&c.BodyGrace, 5*time.Second)
	setDefault(&c.BodyStallMax, 60*time.Second)
	setDefault(&c.WriteTimeout, 60*time.Second)
	setDefault(&c.BodyRateMin, 100)
	setDefault(&c.AnswerRateMin, 100)
	return c
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
