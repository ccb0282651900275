package publisher

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// fingerprintEnd is how much of either end of a body counts.
const fingerprintEnd = 1024

// Fingerprint tells messages apart, and is the same for one message at each
// delivery, in each process, and for its copy in a quarantine or a retry queue: it
// is made of what neither a broker nor zamqp changes on the way. Equal messages
// have equal ones, so a fingerprint stands for as many messages as were counted
// under it. It is never 0.
func (r *Request) Fingerprint() uint64 {
	m, p := &r.message, &r.props
	body := r.body
	// Lengths first, or "a" and "bc" would be "ab" and "c".
	var head [48]byte
	b := binary.AppendUvarint(head[:0], uint64(len(m.Connection)))
	b = binary.AppendUvarint(b, uint64(len(m.Queue)))
	b = append(b, byte(len(m.Exchange)), byte(len(m.RoutingKey)), byte(len(p.MessageID)), byte(len(p.CorrelationID)), byte(len(p.Type)))
	b = binary.LittleEndian.AppendUint64(b, p.Timestamp)
	b = binary.AppendUvarint(b, uint64(len(body)))
	var h xxhash.Digest
	h.Reset()
	_, _ = h.Write(b)
	_, _ = h.WriteString(m.Connection)
	_, _ = h.WriteString(m.Queue)
	_, _ = h.Write(m.Exchange)
	_, _ = h.Write(m.RoutingKey)
	_, _ = h.Write(p.MessageID)
	_, _ = h.Write(p.CorrelationID)
	_, _ = h.Write(p.Type)
	if len(body) > 2*fingerprintEnd {
		_, _ = h.Write(body[:fingerprintEnd])
		body = body[len(body)-fingerprintEnd:]
	}
	_, _ = h.Write(body)
	return max(h.Sum64(), 1)
}
