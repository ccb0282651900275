package document

import (
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"zamqp/publisher"
	"zamqp/publisher/binding"
)

// Paths where the documents are served.
const (
	OpenAPIPath  = "/openapi.json"
	AsyncAPIPath = "/asyncapi.json"
)

// anyMethod are the methods that a route without one is listed under.
var anyMethod = []string{"get", "put", "post", "delete", "patch"}

// an openAPI is the document while it is made.
type openAPI struct {
	Source
	*schemas
	failures
	paths     map[string]object
	templates map[string]string // paths by what they are without names: OpenAPI does not tell them apart
	ids       map[string]bool
	unsaid    []string // patterns that the document has no words for
	basic     bool
	bearer    bool
}

// OpenAPI makes the OpenAPI 3.1 document of the routes. The error names the routes whose types
// have no JSON.
func OpenAPI(from Source) ([]byte, error) {
	d := &openAPI{Source: from, schemas: makeSchemas(), paths: map[string]object{}, templates: map[string]string{}, ids: map[string]bool{}}
	routes := from.Registry.Routes()
	operations := make([]publisher.Operation, len(routes))
	for i, route := range routes {
		var err error
		operations[i], err = from.Registry.RouteOperation(route)
		d.add(route.Pattern, err)
		if plan := operations[i].Plan; plan != nil && plan.Body != nil {
			d.addInput(plan.Body, plan.Type)
		}
	}
	for i, route := range routes {
		if !operations[i].Hidden && !isDocument(route) {
			d.addRoute(route, &operations[i])
		}
	}
	components := object{"schemas": d.all()}
	if schemes := d.securitySchemes(); len(schemes) > 0 {
		components["securitySchemes"] = schemes
	}
	made := object{"openapi": "3.1.0", "info": from.info(), "paths": d.paths, "components": components}
	if from.BaseURL != "" {
		made["servers"] = []object{{"url": strings.TrimSuffix(from.BaseURL, "/")}}
	}
	if len(d.unsaid) > 0 {
		made["x-not-described"] = d.unsaid
	}
	if d.err != nil {
		return nil, d.err
	}
	return write(made)
}

func isDocument(r *publisher.Route) bool {
	return r.Pattern == "GET "+OpenAPIPath || r.Pattern == "GET "+AsyncAPIPath
}

// A template is the path of a pattern, as OpenAPI writes it.
type template struct {
	path  string
	names []string
	rest  string // the name of the wildcard that takes several parts; "" for none
}

func templateOf(pattern string) (t template) {
	_, p, found := strings.Cut(pattern, " ")
	if !found {
		p = pattern
	}
	p = p[strings.IndexByte(p, '/'):]
	p = strings.TrimSuffix(p, "{$}")
	if strings.HasSuffix(p, "/") && !strings.HasSuffix(pattern, "{$}") {
		p += "{rest...}" // a pattern that ends in a slash matches everything below
	}
	parts := strings.Split(p, "/")
	for i, part := range parts {
		name, ok := strings.CutPrefix(part, "{")
		if !ok {
			continue
		}
		name = strings.TrimSuffix(name, "}")
		if cut, multi := strings.CutSuffix(name, "..."); multi {
			name, t.rest = cut, cut
		}
		t.names = append(t.names, name)
		parts[i] = "{" + name + "}"
	}
	t.path = strings.Join(parts, "/")
	return t
}

// addRoute adds the operations of a route.
func (d *openAPI) addRoute(route *publisher.Route, o *publisher.Operation) {
	t := templateOf(route.Pattern)
	renamed := map[string]string{}
	bare := t.path
	for _, name := range t.names {
		bare = strings.Replace(bare, "{"+name+"}", "{}", 1)
	}
	if first, ok := d.templates[bare]; ok && first != t.path {
		for i, name := range templateOf(first).names {
			renamed[t.names[i]] = name
		}
		t.path = first
	}
	d.templates[bare] = t.path
	methods := anyMethod
	if route.Method != "" {
		methods = []string{strings.ToLower(route.Method)}
	}
	for _, method := range methods {
		switch method {
		case "get", "put", "post", "delete", "options", "head", "patch", "trace":
		default:
			d.unsaid = append(d.unsaid, route.Pattern)
			continue
		}
		if d.paths[t.path] == nil {
			d.paths[t.path] = object{}
		}
		if d.paths[t.path][method] != nil {
			if route.Method != "" { // of another host, or {name...} beside {name}
				d.unsaid = append(d.unsaid, route.Pattern)
			}
			continue
		}
		d.paths[t.path][method] = d.operation(route, method, o, t, renamed)
	}
}

