package main

import (
	"bytes"
	"fmt"
	"strings"
)

// part is what one wire position holds: a single argument, or a run of bits
// that share an octet (AMQP 0-9-1 §4.2.5.2). No method has more than eight.
type part struct {
	typ  string // an argument's type, or "bits"
	args []argument
}

// group merges runs of bits.
func group(args []argument) []part {
	var parts []part
	for _, a := range args {
		if a.typ != "bit" {
			parts = append(parts, part{a.typ, []argument{a}})
			continue
		}
		if n := len(parts); n > 0 && parts[n-1].typ == "bits" {
			parts[n-1].args = append(parts[n-1].args, a)
			continue
		}
		parts = append(parts, part{"bits", []argument{a}})
	}
	return parts
}

// emitAppend writes AppendArgs. The length checks come first, so that an error
// leaves dst unchanged.
func emitAppend(w *bytes.Buffer, name string, args []argument) {
	recv := "m"
	if len(args) == 0 || allReserved(args) {
		recv = ""
	}
	fmt.Fprintf(w, "// AppendArgs appends the arguments to dst; see [Method].\nfunc (%s *%s) AppendArgs(dst []byte) ([]byte, error) {\n", recv, name)
	for _, a := range args {
		if a.reserved {
			continue
		}
		switch a.typ {
		case "shortstr":
			fmt.Fprintf(w, "\tif len(m.%s) > ShortstrMax {\n\t\treturn dst, argTooLong(ID%s, %q, len(m.%s), ShortstrMax)\n\t}\n", a.field, name, a.name, a.field)
		case "longstr", "table":
			fmt.Fprintf(w, "\tif uint64(len(m.%s)) > longMax {\n\t\treturn dst, argTooLong(ID%s, %q, len(m.%s), longMax)\n\t}\n", a.field, name, a.name, a.field)
		}
	}
	for _, p := range group(args) {
		emitAppendPart(w, p)
	}
	fmt.Fprint(w, "\treturn dst, nil\n}\n\n")
}

func allReserved(args []argument) bool {
	for _, a := range args {
		if !a.reserved {
			return false
		}
	}
	return true
}

func emitAppendPart(w *bytes.Buffer, p part) {
	a := p.args[0]
	if a.reserved {
		size := map[string]int{"shortstr": 1, "longstr": 4, "table": 4}[p.typ] + widths[p.typ]
		fmt.Fprintf(w, "\tdst = append(dst%s) // %s\n", strings.Repeat(", 0", size), a.name)
		return
	}
	switch p.typ {
	case "bits":
		var terms []string
		for i, b := range p.args {
			term := "bit(m." + b.field + ")"
			if i > 0 {
				term += fmt.Sprintf("<<%d", i)
			}
			terms = append(terms, term)
		}
		fmt.Fprintf(w, "\tdst = append(dst, %s)\n", strings.Join(terms, "|"))
	case "octet":
		fmt.Fprintf(w, "\tdst = append(dst, m.%s)\n", a.field)
	case "short":
		fmt.Fprintf(w, "\tdst = binary.BigEndian.AppendUint16(dst, m.%s)\n", a.field)
	case "long":
		fmt.Fprintf(w, "\tdst = binary.BigEndian.AppendUint32(dst, m.%s)\n", a.field)
	case "longlong", "timestamp":
		fmt.Fprintf(w, "\tdst = binary.BigEndian.AppendUint64(dst, m.%s)\n", a.field)
	case "shortstr":
		fmt.Fprintf(w, "\tdst = appendShortstr(dst, m.%s)\n", a.field)
	case "longstr", "table":
		fmt.Fprintf(w, "\tdst = appendLongstr(dst, m.%s)\n", a.field)
	}
}

// emitDecode writes DecodeArgs. Arguments of fixed size that follow each other
// share one length check.
func emitDecode(w *bytes.Buffer, name string, args []argument) {
	recv := "m"
	if allReserved(args) {
		recv = ""
	}
	fmt.Fprintf(w, "// DecodeArgs reads the arguments, as views into args; see [Method].\nfunc (%s *%s) DecodeArgs(args []byte) error {\n", recv, name)
	if len(args) > 0 {
		fmt.Fprint(w, "\tb := args\n")
	}
	for _, a := range args {
		if widths[a.typ] == 0 && a.typ != "bit" && !a.reserved {
			fmt.Fprint(w, "\tvar ok bool\n")
			break
		}
	}
	parts := group(args)
	for i := 0; i < len(parts); {
		if widths[parts[i].typ] == 0 {
			emitDecodeString(w, name, parts[i])
			i++
			continue
		}
		run := i
		for run < len(parts) && widths[parts[run].typ] > 0 {
			run++
		}
		emitDecodeRun(w, name, parts[i:run])
		i = run
	}
	rest := "b"
	if len(args) == 0 {
		rest = "args"
	}
	fmt.Fprintf(w, "\tif len(%s) != 0 {\n\t\treturn argsTrail(ID%s, len(%s))\n\t}\n\treturn nil\n}\n\n", rest, name, rest)
}

func emitDecodeString(w *bytes.Buffer, name string, p part) {
	a, cut, target := p.args[0], "cutLongstr", "m."+p.args[0].field
	if p.typ == "shortstr" {
		cut = "cutShortstr"
	}
	if a.reserved {
		fmt.Fprintf(w, "\tif _, rest, ok := %s(b); ok {\n\t\tb = rest\n\t} else {\n\t\treturn argsCut(ID%s, %q)\n\t}\n", cut, name, a.name)
		return
	}
	if p.typ == "table" {
		fmt.Fprintf(w, "\tvar %s []byte\n\tif %s, b, ok = %s(b); !ok {\n\t\treturn argsCut(ID%s, %q)\n\t}\n\t%s = %s\n",
			"table", "table", cut, name, a.name, target, "table")
		return
	}
	fmt.Fprintf(w, "\tif %s, b, ok = %s(b); !ok {\n\t\treturn argsCut(ID%s, %q)\n\t}\n", target, cut, name, a.name)
}

func emitDecodeRun(w *bytes.Buffer, name string, run []part) {
	size := 0
	for _, p := range run {
		size += widths[p.typ]
	}
	fmt.Fprintf(w, "\tif len(b) < %d {\n\t\treturn argsCut(ID%s, %q)\n\t}\n", size, name, run[0].args[0].name)
	at := 0
	for _, p := range run {
		a := p.args[0]
		slice := "b"
		if at > 0 {
			slice = fmt.Sprintf("b[%d:]", at)
		}
		switch {
		case p.typ == "bits":
			for i, b := range p.args {
				if !b.reserved {
					fmt.Fprintf(w, "\tm.%s = b[%d]&%d != 0\n", b.field, at, 1<<i)
				}
			}
		case a.reserved:
		case p.typ == "octet":
			fmt.Fprintf(w, "\tm.%s = b[%d]\n", a.field, at)
		default:
			fmt.Fprintf(w, "\tm.%s = binary.BigEndian.Uint%d(%s)\n", a.field, 8*widths[p.typ], slice)
		}
		at += widths[p.typ]
	}
	fmt.Fprintf(w, "\tb = b[%d:]\n", size)
}
