package document

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"zamqp/publisher"
	"zamqp/publisher/binding"
)

// bindingVersion is the version of AsyncAPI's AMQP bindings.
const bindingVersion = "0.3.0"

// an asyncAPI is the document while it is made.
type asyncAPI struct {
	Source
	*schemas
	failures
	channels   object
	operations object
	messages   object
}

// AsyncAPI makes the AsyncAPI 3.0 document of the consumers and producers. The error names those
// whose types have no JSON.
func AsyncAPI(from Source) ([]byte, error) {
	d := &asyncAPI{Source: from, schemas: makeSchemas(), channels: object{}, operations: object{}, messages: object{}}
	consumers, producers := map[string]publisher.Operation{}, map[string]publisher.Operation{}
	for _, name := range slices.Sorted(maps.Keys(from.Consumers)) {
		o, err := from.Registry.ConsumerOperation(name, from.Consumers[name])
		d.add("consumer "+name, err)
		if consumers[name] = o; o.Plan != nil && o.Plan.Body != nil {
			d.addInput(o.Plan.Body, o.Plan.Type)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(from.Producers)) {
		o, err := from.Registry.ProducerOperation(from.Producers[name])
		d.add("producer "+name, err)
		producers[name] = o
	}
	for _, name := range slices.Sorted(maps.Keys(consumers)) {
		if o := consumers[name]; !o.Hidden && !from.Consumers[name].Disabled {
			d.addConsumer(name, from.Consumers[name], &o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(producers)) {
		if o := producers[name]; !o.Hidden {
			d.addProducer(name, from.Producers[name], &o)
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	return write(object{
		"asyncapi": "3.0.0", "info": from.info(), "channels": d.channels, "operations": d.operations,
		"components": object{"messages": d.messages, "schemas": d.all()},
	})
}

// addConsumer adds the queue of a consumer, and that the program takes its messages.
func (d *asyncAPI) addConsumer(name string, c publisher.Consumer, o *publisher.Operation) {
	queue := c.Queue
	if base, _ := publisher.SplitInstance(name); queue == "" && !c.ServerNamed {
		queue = base
	}
	id := "consumer_" + notInNames.ReplaceAllString(name, "_")
	channel := object{"address": any(queue), "description": bindingsText(c)}
	if queue == "" {
		channel["address"] = nil // the broker names it
	}
	channel["bindings"] = object{"amqp": object{
		"is": "queue", "bindingVersion": bindingVersion,
		"queue": object{"name": queue, "durable": !c.Transient && !c.ServerNamed, "exclusive": c.Exclusive || c.ServerNamed || c.Transient, "autoDelete": c.AutoDelete},
	}}
	message := object{"name": name, "contentType": contentType(c.Codec)}
	if o.Plan != nil {
		if o.Plan.Body != nil {
			schema, err := d.of(o.Plan.Body, false)
			d.add("consumer "+name, err)
			message["payload"] = schema
		}
		if headers := headersOf(o); headers != nil {
			message["headers"] = headers
		}
	}
	d.operation(id, "receive", channel, message, o)
	if c.Route != "" {
		d.operations[id].(object)["x-route"] = c.Route
	}
}

// bindingsText says how messages come into the queue.
func bindingsText(c publisher.Consumer) string {
	keys := c.RoutingKeys
	switch {
	case c.Exchange == "":
		return "A queue. Messages are published to the default exchange with its name as routing key."
	case len(keys) == 0:
		return fmt.Sprintf("A queue that is bound to the exchange %s.", c.Exchange)
	}
	return fmt.Sprintf("A queue that is bound to the exchange %s by the keys %s.", c.Exchange, strings.Join(keys, ", "))
}

// addProducer adds the exchange of a producer, and that the program publishes to it.
func (d *asyncAPI) addProducer(name string, p publisher.Producer, o *publisher.Operation) {
	id := "producer_" + notInNames.ReplaceAllString(name, "_")
	key := p.RoutingKey
	if key == "" {
		key = p.Queue
	}
	channel := object{"address": any(key)}
	if key == "" {
		channel["address"] = nil // each message has a key of its own
	}
	exchange := object{"name": p.Exchange, "durable": !p.Transient && !p.ExchangeTransient, "autoDelete": p.AutoDelete}
	switch p.ExchangeType {
	case "topic", "direct", "fanout", "headers":
		exchange["type"] = p.ExchangeType
	case "":
		if exchange["type"] = "direct"; p.Exchange == "" {
			exchange["type"] = "default"
		}
	}
	channel["bindings"] = object{"amqp": object{"is": "routingKey", "bindingVersion": bindingVersion, "exchange": exchange}}
	message := object{"name": name, "contentType": contentType(p.Codec)}
	if o.Plan != nil && o.Plan.Body != nil {
		schema, err := d.of(o.Plan.Body, true)
		d.add("producer "+name, err)
		message["payload"] = schema
	}
	d.operation(id, "send", channel, message, o)
	amqp := object{"bindingVersion": bindingVersion, "deliveryMode": 2, "mandatory": p.IsMandatory()}
	if p.Transient {
		amqp["deliveryMode"] = 1
	}
	if p.Expiration > 0 {
		amqp["expiration"] = p.Expiration.Milliseconds()
	}
	if p.Priority > 0 {
		amqp["priority"] = p.Priority
	}
	d.operations[id].(object)["bindings"] = object{"amqp": amqp}
}

// operation adds a channel with one message, and what the program does with it.
func (d *asyncAPI) operation(id, action string, channel, message object, o *publisher.Operation) {
	d.messages[id] = message
	channel["messages"] = object{"message": object{"$ref": "#/components/messages/" + id}}
	d.channels[id] = channel
	made := object{
		"action":   action,
		"channel":  object{"$ref": "#/channels/" + id},
		"messages": []object{{"$ref": "#/channels/" + id + "/messages/message"}},
	}
	describe(made, o.Doc)
	for _, tag := range o.Tags {
		tags, _ := made["tags"].([]object)
		made["tags"] = append(tags, object{"name": tag})
	}
	if o.Out != nil {
		made["reply"] = d.reply(id, o)
	}
	d.operations[id] = made
}

// reply adds the channel of the replies: the queue that the property reply_to of the request names.
func (d *asyncAPI) reply(id string, o *publisher.Operation) object {
	schema, err := d.of(o.Out, true)
	d.add(id, err)
	reply := id + "_reply"
	d.messages[reply] = object{"name": reply, "contentType": "application/json", "payload": schema}
	d.messages["problem"] = object{
		"name": "problem", "contentType": "application/problem+json", "summary": "The reply to a request that has failed; x-status has the status.",
		"payload": object{"$ref": "#/components/schemas/" + problemName},
		"headers": object{"type": "object", "properties": object{publisher.StatusHeader: object{"type": "integer"}}},
	}
	d.channels[reply] = object{
		"address": nil, "description": "The queue that the property reply_to of the request names. A reply has the correlation id of its request.",
		"messages": object{
			"message": object{"$ref": "#/components/messages/" + reply},
			"problem": object{"$ref": "#/components/messages/problem"},
		},
	}
	return object{
		"channel":  object{"$ref": "#/channels/" + reply},
		"messages": []object{{"$ref": "#/channels/" + reply + "/messages/message"}, {"$ref": "#/channels/" + reply + "/messages/problem"}},
	}
}

// headersOf is the schema of the headers table that a handler reads.
func headersOf(o *publisher.Operation) object {
	properties, required := object{}, []string{}
	for i := range o.Plan.Parameters {
		q := &o.Plan.Parameters[i]
		if q.In != binding.InHeader {
			continue
		}
		properties[q.Name] = parameterSchema(q)
		if requires(q.Field.Tag) && !q.HasDefault {
			required = append(required, q.Name)
		}
	}
	if len(properties) == 0 {
		return nil
	}
	made := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		made["required"] = required
	}
	return made
}

// contentType is the content type of a codec's name.
func contentType(codec string) string {
	if codec == "" {
		codec = "json"
	}
	c, err := publisher.FindCodec(codec)
	if err != nil {
		return codec
	}
	return c.ContentType()
}
