package interop_test

import (
	"fmt"

	amqp "github.com/streadway/amqp"
)

// streadway is streadway/amqp behind the callers' shape. It can send thirteen of
// the fourteen basic properties, and no unsigned or 8-bit signed field types.
type streadway struct {
	conn *amqp.Connection
	ch   *amqp.Channel
}

func (l *streadway) open(url string) (string, <-chan reply, error) {
	var err error
	if l.conn, err = amqp.Dial(url); err != nil {
		return "", nil, err
	}
	if l.ch, err = l.conn.Channel(); err != nil {
		return "", nil, err
	}
	own, err := l.ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		return "", nil, err
	}
	var sources []<-chan amqp.Delivery
	for _, queue := range []string{own.Name, directReplyTo} {
		deliveries, err := l.ch.Consume(queue, "", true, false, false, false, nil)
		if err != nil {
			return "", nil, err
		}
		sources = append(sources, deliveries)
	}
	return own.Name, merge(sources, func(d amqp.Delivery) reply {
		return reply{d.CorrelationId, d.ContentType, d.Headers, d.Body}
	}), nil
}

func (l *streadway) publish(queue string, r *request) error {
	return l.ch.Publish("", queue, true, false, amqp.Publishing{
		ContentType:     r.contentType,
		ContentEncoding: "identity",
		Headers:         r.headers,
		DeliveryMode:    uint8(1 + r.i%2),
		Priority:        uint8(r.i % 10),
		CorrelationId:   r.correlationID,
		ReplyTo:         r.replyTo,
		Expiration:      "3600000",
		MessageId:       fmt.Sprint("m-", r.i),
		Timestamp:       moment(r.i),
		Type:            "test",
		UserId:          "guest",
		AppId:           "interop",
		Body:            r.body,
	})
}

// headers holds every field type that the library can write. Its byte is the
// wire's signed 'b'; it reads it back the same way.
func (l *streadway) headers(i int) map[string]any {
	return amqp.Table{
		"bool":    i%2 == 0,
		"byte":    byte(i),
		"int16":   int16(-i),
		"int32":   int32(-i),
		"int64":   int64(-i) << 40,
		"float32": float32(i) / 8,
		"float64": -float64(i) / 3,
		"decimal": amqp.Decimal{Scale: 2, Value: int32(i)},
		"text":    fmt.Sprint("Grüße ", i),
		"empty":   "",
		"bytes":   []byte{0, 255, 254, byte(i)},
		"time":    moment(i),
		"nil":     nil,
		"array":   []any{int32(1), "two", []byte{3}, nil, true, []any{int64(4), amqp.Table{"five": int16(5)}}},
		"table":   amqp.Table{"depth": amqp.Table{"deeper": amqp.Table{"deepest": int32(i)}}, "empty": amqp.Table{}},
	}
}

func (l *streadway) close() error { return l.conn.Close() }
