package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
)

// The mirror takes a message apart into the vocabulary's types and publishes it
// again with each property set by its own option, so that both directions of
// every property and field type are seen by other people's clients.
func init() {
	publisher.Produce("e2e-mirror", publisher.Producer{Mandatory: true})
	publisher.Consume("e2e-mirror", publisher.Consumer{DeadLetter: "off"}, func(r *publisher.Request) error {
		d := r.Delivery()
		ms, err := strconv.Atoi(d.Expiration)
		if err != nil {
			return publisher.Permanent(err)
		}
		return r.Publish("e2e-mirror", d.Body, publisher.Key(d.Type), publisher.ReplyTo("back"), publisher.Headers(d.Headers),
			publisher.ContentType(d.ContentType), publisher.ContentEncoding(d.ContentEncoding),
			publisher.Persistent(d.DeliveryMode == amqp.Persistent), publisher.Priority(d.Priority),
			publisher.CorrelationID(d.CorrelationId), publisher.Expiration(time.Duration(ms)*time.Millisecond),
			publisher.MessageID(d.MessageId), publisher.Timestamp(d.Timestamp), publisher.Type(d.Type),
			publisher.UserID(d.UserId), publisher.AppID(d.AppId))
	})
}

func TestMirrorOfEveryPropertyInGo(t *testing.T) { everywhere(t, mirrorOfEveryPropertyInGo) }

func mirrorOfEveryPropertyInGo(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	own, err := ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	moment := time.Unix(1700000000, 0)
	sent := amqp.Publishing{
		ContentType: "image/x-test; n=1", ContentEncoding: "identity", DeliveryMode: 2, Priority: 9, CorrelationId: "c",
		Expiration: "3600000", MessageId: "m", Timestamp: moment, Type: own.Name, UserId: "guest", AppId: "a",
		Body: bytes.Repeat([]byte{0, 1, 255}, 100_000),
		Headers: amqp.Table{
			"bool": true, "int8": int8(-8), "uint8": uint8(200), "int16": int16(-16), "uint16": uint16(65000),
			"int32": int32(-32), "uint32": uint32(1 << 31), "int64": int64(-1) << 40, "float32": float32(0.25),
			"float64": -1. / 3, "decimal": amqp.Decimal{Scale: 2, Value: 12345}, "text": "Grüße", "empty": "",
			"bytes": []byte{0, 255}, "time": moment, "nil": nil,
			"array": []any{int32(1), "two", []byte{3}, nil, true, []any{int64(4), amqp.Table{"five": int16(5)}}},
			"table": amqp.Table{"depth": amqp.Table{"deeper": int32(1)}, "empty": amqp.Table{}},
		},
	}
	s.publish(ch, "e2e-mirror", sent)
	d := s.take(ch, own.Name)
	got := amqp.Publishing{
		ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode, Priority: d.Priority,
		CorrelationId: d.CorrelationId, Expiration: d.Expiration, MessageId: d.MessageId,
		Timestamp: d.Timestamp, Type: d.Type, UserId: d.UserId, AppId: d.AppId, Body: d.Body, Headers: d.Headers,
	}
	if d.ReplyTo != "back" {
		t.Errorf("reply_to is %q", d.ReplyTo)
	}
	if !reflect.DeepEqual(got, sent) {
		got.Body, sent.Body = nil, nil
		t.Errorf("came back as\n%+v\nsent\n%+v", got, sent)
	}
}

func TestMirrorOfEveryPropertyInPython(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's
	s := start(t, atRabbitMQ)
	for library, script := range map[string]string{"pika": "rpc.py", "kombu": "kombu_rpc.py"} {
		t.Run(library, func(t *testing.T) {
			if exec.Command(python, "-c", "import "+library).Run() != nil {
				t.Skipf("%s cannot import %s (apt-get install python3-%s)", python, library, library)
			}
			cmd := exec.Command(python, "../interop/clients/"+script, s.amqp, "e2e-mirror", "500", "mirror")
			cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok 500\n" {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
