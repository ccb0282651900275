package interop_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// publisherOf is a client library with a script that publishes as the library's
// users do, by its defaults, and prints what it has sent.
type publisherOf struct {
	name    string
	there   []string // succeeds where the library is installed
	run     []string // before the address and the queue, or instead of them
	byURL   bool     // the script wants a URL, not an address
	install string   // what to say where it is not
}

var publishersOf = []publisherOf{
	{name: "kombu", there: []string{python, "-c", "import kombu"}, run: []string{python, "defaults_kombu.py"}, byURL: true, install: "apt-get install python3-kombu"},
	{name: "py-amqp", there: []string{python, "-c", "import amqp"}, run: []string{python, "defaults_amqp.py"}, install: "apt-get install python3-amqp"},
	{name: "pika", there: []string{python, "-c", "import pika"}, run: []string{python, "defaults_pika.py"}, byURL: true, install: "apt-get install python3-pika"},
	{name: "amqplib", there: []string{"node", "-e", "require('amqplib')"}, run: []string{"node", "defaults_amqplib.js"}, install: "npm install --prefix bin amqplib"},
	{name: "php-amqplib", there: []string{"php", "-r", "require '/usr/share/php/PhpAmqpLib/autoload.php';"}, run: []string{"php", "defaults_amqplib.php"}, install: "apt-get install php-cli php-amqplib"},
	{name: "bunny", there: []string{"/usr/bin/ruby", "-e", "require 'bunny'"}, run: []string{"/usr/bin/ruby", "defaults_bunny.rb"}, install: "apt-get install ruby-bunny"},
	{name: "celery", there: []string{python, "-c", "import celery"}, run: []string{python, "defaults_celery.py"}, byURL: true, install: "apt-get install python3-celery"},
}

// TestDefaultsOfClients: a handler decodes the messages that other people's clients send by
// default, none of them is given up, and kombu and Celery read the replies.
func TestDefaultsOfClients(t *testing.T) { everywhere(t, defaultsOfClients) }

func defaultsOfClients(t *testing.T, n node) {
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	// Celery declares its queue itself, as we would not.
	options := []string{"consumer.celery.auto_declare_queue=false", "consumer.celery.dead_letter=celery.dead"}
	var s *server
	if in, ok := n.(inside); ok {
		s = launch(t, path, process.FreeAddress(t), "embedded", append(options, "broker.listen="+in.addr, "broker.data_dir="+in.dir)...)
		s.waitStatus("/livez", 200)
	} else {
		s = launch(t, path, process.FreeAddress(t), n.url(), options...)
	}
	if _, err := amqpclient.Channel(t, n.url()).QueueDeclare("celery", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	s.waitReady()
	tests := map[string]func(t *testing.T){}
	for _, p := range publishersOf {
		tests[p.name] = func(t *testing.T) { p.publish(t, s, n) }
	}
	atOnce(t, tests)
	for _, dead := range []string{"decoded.dead", "celery.dead"} {
		waitQueue(t, n, dead, func(q rabbitmq.Queue) bool { return q.Messages == 0 })
	}
	s.stop()
	if _, gone := n.(inside); gone {
		return
	}
	if _, err := amqpclient.Channel(t, n.url()).QueueDelete("celery", false, false, false); err != nil { // others declare it as we do
		t.Error(err)
	}
}

// publish runs the script, and waits until the handler has decoded all that it sent.
func (p *publisherOf) publish(t *testing.T, s *server, n node) {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join("..", "..", "bin", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore", "NODE_PATH="+modules)
	there := exec.Command(p.there[0], p.there[1:]...)
	there.Env = env
	if err := there.Run(); err != nil {
		t.Skipf("%s is not installed (%s)", p.name, p.install)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(n.url(), "amqp://guest:guest@"), "/")
	if p.byURL {
		address = n.url()
	}
	args := append(p.run[1:len(p.run):len(p.run)], address)
	if p.name == "celery" {
		args = append(args, "json", "pickle")
	} else {
		args = append(args, "decoded")
	}
	cmd := exec.Command(p.run[0], args...)
	cmd.Dir, cmd.Env = "clients", env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(p.run, " "), err, errs.String())
	}
	sent := strings.Split(strings.TrimSpace(out.String()), "\n")
	wait.Until(t, fmt.Sprintf("%q are decoded", sent), func() bool { return s.hasDecoded(t, sent) })
}

// hasDecoded reports whether all of these messages have come, as they were sent.
func (s *server) hasDecoded(t *testing.T, names []string) bool {
	t.Helper()
	var decoded []map[string]any
	if err := s.json("/decoded", &decoded); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, v := range decoded {
		name := fmt.Sprint(v["from"])
		seen[name] = true
		if name == "celery" && v["sum"] != 7.5 || name != "celery" && v["text"] != "Grüße" {
			t.Fatalf("%s was decoded as %v", name, v)
		}
		if strings.HasPrefix(name, "kombu pickle") && fmt.Sprintf("%v %v %v", v["tags"], v["at"], v["price"]) != "[a] 2024-01-02T00:00:00Z 1.5" {
			t.Fatalf("%s was decoded as %v", name, v)
		}
	}
	for _, name := range names {
		if !seen[name] {
			return false
		}
	}
	return true
}
