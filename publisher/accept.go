package publisher

import (
	"bytes"
	"strconv"
)

// asksForJSON reports whether an error is answered in JSON. That is so if the Accept field names
// a type of JSON that is worth as much as text. Without such a name, where everything is
// as welcome, usual decides. RFC 9110 §12.5.1.
func (r *Request) asksForJSON(usual bool) bool {
	if r.source.hasClient() {
		return asksForJSON(r.fields, usual)
	}
	var a accepted
	a.read(view(r.source.field(r, "Accept")))
	return a.asksForJSON(usual)
}

// asksForJSON is [Request.asksForJSON] for the fields of a request.
func asksForJSON(fields []Field, usual bool) bool {
	var a accepted
	for i := range fields {
		if f := &fields[i]; len(f.Name) == len("Accept") && equalFold(f.Name, "Accept") {
			a.read(f.Value)
		}
	}
	return a.asksForJSON(usual)
}

func (a *accepted) asksForJSON(usual bool) bool {
	asText := max(a.text, a.any)
	switch {
	case !a.some:
		return usual
	case a.named:
		return a.json > 0 && a.json >= asText
	}
	return usual && max(a.wild, a.any) >= a.text && max(a.wild, a.any) > 0
}

// accepted is what an Accept field says, in thousandths.
type accepted struct {
	some  bool // it says something
	named bool // it names JSON
	json  int  // the most for application/json, application/problem+json or other +json
	text  int  // the most for text/plain, text/html or text/*
	wild  int  // for application/*
	any   int  // for */*
}

// read reads the value of an Accept field. Malformed parts are worth nothing.
func (a *accepted) read(value []byte) {
	for len(value) > 0 {
		var part []byte
		part, value, _ = bytes.Cut(value, []byte(","))
		kind, parameters, _ := bytes.Cut(part, []byte(";"))
		kind = bytes.TrimSpace(kind)
		if len(kind) == 0 {
			continue
		}
		a.some = true
		switch q := quality(parameters); {
		case is(kind, "application/json"), len(kind) > len("+json") && equalFold(kind[len(kind)-len("+json"):], "+json"):
			a.named, a.json = true, max(a.json, q)
		case is(kind, "text/plain"), is(kind, "text/html"), is(kind, "text/*"):
			a.text = max(a.text, q)
		case is(kind, "application/*"):
			a.wild = max(a.wild, q)
		case is(kind, "*/*"):
			a.any = max(a.any, q)
		}
	}
}

func is(kind []byte, name string) bool { return len(kind) == len(name) && equalFold(kind, name) }

// quality is the weight among the parameters of a media range, in thousandths.
func quality(parameters []byte) int {
	for len(parameters) > 0 {
		var part []byte
		part, parameters, _ = bytes.Cut(parameters, []byte(";"))
		part = bytes.TrimSpace(part)
		if len(part) < 2 || lower(part[0]) != 'q' || part[1] != '=' {
			continue
		}
		q, err := strconv.ParseFloat(text(part[2:]), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return int(q * 1000)
	}
	return 1000
}
