package publisher

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// fingerprintEnd is how many octets at each end of a body the fingerprint depends on.
const fingerprintEnd = 1024

// Fingerprint tells messages apart. It is the same for each delivery of a message, in each
// process, and for copies of it in a quarantine or a retry queue, because it is computed only
// from parts that neither a broker nor zamqp changes. Equal messages have equal fingerprints,
// so several messages may share one. It is never 0.
func (c *Call) Fingerprint() uint64 {
	r := c.Request()
	m, p := &r.message, &r.props
	body := r.body
	var scratch []byte
	if r.toCall == nil {
		scratch = r.server.scratch[:0]
	}
	// Lengths come first, because otherwise "a", "bc" and "ab", "c" would be equal.
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
	if r.toCall == nil { // one call of the hash function is faster than one for each part
		r.server.scratch = b
	}
	return max(xxhash.Sum64(b), 1)
}
