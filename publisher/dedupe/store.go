package dedupe

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"zamqp/amqpproto/journal"
)

// A Key stands for an id.
type Key [16]byte

// Sum returns the key of an id.
func Sum(id []byte) Key {
	sum := sha256.Sum256(id)
	return Key(sum[:])
}

// Options describe a store.
type Options struct {
	Dir  string        // made if it does not exist
	Keep time.Duration // how long an id is remembered
	Max  int           // how many ids are remembered at most
	Now  func() time.Time

	// Offload runs work on another goroutine, and then done on the owner's thread.
	Offload func(work, done func())
	// After runs fn on the owner's thread after a delay. The store tries again with it what the
	// disk did not take.
	After func(wait time.Duration, fn func())
	// Failed is called once when the disk has failed for good.
	Failed func(error)
	// Troubled is called with an error of the disk that may pass, and with nil when it has
	// passed. Until then the ids are kept in memory; then they are written.
	Troubled func(error)

	FS          journal.FS // nil is the operating system's
	SegmentSize int64      // 0 is 4 MiB
}

const segmentSize = 4 << 20

// A Waiter is told when an id is on disk.
type Waiter interface {
	Stored(epoch uint32, tag uint64)
}

// A Store remembers ids. It belongs to one thread.
type Store struct {
	o       Options
	journal *journal.Journal
	ids     map[Key]uint64 // the position of the newest entry of a key
	entries entries
	dropped int // entries since the files were last released
	synced  uint64
	waiting []waiting // in the order of their records
	idle    func()    // called when nothing waits; nil if nobody asks
	err     error     // the disk has failed for good
	trouble error
	crowded uint64
	record  [recordSize]byte
}

// An entry is one id in the order of its time.
type entry struct {
	key Key
	at  int64  // seconds
	seq uint64 // its record
}

type waiting struct {
	w     Waiter
	epoch uint32
	tag   uint64
	seq   uint64
}

// entries is a queue, the oldest first. It is in pieces, because moving all entries when it grows
// would hold the loop.
type entries struct {
	pieces      []*[pieceSize]entry
	first, next uint64 // positions, counted from the start
}

const pieceSize = 4096

func (q *entries) at(position uint64) *entry {
	return &q.pieces[position/pieceSize-q.first/pieceSize][position%pieceSize]
}

func (q *entries) len() int { return int(q.next - q.first) }

func (q *entries) push(e entry) {
	if q.next%pieceSize == 0 || len(q.pieces) == 0 {
		q.pieces = append(q.pieces, new([pieceSize]entry))
	}
	q.next++
	*q.at(q.next - 1) = e
}

func (q *entries) pop() {
	if q.first++; q.first%pieceSize == 0 {
		q.pieces[0] = nil
		q.pieces = q.pieces[1:]
	}
}

// A record has the version of the format, the key, and the time in seconds.
const (
	recordVersion = 1
	recordSize    = 1 + 16 + 8
)

// Open reads the ids of an earlier process. The error is [journal.ErrLocked], wrapped, while
// another process has the directory.
func Open(o Options) (*Store, journal.Report, error) {
	if o.SegmentSize == 0 {
		o.SegmentSize = segmentSize
	}
	s := &Store{o: o, ids: map[Key]uint64{}}
	var report journal.Report
	var err error
	s.journal, report, err = journal.Open(o.Dir, journal.Options{
		SegmentSize: o.SegmentSize, Offload: o.Offload, After: o.After, FS: o.FS,
		OnSynced: s.onSynced, OnError: s.fail, OnTrouble: s.suffer,
	}, s.replay)
	if err != nil {
		return nil, report, fmt.Errorf("ids of %s: %w", o.Dir, err)
	}
	s.synced = s.journal.Last()
	s.crowded = 0
	s.release()
	return s, report, nil
}

func (s *Store) replay(seq uint64, rec []byte) error {
	if len(rec) != recordSize || rec[0] != recordVersion {
		return fmt.Errorf("a record of %d octets that is not of this version of zamqp", len(rec))
	}
	at := int64(binary.BigEndian.Uint64(rec[17:]))
	s.enter(Key(rec[1:17]), at, seq)
	return nil
}

