package broker

// EventKind says what has happened.
type EventKind uint8

// The kinds of events.
const (
	ConnectionOpened EventKind = iota // a client has opened a vhost
	ConnectionClosed                  // Err says why, nil = closed in an orderly way
	LoginRefused                      // Err says why
	ChannelClosed                     // the end was an error of the client, which is Err
	MemoryBlocked                     // memory is over MemoryMax: publishers are not read any more
	MemoryUnblocked                   // memory is under it again
	DiskBlocked                       // Octets, 0 or less, may still be written: publishers are not read any more
	DiskUnblocked                     // Octets may be written again
	StoreFailed                       // Err: nothing persistent is confirmed from now on
	StoreTroubled                     // Err: the disk takes nothing, and publishers wait; the broker tries again
	StoreRecovered                    // the disk takes writes again
	StoreReported                     // Err: damage that was found at the start
	StoreCut                          // Octets were cut off the store's end at the start: a crash has left them incomplete, and they were never confirmed
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
	Octets int64 // of memory in use, of space on the disk, or of StoreCut
	Err    error
}
