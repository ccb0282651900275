package publisher

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"zamqp/publisher/websocket"
)

// A Socket is the server's end of a WebSocket, and the call that serves it. Its handler
// reads and writes messages in straight-line code:
//
//	publisher.WebSocket("GET /echo", func(ws *publisher.Socket) error {
//		for {
//			kind, p, err := ws.Read()
//			if err != nil {
//				return err
//			}
//			if err := ws.Write(kind, p); err != nil {
//				return err
//			}
//		}
//	})
//
// Read and Write wait without holding the loop. The handler may do everything that another
// handler may, such as Publish, Call, Offload and Go. It cannot answer the request: the
// first Read, Write or [Socket.Accept] does that, with 101. Until then, an error that the
// handler returns is an HTTP answer, for example a 401.
//
// Each message is a transaction: a Read in the handler first commits what was published and
// joined since the one before, and fails if that fails. [Socket.Commit] commits earlier, so
// that a Write can say that it is done. What is left is committed when the handler returns
// nil, and aborted when it returns an error.
//
// The server closes the socket when the handler has returned: with 1000 after nil, 1008
// after an error with a status of 400 to 499, 1013 if a broker or a pool has no room, 1001
// when the server drains, and 1011 after any other error. [Socket.Close] gives another code.
type Socket struct {
	*Request

	route     *socketRoute
	accept    string // Sec-WebSocket-Accept
	protocol  string
	conn      *websocket.Conn // nil until accepted
	err       error           // how it has ended; nil while it is open
	reader    *strand         // waits in Read
	writers   []*strand       // wait in Write
	writing   bool            // a message is being written
	following []*following    // topics
	refused   bool            // a function of the call or a topic waits for the end of another message
	over      bool            // the call is over
	stop      func() bool     // the timer of StreamTimeout, or of the end of the waits
}

// A SocketDoor can make a WebSocket of the connection of a call.
type SocketDoor interface {
	Door
	// Upgrade answers the request with 101 and these lines. From then on the octets of the
	// connection are those of the machine that open makes.
	Upgrade(c *Call, lines []byte, open func(websocket.Wire) *websocket.Conn) error
}

// SocketLimits are limits of WebSockets.
type SocketLimits struct {
	MessageMax   Size          // of a message that a client sends; 0 = 1 MiB
	FrameMax     Size          // of one of its frames; 0 = MessageMax
	OutputMax    Size          // Write waits while so much is unsent; 0 = 64 KiB
	PingInterval time.Duration // a client that is silent for so long is sent a ping; 0 = never
	PongTimeout  time.Duration // a client that is silent for so long after the ping is cut; 0 = 30 s

	// Origins are the origins whose pages may connect, besides those of the same host:
	// "https://shop.example.com", "https://*.example.com", or "*" for all.
	Origins []string

	WriteTimeout time.Duration // longest time in which a client takes nothing; 0 = 60 s
	RateMin      int64         // octets a second that it must take and send at least; 0 = 100, negative = no limit
}

// SocketDefaults are the limits of a server whose [Options] set none.
var SocketDefaults = SocketLimits{MessageMax: MiB, OutputMax: 64 * KiB, PingInterval: 30 * time.Second, PongTimeout: 30 * time.Second}

// socketRoute is what the route of a WebSocket has besides its handler.
type socketRoute struct {
	handler      func(*Socket) error
	protocols    []string
	origins      []string
	messageMax   Size
	pingInterval time.Duration // 0 = as configured; negative = never
}

// socketSettings are the settings of a route in one server: several servers may run the same
// routes.
type socketSettings struct {
	config  websocket.Config
	allowed []string // origins, with those of the configuration
}

// WebSocket registers h for the WebSockets that pattern matches. Its method is GET. A request
// without a correct handshake is answered by the server: 426 if it asks for no WebSocket, 400 if
// it is malformed, and 403 if it comes from a page of another host that neither [Origins] nor
// websocket.origins allows. A bad pattern panics, as in [Handle].
func WebSocket(pattern string, h func(*Socket) error, options ...RouteOption) {
	Default.webSocket(pattern, h, options, caller(2))
}

// WebSocket is the package's [WebSocket] for this registry.
func (g *Registry) WebSocket(pattern string, h func(*Socket) error, options ...RouteOption) {
	g.webSocket(pattern, h, options, caller(2))
}

func (g *Registry) webSocket(pattern string, h func(*Socket) error, options []RouteOption, place string) {
	if h == nil {
		panic(fmt.Sprintf("publisher: WebSocket(%q) at %s: the handler is nil", pattern, place))
	}
	if !strings.HasPrefix(pattern, "GET ") && !strings.HasPrefix(pattern, "GET\t") {
		panic(fmt.Sprintf(`publisher: WebSocket(%q) at %s: its method is GET: write "GET /path"`, pattern, place))
	}
	s := &socketRoute{handler: h}
	options = append([]RouteOption{func(r *Route) { r.socket = s }}, options...)
	g.handle(pattern, s.serve, options, place)
}

// Origins lets pages of other origins connect to the WebSockets of a route, as
// "https://shop.example.com", "https://*.example.com", or "*" for all. Browsers send the
// cookies of this host with the request, so "*" is for sockets that do not trust cookies.
func Origins(origins ...string) RouteOption {
	for _, o := range origins {
		if err := CheckOrigin(o); err != nil {
			panic("publisher: Origins: " + err.Error())
		}
	}
	return socketOption("Origins", func(s *socketRoute) { s.origins = append(s.origins, origins...) })
}

