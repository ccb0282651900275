// Package wiretest joins machines in memory: no sockets, no goroutines, no
// sleeps, and a clock that only the test moves.
//
// A machine is whatever has the five methods of Peer. The rules by which a Link
// calls them are those of the loop, made as hostile as the loop may ever be:
//
//   - bytes arrive in pieces of random size, and leave in short writes;
//   - what Feed does not take is kept and offered again with more bytes, or when
//     the machine's wire was woken, and never otherwise;
//   - the slice lent to Feed is overwritten when Feed returns, so a kept view
//     shows as garbage;
//   - Tick is called once when the wire opens, once after each turn in which the
//     machine was fed or woken, and when the time it asked for has come;
//   - the unsent rest of Pending must still lead what Pending returns later;
//   - an error of Feed flushes and closes, Close flushes and closes, Abort cuts,
//     and Lost is called exactly once, last.
//
// A typical test:
//
//	clock := wiretest.NewClock()
//	ours, theirs := wiretest.NewWire(), wiretest.NewWire()
//	link := wiretest.Join(t, clock, seed, ours.Bind(machine(ours)), theirs.Bind(other(theirs)))
//	link.Run()                      // until nobody has anything to say
//	clock.Advance(30 * time.Second) // every deadline on the way, in order
//
// Everything that is random comes from the seed, and a failing test prints it.
// Seed 0 is the calm wire: everything arrives whole and in turn.
//
// AllSplits feeds one input cut in every way; Play and Golden compare with files
// under testdata, rewritten by `go test -update`.
package wiretest
