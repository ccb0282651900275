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
	DiskBlocked                       // Octets more may be written than are free: publishers are not read any more
	DiskUnblocked                     // Octets may be written again
	StoreFailed                       // Err: nothing persistent is confirmed from now on
	StoreTroubled                     // Err: the disk takes nothing, publishers wait; it is tried again
	StoreRecovered                    // the disk takes what is written again
	StoreReported                     // Err: what was found damaged at start
	StoreCut                          // Octets were cut off its end at start: not wholly written before a crash, and never confirmed
)

var eventNames = [...]string{"connection opened", "connection closed", "login refused", "channel closed",
	"memory blocked", "memory unblocked", "disk almost full, publishers wait", "disk has room again", "store failed", "store waits for its disk", "store goes on", "store reported", "store cut"}

func (k EventKind) String() string { return eventNames[k] }

// Event is something for the log. Fields that do not belong to its kind are zero.
type Event struct {
	Kind   EventKind
	Remote string // the client's address
	Name   string // connection_name of the client's properties
	User   string
	Vhost  string
	Octets int64 // of memory in use, of room on the disk, or of StoreCut
	Err    error
}
