package command_test

import (
	"os"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
)

const twoServers = `
[site]
id = "s1"
[consuming_server.eu]
site_id = "europe"
user = "clerk"
base_url = "https://eu.example/shop"
consumers = ["mail-*", "hello"]
[consuming_server.us]
site_id = "america"
consumers = ["mail-out", "hello"]
[consumer.mail-out]
queue = "mail-${site_id}"
dead_letter = "mail-${site_id}.gone"
arguments = {}
`

func TestCheckPrintsConsumingServers(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("config.toml", []byte(twoServers), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, nil, "check", "-o", "producer.orders.exchange=orders-${site_id}")
	for _, want := range []string{
		"mail-out@eu on default: queue mail-europe from exchange mail (direct)",
		"mail-out@us on default: queue mail-america from exchange mail (direct)",
		"billing not run: no consuming server has it",
		"consuming servers eu 2 consumers (site europe, user clerk); https://eu.example/shop us 2 consumers (site america)",
		"orders on default: exchange orders-s1 (topic)", "orders@us on default: exchange orders-america (topic)",
		`warnings queue "hello" is consumed by hello@eu, hello@us: chance decides`,
	} {
		if !strings.Contains(strings.Join(strings.Fields(stdout), " "), want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if code != 0 || stderr != "" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

// TestDeadLettersOfInstances: each instance has its own dead-letter queue.
func TestDeadLettersOfInstances(t *testing.T) { onBothBrokers(t, testDeadLettersOfInstances) }

func testDeadLettersOfInstances(t *testing.T, at broker) {
	s := newObserver(t, at)
	europe, america := s.queue("europe", nil), s.queue("america", nil)
	s.publish(europe, amqp.Publishing{Body: []byte("one"), Headers: amqp.Table{publisher.TraceHandler: "mail-out@eu", publisher.TraceReason: publisher.ReasonPermanent}})
	own := []string{"-o", "site.id=s1", "-o", "consuming_server.eu.site_id=" + europe, "-o", "consuming_server.us.site_id=" + america,
		"-o", "consumer.mail-out.dead_letter=${site_id}", "-o", "consumer.mail-out.queue=mail-${site_id}", "-o", "consumer.mail-out.arguments={}",
		"-o", "consuming_server.eu.consumers=mail-out", "-o", "consuming_server.us.consumers=mail-out"}
	for _, row := range []struct {
		args, want string
		code       int
	}{
		{"dead list mail-out", europe + " 1 message", 0},
		{"dead list mail-out", america + " 0 messages", 0},
		{"dead list mail-out@us", america + " 0 messages", 0},
		{"dead show mail-out@eu", "mail-out@eu", 0},
		{"dead show mail-out", `consumer "mail-out" runs in several consuming servers: name one of mail-out@eu, mail-out@us`, 1},
		{"dead drop mail-out --all", "name one of mail-out@eu, mail-out@us", 1},
	} {
		code, stdout, stderr := s.zamqp("", append(strings.Fields(row.args), own...)...)
		if code != row.code || !strings.Contains(strings.Join(strings.Fields(stdout+stderr), " "), row.want) {
			t.Errorf("%s: exit %d\n%s%s\nwant %s", row.args, code, stdout, stderr, row.want)
		}
	}
}
