package broker

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	ConnectionOpened EventKind = iota // a client has opened a vhost
	ConnectionClosed                  // Err says why, nil = in order
	LoginRefused                      // Err says why
	ChannelClosed                     // by an error of the client, which Err is
	MemoryBlocked                     // over MemoryMax: publishers are not read any more
	MemoryUnblocked                   // under it again
	StoreFailed                       // Err: nothing persistent is confirmed from now on
	StoreReported                     // Err: what was found damaged at start
	StoreCut                          // Octets were cut off its end at start: not wholly written before a crash, and never confirmed
)

var eventNames = [...]string{"connection opened", "connection closed", "login refused", "channel closed",
	"memory blocked", "memory unblocked", "store failed", "store reported", "store cut"}

func (k EventKind) String() string { return eventNames[k] }

// Event is something in the broker's life that a log should tell. Fields that
// do not belong to its kind are zero.
type Event struct {
	Kind   EventKind
	Remote string // the client's address
	Name   string // connection_name of the client's properties
	User   string
	Vhost  string
	Octets int64 // of memory in use, or of StoreCut
	Err    error
}
