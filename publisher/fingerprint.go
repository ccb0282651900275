package publisher

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// fingerprintEnd is how many octets at each end of a body count.
const fingerprintEnd = 1024

// Fingerprint distinguishes messages. It is the same for each delivery of a message, in each
// process, and for its copy in a quarantine or a retry queue, because it is made of what
// neither a broker nor zamqp changes. Equal messages have equal fingerprints, so one
// fingerprint may stand for several messages. It is never 0.
func (c *Call) Fingerprint() uint64 {
	r := c.Request()
	m, p := &r.message, &r.props
	body := r.body
	var scratch []byte
	if r.toCall == nil {
		scratch = r.server.scratch[:0]
	}
	// Lengths first, or "a" and "bc" would be "ab" and "c".
	b := binary.AppendUvarint(scratch, uint64(len(m.Connection)))
	b = binary.AppendUvarint(b, uint64(len(m.Queue)))
	b = append(b, byte(len(m.Exchange)), byte(len(m.RoutingKey)), byte(len(p.MessageID)), byte(len(p.CorrelationID)), byte(len(p.Type)))
	b = binary.LittleEndian.AppendUint64(b, p.Timestamp)
	b = binary.AppendUvarint(b, uint64(len(body)))
	b = append(append(b, m.Connection...), m.Queue...)
	b = append(append(b, m.Exchange...), m.RoutingKey...)
	b = append(append(append(b, p.MessageID...), p.CorrelationID...), p.Type...)
	if len(body) > 2*fingerprintEnd {
		b = append(b, body[:fingerprintEnd]...)
		body = body[len(body)-fingerprintEnd:]
	}
	b = append(b, body...)
	if r.toCall == nil { // one call of the hash costs less than one for each part
		r.server.scratch = b
	}
	return max(xxhash.Sum64(b), 1)
}