func (d *openAPI) operation(route *publisher.Route, method string, o *publisher.Operation, t template, renamed map[string]string) object {
	made := object{"operationId": d.id(o.ID, method, t)}
	describe(made, o.Doc)
	if len(o.Tags) > 0 {
		made["tags"] = o.Tags
	}
	if route.Host != "" {
		made["servers"] = []object{{"url": "//" + route.Host}}
	}
	if params := d.parameters(o, t, renamed); len(params) > 0 {
		made["parameters"] = params
	}
	reads := o.Plan != nil && o.Plan.Body != nil
	if reads {
		schema, err := d.of(o.Plan.Body, false)
		d.add(route.Pattern, err)
		made["requestBody"] = object{"required": !o.Optional, "content": object{"application/json": object{"schema": schema}}}
	}
	made["responses"] = d.responses(route, o, reads)
	if o.Basic || o.Bearer {
		made["security"] = d.security(o)
	}
	return made
}

// id is the operationId of an operation, which no other one has.
func (d *openAPI) id(id, method string, t template) string {
	if id == "" {
		id = method
		for part := range strings.SplitSeq(t.path, "/") {
			word := notInNames.ReplaceAllString(strings.Trim(part, "{}"), "_")
			if word = strings.Trim(word, "_"); word == "" {
				continue
			}
			if strings.HasPrefix(part, "{") {
				id += "By"
			}
			id += strings.ToUpper(word[:1]) + word[1:]
		}
		if id == method {
			id += "Root"
		}
	}
	for n, first := 2, id; d.ids[id]; n++ {
		id = first + strconv.Itoa(n)
	}
	d.ids[id] = true
	return id
}

func (d *openAPI) parameters(o *publisher.Operation, t template, renamed map[string]string) (all []object) {
	known := map[string]*binding.Parameter{}
	if o.Plan != nil {
		for i := range o.Plan.Parameters {
			q := &o.Plan.Parameters[i]
			if q.In == binding.InPath {
				known[q.Name] = q
				continue
			}
			all = append(all, parameter(q))
		}
	}
	for _, name := range t.names {
		p := object{"name": name, "in": binding.InPath, "required": true, "schema": object{"type": "string"}}
		if q := known[name]; q != nil {
			p = parameter(q)
		}
		if name == t.rest {
			p["description"] = strings.TrimSpace(fmt.Sprint(text(p["description"]), " It takes the rest of the path, and may have slashes."))
		}
		if other := renamed[name]; other != "" {
			p["name"] = other
		}
		all = append(all, p)
	}
	sort.SliceStable(all, func(i, j int) bool { return text(all[i]["in"]) > text(all[j]["in"]) }) // query, path, header
	return all
}

func text(v any) string { s, _ := v.(string); return s }

// responses are the answers of an operation.
func (d *openAPI) responses(route *publisher.Route, o *publisher.Operation, reads bool) object {
	made := object{}
	if o.Answers {
		answer := object{"description": http.StatusText(o.Status)}
		if o.Out != nil {
			schema, err := d.of(o.Out, true)
			d.add(route.Pattern, err)
			answer["content"] = object{"application/json": object{"schema": schema}}
		}
		made[strconv.Itoa(o.Status)] = answer
	}
	if reads {
		made["400"] = problem("The body cannot be read.")
		made["415"] = failure("The body has a content type that is not known.")
	}
	if o.Plan != nil && (reads || len(o.Plan.Parameters) > 0) {
		made["422"] = problem("Values do not fit: errors has all of them.")
	}
	if o.Basic || o.Bearer {
		made["401"] = failure("Credentials are missing or wrong.")
	}
	made["default"] = object{"description": "What the handler answers."}
	if o.Answers {
		made["default"] = failure("What went wrong.")
	}
	return made
}

// problem is an answer in JSON.
func problem(description string) object {
	schema := object{"$ref": "#/components/schemas/" + problemName}
	return object{"description": description, "content": object{"application/problem+json": object{"schema": schema}}}
}

// failure is an answer in JSON to those who ask for it, and a text to others.
func failure(description string) object {
	made := problem(description)
	made["content"].(object)["text/plain"] = object{"schema": object{"type": "string"}}
	return made
}

func (d *openAPI) security(o *publisher.Operation) (either []object) {
	if d.basic = d.basic || o.Basic; o.Basic {
		either = append(either, object{"basic": []string{}})
	}
	if d.bearer = d.bearer || o.Bearer; o.Bearer {
		either = append(either, object{"bearer": []string{}})
	}
	if o.Open {
		either = append(either, object{})
	}
	return either
}

func (d *openAPI) securitySchemes() object {
	made := object{}
	if d.basic {
		made["basic"] = object{"type": "http", "scheme": "basic"}
	}
	if d.bearer {
		made["bearer"] = object{"type": "http", "scheme": "bearer"}
	}
	return made
}
