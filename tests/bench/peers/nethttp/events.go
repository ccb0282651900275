package main

import (
	"io"
	"net/http"
	"sync"
)

// hub sends events to all clients, as a careful user of the library does it: encoded once, by a
// channel for each client, which drops what a slow one does not take.
type hub struct {
	mu      sync.Mutex
	clients map[chan []byte]struct{}
}

func (h *hub) follow(w http.ResponseWriter, r *http.Request) {
	events := make(chan []byte, 16)
	h.mu.Lock()
	h.clients[events] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		delete(h.clients, events)
		h.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	flusher := http.NewResponseController(w)
	if _, err := io.WriteString(w, "retry: 3000\n\n"); err != nil || flusher.Flush() != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			return
		case p := <-events:
			if _, err := w.Write(p); err != nil || flusher.Flush() != nil {
				return
			}
		}
	}
}

func (h *hub) broadcast(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	p := append(append([]byte("data: "), body...), "\n\n"...)
	h.mu.Lock()
	defer h.mu.Unlock()
	for events := range h.clients {
		select {
		case events <- p:
		default:
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
