package broker

// timers has the queues with a deadline, as a heap by queue.due. A queue is in it once,
// however many of its messages expire: as in RabbitMQ, the deadline of a message counts when
// the message is at the head.
type timers []*queue

// setDue moves the queue's place in the heap; 0 removes it.
func (s *Server) setDue(q *queue, due int64) {
	if q.due == due {
		return
	}
	h := &s.timers
	switch was := q.due; {
	case was == 0:
		q.due, q.timer = due, len(*h)
		*h = append(*h, q)
		h.up(q.timer)
	case due == 0:
		i := q.timer
		q.due = 0
		last := len(*h) - 1
		moved := (*h)[last]
		(*h)[last] = nil
		*h = (*h)[:last]
		if moved != q {
			h.place(i, moved)
			h.up(i)
			h.down(moved.timer)
		}
	default:
		q.due = due
		h.up(q.timer)
		h.down(q.timer)
	}
	if due != 0 {
		s.wakeAt(due)
	}
}

func (h timers) place(i int, q *queue) { h[i], q.timer = q, i }

func (h timers) up(i int) {
	for q := h[i]; i > 0; {
		parent := (i - 1) / 2
		if h[parent].due <= q.due {
			break
		}
		h.place(i, h[parent])
		h.place(parent, q)
		i = parent
	}
}

func (h timers) down(i int) {
	for q := h[i]; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h[child].due < h[least].due {
				least = child
			}
		}
		if least == i {
			return
		}
		h.place(i, h[least])
		h.place(least, q)
		i = least
	}
}
