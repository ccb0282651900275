package document

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// formats has the formats of JSON schema for words of the tag validate.
var formats = map[string]string{
	"email": "email", "url": "uri", "http_url": "uri", "uri": "uri", "uuid": "uuid", "uuid3": "uuid", "uuid4": "uuid", "uuid5": "uuid",
	"uuid_rfc4122": "uuid", "uuid4_rfc4122": "uuid", "ipv4": "ipv4", "ip4_addr": "ipv4", "ipv6": "ipv6", "ip6_addr": "ipv6",
	"hostname": "hostname", "hostname_rfc1123": "hostname", "fqdn": "hostname",
}

// patterns has the patterns of words of the tag validate.
var patterns = map[string]string{
	"alpha": "^[a-zA-Z]+$", "alphanum": "^[a-zA-Z0-9]+$", "numeric": `^[-+]?[0-9]+(?:\.[0-9]+)?$`, "number": "^[0-9]+$",
	"hexadecimal": "^(0[xX])?[0-9a-fA-F]+$",
}

// constrain says in a schema what the tag validate checks, as far as JSON schema has words for
// it.
func constrain(schema *jsonschema.Schema, t reflect.Type, tag string) {
	if tag == "" || tag == "-" {
		return
	}
	keys := false
	for one := range strings.SplitSeq(tag, ",") {
		word, param, _ := strings.Cut(one, "=")
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		switch {
		case word == "keys" || word == "endkeys":
			keys = word == "keys"
		case keys || strings.Contains(one, "|"):
		case word == "dive":
			inner := schema.Items
			if t.Kind() == reflect.Map {
				inner = schema.AdditionalProperties
			}
			if inner == nil || inner == jsonschema.TrueSchema || t.Kind() != reflect.Slice && t.Kind() != reflect.Array && t.Kind() != reflect.Map {
				return
			}
			schema, t = inner, t.Elem()
		case word == "oneof":
			schema.Enum = enumOf(t, param)
		case word == "eq":
			schema.Enum = enumOf(t, "'"+param+"'")
		case formats[word] != "" && t.Kind() == reflect.String:
			schema.Format = formats[word]
		case patterns[word] != "" && t.Kind() == reflect.String:
			schema.Pattern = patterns[word]
		case word == "startswith":
			schema.Pattern = "^" + regexp.QuoteMeta(param)
		case word == "endswith":
			schema.Pattern = regexp.QuoteMeta(param) + "$"
		case word == "unique" && param == "" && t.Kind() == reflect.Slice:
			schema.UniqueItems = true
		case word == "required" && t.Kind() == reflect.String:
			bound(schema, t, "min", "1")
		default:
			bound(schema, t, word, param)
		}
	}
}

// bound sets a bound of a length, a size or a number.
func bound(schema *jsonschema.Schema, t reflect.Type, word, param string) {
	var numbers [4]*json.Number // min, max, and both exclusively
	var sizes [2]**uint64
	switch t.Kind() {
	case reflect.String:
		sizes = [2]**uint64{&schema.MinLength, &schema.MaxLength}
	case reflect.Slice, reflect.Array:
		sizes = [2]**uint64{&schema.MinItems, &schema.MaxItems}
	case reflect.Map:
		sizes = [2]**uint64{&schema.MinProperties, &schema.MaxProperties}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32,
		reflect.Uint64, reflect.Float32, reflect.Float64:
		numbers = [4]*json.Number{&schema.Minimum, &schema.Maximum, &schema.ExclusiveMinimum, &schema.ExclusiveMaximum}
	default:
		return
	}
	if numbers[0] != nil {
		if _, err := strconv.ParseFloat(param, 64); err != nil {
			return // a duration
		}
		if i, ok := map[string]int{"min": 0, "gte": 0, "max": 1, "lte": 1, "gt": 2, "lt": 3}[word]; ok {
			*numbers[i] = json.Number(param)
		}
		return
	}
	n, err := strconv.ParseUint(param, 10, 32)
	if err != nil {
		return
	}
	less, more := n-min(n, 1), n+1
	switch word {
	case "min", "gte":
		*sizes[0] = &n
	case "max", "lte":
		*sizes[1] = &n
	case "gt":
		*sizes[0] = &more
	case "lt":
		*sizes[1] = &less
	case "len":
		*sizes[0], *sizes[1] = &n, &n
	}
}

// words are the words of oneof, of which some are quoted.
var words = regexp.MustCompile(`'[^']*'|\S+`)

func enumOf(t reflect.Type, list string) (enum []any) {
	for _, word := range words.FindAllString(list, -1) {
		enum = append(enum, defaultOf(t, strings.Trim(word, "'")))
	}
	return enum
}

// defaultOf is the text of a value of a type, as JSON has it.
func defaultOf(t reflect.Type, text string) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch k := t.Kind(); {
	case k == reflect.Slice:
		list := []any{}
		for one := range strings.SplitSeq(text, ",") {
			if one = strings.TrimSpace(one); one != "" {
				list = append(list, defaultOf(t.Elem(), one))
			}
		}
		return list
	case encodesItself(t):
	case t == reflect.TypeFor[time.Duration]():
		if d, err := time.ParseDuration(text); err == nil {
			return int64(d)
		}
	case k == reflect.Bool:
		if on, err := strconv.ParseBool(text); err == nil {
			return on
		}
	case k >= reflect.Int && k <= reflect.Float64:
		if json.Valid([]byte(text)) {
			return json.Number(text)
		}
	}
	return text
}
