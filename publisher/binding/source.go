package binding

import (
	"bytes"
	"errors"
	"net/url"
	"reflect"
)

// A Source has the parameters of a call.
type Source interface {
	// PathValue returns the part of the path that the wildcard of that name matched.
	PathValue(name string) string
	// RawQuery returns the query as it was sent.
	RawQuery() []byte
	// Header returns the first value of a header field; "" if there is none.
	Header(name string) string
	// HeaderList returns the values of a header field that is a list, over all its lines,
	// separated by commas.
	HeaderList(name string) string
}

// Fill sets the parameters in a value of the plan's type, and appends the mistakes in them. A
// parameter that is missing gets its default, or the zero value, whatever the body said.
func (p *Plan) Fill(value reflect.Value, from Source, mistakes []Mistake) []Mistake {
	var given [8]pair
	pairs := given[:0]
	if p.query {
		pairs, mistakes = p.scanQuery(from.RawQuery(), pairs, mistakes)
	}
	for i := range p.Parameters {
		q := &p.Parameters[i]
		field := value
		if len(q.index) == 1 {
			field = value.Field(q.index[0])
		} else {
			field = value.FieldByIndex(q.index)
		}
		if err := q.fill(field, i, from, pairs); err != nil {
			field.SetZero()
			mistakes = append(mistakes, Mistake{q.path, err.Error()})
		}
	}
	return mistakes
}

// fill sets one parameter.
func (q *Parameter) fill(field reflect.Value, i int, from Source, pairs []pair) error {
	var text string
	given := false
	switch q.In {
	case InPath:
		text, given = from.PathValue(q.Name), true
	case InHeader:
		if q.Multiple {
			if texts := splitList(from.HeaderList(q.Name)); len(texts) > 0 {
				return q.setAll(field, texts)
			}
			break
		}
		text = from.Header(q.Name)
		given = text != ""
	case InQuery:
		var texts []string
		for k := range pairs {
			switch {
			case pairs[k].of != i:
			case q.Multiple:
				texts = append(texts, pairs[k].text)
			case given:
				return errors.New("is given more than once")
			default:
				text, given = pairs[k].text, true
			}
		}
		if len(texts) > 0 {
			return q.setAll(field, texts)
		}
		if given && text == "" && !q.text {
			given = false // the empty field of a form
		}
	}
	switch {
	case given:
		return q.set(field, text)
	case q.HasDefault:
		return q.setDefault(field)
	}
	field.SetZero()
	return nil
}

// A pair of the query, for a parameter.
type pair struct {
	of   int // of Plan.Parameters
	text string
}

// scanQuery finds the pairs of the query that are parameters. As net/url, it takes no semicolons.
func (p *Plan) scanQuery(query []byte, pairs []pair, mistakes []Mistake) ([]pair, []Mistake) {
	for len(query) > 0 {
		part := query
		if i := bytes.IndexByte(query, '&'); i >= 0 {
			part, query = query[:i], query[i+1:]
		} else {
			query = nil
		}
		key, text, _ := bytes.Cut(part, []byte("="))
		of, bad := p.queryParameter(key)
		switch {
		case len(mistakes) > MistakesMax:
			return pairs, mistakes
		case bad:
			mistakes = append(mistakes, Mistake{"query", "a name has a malformed escape: % is written as %25"})
			continue
		case of < 0:
			continue
		case bytes.IndexByte(part, ';') >= 0:
			mistakes = append(mistakes, Mistake{p.Parameters[of].path, "has a ; in its value: it is written as %3B"})
			continue
		}
		value := string(text)
		if bytes.IndexByte(text, '%') >= 0 || bytes.IndexByte(text, '+') >= 0 {
			var err error
			if value, err = url.QueryUnescape(value); err != nil {
				mistakes = append(mistakes, Mistake{p.Parameters[of].path, "has a malformed escape: % is written as %25"})
				continue
			}
		}
		pairs = append(pairs, pair{of, value})
	}
	return pairs, mistakes
}

// queryParameter finds the parameter of a key; -1 is none.
func (p *Plan) queryParameter(key []byte) (of int, bad bool) {
	if bytes.IndexByte(key, '%') >= 0 || bytes.IndexByte(key, '+') >= 0 {
		name, err := url.QueryUnescape(string(key))
		if err != nil {
			return -1, true
		}
		key = []byte(name)
	}
	for i := range p.Parameters {
		if q := &p.Parameters[i]; q.In == InQuery && q.Name == string(key) {
			return i, false
		}
	}
	return -1, false
}
