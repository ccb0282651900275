package publisher

import "strconv"

// measured is what the server counts about its calls for [Server.Metrics] alone.
type measured struct {
	answers    answerCounts
	routeTimes []Histogram // by Route.number
	clockTimes map[string]*Histogram
}

func newMeasured(g *Registry) measured {
	return measured{routeTimes: make([]Histogram, len(g.routes)+1), clockTimes: map[string]*Histogram{}}
}

// timesOf returns the histogram, or nil if calls are not measured.
func (s *Server) timesOf(h *Histogram) *Histogram {
	if s.options.NoTimes {
		return nil
	}
	return h
}

// measure counts how long the call has taken until its transaction has ended. An answer that is
// streamed after that does not count, nor does a WebSocket: they last as long as the client likes.
func (r *Request) measure() {
	if r.times != nil && r.socket == nil {
		r.times.Observe(r.server.runtime.Since(r.started))
	}
}

// measureTimes appends the histograms of the handlers that were called.
func (s *Server) measureTimes(dst []Metric) []Metric {
	add := func(source Origin, handler string, h *Histogram) {
		if h.Count() > 0 {
			dst = AppendMetrics(dst, []Label{{"source", string(source)}, {"handler", handler}},
				TimesMetric("call_duration_seconds", "How long calls took, from their beginning to the end of their transaction: the handler, its waits, and the confirms. handler is a route's pattern, a consumer or a clock. Streamed answers are not included, nor are WebSockets.", h))
		}
	}
	add(OriginHTTP, "", &s.routeTimes[0])
	for _, route := range s.routes {
		add(OriginHTTP, route.Pattern, &s.routeTimes[route.number])
	}
	for name, c := range s.consumers {
		add(OriginMessage, name, &c.times)
	}
	for name, h := range s.clockTimes {
		add(OriginClock, name, h)
	}
	return dst
}

// answerCounts counts answers to HTTP clients by the first digit of their status; 0 has those
// without an answer.
type answerCounts [6]uint64

func (a *answerCounts) count(status int) {
	if class := status / 100; uint(class) < uint(len(a)) {
		a[class]++
	}
}

func (a *answerCounts) measure(dst []Metric) []Metric {
	for class := 1; class < len(a); class++ {
		dst = AppendMetrics(dst, []Label{{"status", strconv.Itoa(class) + "xx"}},
			Metric{Name: "http_answers_total", Help: "Answers of calls to HTTP clients, by the class of their status. Malformed requests are not included.", Value: float64(a[class])})
	}
	return dst
}
