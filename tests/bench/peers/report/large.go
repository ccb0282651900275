package report

// A large answer is LargePieces times LargePiece, 3 MB: more than the system
// buffers for a client that does not read.
const LargePieces = 48

var LargePiece = make([]byte, 64<<10)