// Subprotocols are the subprotocols that the WebSockets of a route speak, the best first.
// The first that the client offers is agreed on; see [Socket.Subprotocol].
func Subprotocols(names ...string) RouteOption {
	return socketOption("Subprotocols", func(s *socketRoute) { s.protocols = append(s.protocols, names...) })
}

// MessageMax bounds a message that a client may send to the WebSockets of a route, in place
// of websocket.message_max.
func MessageMax(size Size) RouteOption {
	return socketOption("MessageMax", func(s *socketRoute) { s.messageMax = size })
}

// PingInterval sets how long a client of a route's WebSockets may be silent before it is sent a
// ping, in place of websocket.ping_interval; 0 is no limit.
func PingInterval(d time.Duration) RouteOption {
	return socketOption("PingInterval", func(s *socketRoute) {
		if s.pingInterval = d; d <= 0 {
			s.pingInterval = -1
		}
	})
}

func socketOption(name string, set func(*socketRoute)) RouteOption {
	return func(r *Route) {
		if r.socket == nil {
			panic(fmt.Sprintf("publisher: %s is an option of WebSocket, and the route %q at %s is none", name, r.Pattern, r.Place))
		}
		set(r.socket)
	}
}

// CheckOrigin returns an error that says what is wrong with an origin of [Origins].
func CheckOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok || scheme == "" || host == "" || strings.ContainsAny(host, "/?#@ ") || strings.Contains(strings.TrimPrefix(host, "*."), "*") {
		return fmt.Errorf(`origin %q: write "https://shop.example.com", with a port unless it is the usual one, "https://*.example.com", or "*"`, origin)
	}
	return nil
}

// makeSockets gives the routes of WebSockets their limits.
func (s *Server) makeSockets(limits SocketLimits) {
	s.sockets, s.socketSettings = websocket.NewServer(), map[*socketRoute]*socketSettings{}
	if limits.MessageMax == 0 && limits.OutputMax == 0 && limits.PingInterval == 0 {
		limits.MessageMax, limits.OutputMax, limits.PingInterval = SocketDefaults.MessageMax, SocketDefaults.OutputMax, SocketDefaults.PingInterval
	}
	for _, route := range s.routes {
		r := route.socket
		if r == nil {
			continue
		}
		cfg := websocket.Config{
			MessageMax: int(limits.MessageMax), FrameMax: int(limits.FrameMax), OutMax: int(limits.OutputMax),
			PingInterval: limits.PingInterval, PongTimeout: limits.PongTimeout, WriteTimeout: limits.WriteTimeout, RateMin: limits.RateMin,
		}
		if r.messageMax > 0 {
			cfg.MessageMax = int(r.messageMax)
		}
		if r.pingInterval != 0 {
			cfg.PingInterval = max(0, r.pingInterval)
		}
		cfg = cfg.WithDefaults()
		cfg.FrameMax = min(cfg.FrameMax, cfg.MessageMax)
		s.socketSettings[r] = &socketSettings{config: cfg, allowed: append(append([]string(nil), r.origins...), limits.Origins...)}
	}
}

var errSocketApart = errors.New("websocket: its handler cannot run inside a mounted net/http handler: register its route by publisher.WebSocket")

// serve is the handler of the route.
func (s *socketRoute) serve(r *Request) error {
	if r.toCall != nil {
		return errSocketApart
	}
	if !r.source.hasClient() {
		return Permanent(fmt.Errorf("websocket: a %s has no connection", r.Origin()))
	}
	ws := &Socket{Request: r, route: s}
	if ok, err := ws.shake(); !ok {
		return err
	}
	r.socket = ws
	if r.inner != nil {
		r.inner.bridge.passage.socket = ws // its handler runs after the middleware
		return nil
	}
	return ws.run()
}

// run runs the handler.
func (ws *Socket) run() error {
	r := ws.Request
	err := ws.route.handler(ws)
	if ws.conn == nil {
		if err != nil || r.response.set {
			return err
		}
		if err = ws.Accept(); err != nil {
			return err
		}
	}
	return ws.returned(err)
}

// Accept answers the request with 101, if that is not done yet. Before it, the handler may
// add header fields by SetHeader.
func (ws *Socket) Accept() error {
	r := ws.Request
	if err := r.usable(); err != nil {
		return fmt.Errorf("websocket: %w", err)
	}
	if ws.conn != nil {
		return nil
	}
	p := &r.response
	door, ok := r.door.(SocketDoor)
	switch {
	case !ok:
		return errors.New("websocket: this door cannot make a WebSocket")
	case p.err != nil:
		return p.err
	case p.set:
		return errors.New("websocket: the handler has answered the request already")
	case r.cancelled == ErrGone:
		return ErrGone
	}
	s := r.server
	err := door.Upgrade(r.forDoor(), ws.answer(), func(w websocket.Wire) *websocket.Conn {
		ws.conn = s.sockets.NewConn(&s.socketSettings[ws.route].config, w, (*socketEnd)(ws))
		return ws.conn
	})
	if err != nil {
		return err
	}
	p.begun = true
	s.openSockets++
	ws.stop = r.limitAnswer()
	return nil
}

// accepted reports whether the connection is a WebSocket. ws may be nil.
func (ws *Socket) accepted() bool { return ws != nil && ws.conn != nil }

// Subprotocol returns what both sides have agreed on; "" is none. See [Subprotocols].
func (ws *Socket) Subprotocol() string { return ws.protocol }
