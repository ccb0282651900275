//go:build loopdebug

package publisher

// poison overwrites the bytes of a call that is over; see poison.go.
const poison = true

func (r *Request) poison() {
	for _, b := range [][]byte{r.arena, r.body, r.tx.arena, r.response.Body} {
		b = b[:cap(b)]
		for i := range b {
			b[i] = 0xDB
		}
	}
}