// enter remembers an id, and forgets up to two old ones.
func (s *Store) enter(k Key, at int64, seq uint64) {
	s.ids[k] = s.entries.next
	s.entries.push(entry{k, at, seq})
	s.Expire(2)
}

// Expire forgets up to most ids that are too old or too many. It reports whether there may be
// more.
func (s *Store) Expire(most int) (more bool) {
	old := s.o.Now().Add(-s.o.Keep).Unix()
	n := 0
	for ; n < most && s.entries.len() > 0; n++ {
		e := s.entries.at(s.entries.first)
		if e.at > old {
			if s.entries.len() <= s.o.Max {
				break
			}
			s.crowded++
		}
		if s.ids[e.key] == s.entries.first {
			delete(s.ids, e.key)
		}
		s.entries.pop()
	}
	if s.dropped += n; s.dropped >= 4096 && s.journal != nil {
		s.release()
	}
	return n == most
}

// release removes the files that have only forgotten ids.
func (s *Store) release() {
	s.dropped = 0
	before := s.journal.Last() + 1
	if s.entries.len() > 0 {
		before = s.entries.at(s.entries.first).seq
	}
	s.journal.Release(before)
}

// Has reports whether a message with this id has been handled.
func (s *Store) Has(k Key) bool {
	position, known := s.ids[k]
	return known && s.entries.at(position).at > s.o.Now().Add(-s.o.Keep).Unix()
}

// Add remembers the id of a message that has been handled. w is told when it is on disk, or when
// the disk has failed for good. Flush must be called soon.
func (s *Store) Add(k Key, w Waiter, epoch uint32, tag uint64) {
	if s.err != nil {
		w.Stored(epoch, tag)
		return
	}
	now := s.o.Now().Unix()
	s.record[0] = recordVersion
	copy(s.record[1:], k[:])
	binary.BigEndian.PutUint64(s.record[17:], uint64(now))
	seq := s.journal.Append(s.record[:])
	s.waiting = append(s.waiting, waiting{w, epoch, tag, seq})
	s.enter(k, now, seq)
}

// Await tells w when everything that was added so far is on disk.
func (s *Store) Await(w Waiter, epoch uint32, tag uint64) {
	if s.err != nil || len(s.waiting) == 0 {
		w.Stored(epoch, tag)
		return
	}
	s.waiting = append(s.waiting, waiting{w, epoch, tag, s.waiting[len(s.waiting)-1].seq})
}

// Flush writes what was added.
func (s *Store) Flush() { s.journal.Flush() }

func (s *Store) onSynced(seq uint64) {
	s.synced = seq
	s.tell()
}

// tell calls the waiters whose ids are on disk, or all if the disk has failed.
func (s *Store) tell() {
	n := 0
	for ; n < len(s.waiting) && (s.err != nil || s.waiting[n].seq <= s.synced); n++ {
		w := &s.waiting[n]
		w.w.Stored(w.epoch, w.tag)
	}
	rest := copy(s.waiting, s.waiting[n:])
	clear(s.waiting[rest:])
	s.waiting = s.waiting[:rest]
	if fn := s.idle; fn != nil && rest == 0 {
		s.idle = nil
		fn()
	}
}

func (s *Store) fail(err error) {
	s.err = err
	if s.o.Failed != nil {
		s.o.Failed(err)
	}
	s.tell()
}

func (s *Store) suffer(err error) {
	s.trouble = err
	if s.o.Troubled != nil {
		s.o.Troubled(err)
	}
}

// Err returns why the disk takes nothing now, or, if final is true, why it has failed for good.
func (s *Store) Err() (err error, final bool) {
	if s.err != nil {
		return s.err, true
	}
	return s.trouble, false
}

// Idle calls fn when nothing waits for the disk.
func (s *Store) Idle(fn func()) {
	if len(s.waiting) == 0 {
		fn()
		return
	}
	s.idle = fn
}

// Len is the number of ids that are remembered.
func (s *Store) Len() int { return len(s.ids) }

// Crowded is how many ids were forgotten before their time, because there were too many.
func (s *Store) Crowded() uint64 { return s.crowded }

// Close closes the files. What was added and not reported as stored may be lost.
func (s *Store) Close() error { return s.journal.Close() }
