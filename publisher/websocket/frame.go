package websocket

import "encoding/binary"

// opcode is the kind of a frame. RFC 6455 §11.8.
type opcode uint8

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10
)

func (o opcode) isControl() bool { return o >= opClose }

// header is the head of a frame. RFC 6455 §5.2.
type header struct {
	length int64 // of the payload
	mask   [4]byte
	op     opcode
	fin    bool
	masked bool
}

// headerMax is the longest head of a frame, in octets.
const headerMax = 14

// parseHeader reads the head of a frame and returns its length; 0 if in does not have the whole
// head. It reports an error as soon as it sees it.
func parseHeader(in []byte) (h header, n int, err *CloseError) {
	if len(in) < 2 {
		return h, 0, nil
	}
	h.fin, h.op, h.masked = in[0]&0x80 != 0, opcode(in[0]&0x0f), in[1]&0x80 != 0
	switch {
	case in[0]&0x70 != 0:
		return h, 0, errReserved
	case h.op > opBinary && h.op < opClose || h.op > opPong:
		return h, 0, errOpcode
	}
	h.length, n = int64(in[1]&0x7f), 2
	if h.op.isControl() {
		if !h.fin {
			return h, 0, errControlFragment
		}
		if h.length > controlMax {
			return h, 0, errControlLong
		}
	}
	switch h.length {
	case 126:
		if len(in) < 4 {
			return h, 0, nil
		}
		h.length, n = int64(binary.BigEndian.Uint16(in[2:])), 4
		if h.length < 126 {
			return h, 0, errLength
		}
	case 127:
		if len(in) < 10 {
			return h, 0, nil
		}
		length := binary.BigEndian.Uint64(in[2:])
		if length < 1<<16 || length>>63 != 0 {
			return h, 0, errLength
		}
		h.length, n = int64(length), 10
	}
	if h.masked {
		if len(in) < n+4 {
			return h, 0, nil
		}
		n += copy(h.mask[:], in[n:n+4])
	}
	return h, n, nil
}

// appendHeader appends the head of a frame without a mask.
func appendHeader(dst []byte, op opcode, fin bool, length int) []byte {
	first := byte(op)
	if fin {
		first |= 0x80
	}
	switch {
	case length < 126:
		return append(dst, first, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(length))
}

// appendFrame appends a frame, masked unless mask is nil.
func appendFrame(dst []byte, op opcode, fin bool, mask *[4]byte, payload []byte) []byte {
	start := len(dst)
	dst = appendHeader(dst, op, fin, len(payload))
	if mask == nil {
		return append(dst, payload...)
	}
	dst[start+1] |= 0x80
	dst = append(dst, mask[:]...)
	at := len(dst)
	dst = append(dst, payload...)
	unmask(dst[at:], *mask, 0)
	return dst
}

// unmask masks p or removes the mask, which is the same operation. pos is the offset of p in its
// payload. It returns the offset after p, modulo 4. RFC 6455 §5.3.
func unmask(p []byte, mask [4]byte, pos int) int {
	if mask == [4]byte{} {
		return (pos + len(p)) & 3
	}
	var turned [4]byte
	for i := range turned {
		turned[i] = mask[(pos+i)&3]
	}
	half := uint64(binary.LittleEndian.Uint32(turned[:]))
	key := half | half<<32
	next := (pos + len(p)) & 3
	for len(p) >= 32 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^key)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])^key)
		binary.LittleEndian.PutUint64(p[16:], binary.LittleEndian.Uint64(p[16:])^key)
		binary.LittleEndian.PutUint64(p[24:], binary.LittleEndian.Uint64(p[24:])^key)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^key)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= turned[i&3]
	}
	return next
}
