package client

import (
	"crypto/rand"
	"strconv"
)

// messageIDs makes ids for messages that have none, so that a receiver can recognize a
// second copy. An id is a prefix of this process and connection, and a number.
type messageIDs struct {
	number uint64 // number of the newest id
	newest []byte // text of the newest id
	older  []byte // scratch: the text of one that is resent
	prefix int    // length of the prefix
}

// messageIDRoom is how many octets an id of ours adds to the properties at most.
const messageIDRoom = 2 + 1 + 16 + 1 + 20

func newMessageIDs() messageIDs {
	prefix := rand.Text()[:16] + "-"
	return messageIDs{newest: append(make([]byte, 0, messageIDRoom), prefix+"0"...),
		older: append(make([]byte, 0, messageIDRoom), prefix...), prefix: len(prefix)}
}

// next makes an id and returns its number. It increments the text in place, which
// costs a tenth of formatting the number.
func (m *messageIDs) next() uint64 {
	m.number++
	for i := len(m.newest) - 1; i >= m.prefix; i-- {
		if m.newest[i] < '9' {
			m.newest[i]++
			return m.number
		}
		m.newest[i] = '0'
	}
	m.newest = strconv.AppendUint(m.newest[:m.prefix], m.number, 10)
	return m.number
}

// text returns the id of a number. The next call overwrites it.
func (m *messageIDs) text(number uint64) []byte {
	if number == m.number {
		return m.newest
	}
	return strconv.AppendUint(m.older[:m.prefix], number, 10)
}

// MessageID returns a new id, of the same kind as those that publishes without an id
// get when they are sent. The next use of the client overwrites it.
func (c *Client) MessageID() []byte { return c.ids.text(c.ids.next()) }
