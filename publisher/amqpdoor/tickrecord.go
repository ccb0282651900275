package amqpdoor

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// A tickState is what is known of the ticks of a clock.
type tickState struct {
	version uint64    // number of changes by all processes; 0 = nothing is known
	begun   bool      // the tick of the time at has begun and not ended
	at      time.Time // the scheduled time of the last tick
}

// A tickRecord is the content of a message in the queue of a clock: the process that has sent it,
// and what that process knows of the ticks. The text is
//
//	PROCESS NUMBER VERSION none|begun|done TIME
//
// for people who look into the queue.
type tickRecord struct {
	process []byte
	number  uint64 // of the message, counted by its process
	tickState
}

// The words of a tickRecord.
const (
	tickNone  = "none"
	tickBegun = "begun"
	tickDone  = "done"
)

func (r *tickRecord) append(dst []byte) []byte {
	dst = append(append(dst, r.process...), ' ')
	dst = append(strconv.AppendUint(dst, r.number, 10), ' ')
	dst = append(strconv.AppendUint(dst, r.version, 10), ' ')
	switch {
	case r.version == 0:
		return append(dst, tickNone+" -"...)
	case r.begun:
		dst = append(dst, tickBegun+" "...)
	default:
		dst = append(dst, tickDone+" "...)
	}
	return r.at.UTC().AppendFormat(dst, time.RFC3339Nano)
}

var errTickRecord = errors.New("not a record of a clock")

// parse reads a record. process is a view of the text.
func (r *tickRecord) parse(text []byte) (err error) {
	*r = tickRecord{}
	var number, version, word []byte
	r.process, text, _ = bytes.Cut(text, []byte(" "))
	number, text, _ = bytes.Cut(text, []byte(" "))
	version, text, _ = bytes.Cut(text, []byte(" "))
	word, text, _ = bytes.Cut(text, []byte(" "))
	if r.number, err = strconv.ParseUint(string(number), 10, 64); err != nil {
		return errTickRecord
	}
	if r.version, err = strconv.ParseUint(string(version), 10, 64); err != nil {
		return errTickRecord
	}
	switch string(word) {
	case tickNone:
		r.version = 0
		return nil
	case tickBegun:
		r.begun = true
	case tickDone:
	default:
		return errTickRecord
	}
	if r.at, err = time.Parse(time.RFC3339Nano, string(text)); err != nil || r.version == 0 {
		return errTickRecord
	}
	return nil
}
