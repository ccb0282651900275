package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"zamqp/amqpproto/client"
	"zamqp/loop"
	"zamqp/publisher/config"
	"zamqp/publisher/dial"
)

// session is a command's connection to a broker: the client machine on a loop, which
// runs on a goroutine of its own. The command runs beside it and waits in do. When the
// connection is lost, there is no other: the command fails and says why.
type session struct {
	dial.Dialer
	timeout time.Duration
	ended   chan struct{} // the loop has ended

	once  sync.Once
	lost  chan struct{} // closed when the connection ends, or when there is none
	cause error         // the reason; written before lost is closed

	// For the loop's thread.
	ready         func(error)
	registrations map[string]func(client.Event) // functions that get the events of a consumer or producer, by its name
}

// brokerFlags are the flags of every command that talks to a broker.
type brokerFlags struct {
	connection string
	url        string
	timeout    time.Duration
}

func (f *brokerFlags) add(cmd *cobra.Command, c *CLI) {
	flags := cmd.Flags()
	flags.StringVar(&f.connection, "connection", "default", "talk to the broker of [connection.`NAME`] in the configuration")
	flags.StringVar(&f.url, "url", "", "talk to the broker at `URL` instead: amqp://user:password@host:5672/vhost")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "give up when the broker has not answered for so long")
	_ = cmd.RegisterFlagCompletionFunc("connection", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		s, err := c.load()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return slices.Sorted(maps.Keys(s.Connections)), cobra.ShellCompDirectiveNoFileComp
	})
}

// settings returns the configuration with the changes that the flags make to its connection.
func (f *brokerFlags) settings(c *CLI) (*config.Settings, error) {
	options := c.options
	if f.url != "" {
		options = append(options[:len(options):len(options)],
			"connection."+f.connection+".url="+strings.ReplaceAll(f.url, "$", "$$"))
	}
	s, err := config.Load(config.Sources{File: c.file, Environ: c.Environ, Options: options}, c.Registry)
	if err != nil {
		return nil, failure{err}
	}
	if s.Connections[f.connection] == nil {
		return nil, fmt.Errorf("--connection %s: %s", f.connection, config.UnknownConnection(f.connection, s))
	}
	return s, nil
}

// open connects to the broker of the flags, and returns when publishes can leave. as is
// the name of the command, for the broker's management. The caller closes the session.
func (c *CLI) open(ctx context.Context, f *brokerFlags, as string) (*session, error) {
	settings, err := f.settings(c)
	if err != nil {
		return nil, err
	}
	return openSession(ctx, f.connection, settings, f.timeout, as)
}

func openSession(ctx context.Context, name string, settings *config.Settings, timeout time.Duration, as string) (*session, error) {
	own, err := settings.Outside(name)
	if err != nil {
		return nil, failure{err}
	}
	own.ConnectionName += " " + as
	own.HandshakeTimeout, own.ConfirmTimeout = timeout, timeout
	own.Confirms = true
	l, err := loop.New(loop.Options{})
	if err != nil {
		return nil, failure{fmt.Errorf("loop: %w", err)}
	}
	s := &session{
		timeout: timeout, lost: make(chan struct{}), ended: make(chan struct{}),
		registrations: map[string]func(client.Event){},
	}
	machine := dial.ClientConfig(name, &own)
	machine.KeepIDs = true
	machine.ProbeTimeout = timeout // there is only one attempt
	s.Dialer = dial.Dialer{Loop: l, Name: name, Settings: &own, Client: client.New(machine, s)}
	go func() {
		defer close(s.ended)
		if err := l.Run(); err != nil {
			s.fail(fmt.Errorf("loop: %w", err))
		}
	}()
	err = s.do(ctx, "connect", func(done func(error)) {
		s.ready = done
		s.Dial()
		s.Tick()
	})
	if err != nil {
		s.close()
		err = fmt.Errorf("connection %q, %s: %w", name, config.MaskURLs(own.URL), err)
		if settings.Connections[name].Embedded() && errors.Is(err, syscall.ECONNREFUSED) {
			err = fmt.Errorf("%w: the embedded broker does not run: start zamqp serve or zamqp broker, or name another by --url", err)
		}
		if errors.Is(err, errSilent) {
			err = fmt.Errorf("%w: check that host and port are those of an AMQP 0-9-1 broker, and whether it wants TLS (amqps)", err)
		}
		return nil, failure{err}
	}
	return s, nil
}

// do runs start on the loop's thread, waits until start has called done, and returns its
// error. Until then the thread may use the variables of start. do gives up when the
// connection or ctx ends, or after the timeout.
func (s *session) do(ctx context.Context, what string, start func(done func(error))) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("%s: %w within %s (--timeout)", what, errSilent, s.timeout))
	defer cancel()
	return s.await(ctx, start)
}

// await is do without a timeout.
func (s *session) await(ctx context.Context, start func(done func(error))) error {
	end := make(chan error, 1)
	done := func(err error) {
		select {
		case end <- err:
		default: // a second outcome; nobody waits for it
		}
	}
	s.Loop.Post(func() { start(done) })
	select {
	case err := <-end:
		return err
	case <-s.lost:
		select {
		case err := <-end: // the error of the loss says more
			return err
		default:
			return s.cause
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// takesArguments reports whether the broker has RabbitMQ's extensions.
func (s *session) takesArguments(ctx context.Context) (has bool) {
	err := s.do(ctx, "ask", func(done func(error)) { has = s.Client.HasArguments(); done(nil) })
	return err == nil && has
}

// errSilent is the cause when a broker takes too long.
var errSilent = errors.New("no answer")

// errConnectionClosed is the cause when there is no other.
var errConnectionClosed = errors.New("the connection was closed")

func (s *session) fail(err error) {
	s.once.Do(func() {
		if s.cause = err; err == nil {
			s.cause = errConnectionClosed
		}
		close(s.lost)
	})
}

// close sends the rest of the output, closes the connection cleanly and ends the loop.
func (s *session) close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.await(ctx, func(done func(error)) { s.Client.Close(done) }) // a broker that does not answer is not waited for any longer
	s.Loop.Stop()
	<-s.ended
}

// Redial asks for another socket. A session has only one.
func (s *session) Redial(time.Duration) {}

// Note receives the connection's events.
func (s *session) Note(e client.Event) {
	switch e.Kind {
	case client.EventConnected:
		s.Opened()
	case client.EventReady:
		s.ready(nil)
	case client.EventLost, client.EventDialFailed:
		s.fail(e.Err)
	}
	if e.Name != "" {
		if tell := s.registrations[e.Name]; tell != nil {
			tell(e)
		}
	}
}

// produce declares a topology and returns its producer when that is ready. The error has the
// broker's text.
func (s *session) produce(ctx context.Context, spec client.ProducerSpec) (*client.Producer, error) {
	var made *client.Producer
	err := s.do(ctx, "declare", func(done func(error)) {
		s.registrations[spec.Name] = func(e client.Event) { done(e.Err) }
		if made = s.Client.Produce(spec); made.State() == client.Up {
			done(nil)
		}
	})
	return made, err
}

// consume starts a consumer and returns the name of its queue. sink is called on the
// loop's thread. So is failed, with the reason, if the consumer ends later.
func (s *session) consume(ctx context.Context, spec client.ConsumerSpec, sink client.Sink, failed func(error)) (queue string, err error) {
	var name string
	err = s.do(ctx, "consume", func(done func(error)) {
		s.registrations[spec.Name] = func(e client.Event) {
			if e.Err == nil {
				name = e.Text
			}
			done(e.Err)
			if e.Err != nil && failed != nil {
				failed(e.Err)
			}
		}
		s.Client.Consume(spec, sink)
	})
	if err != nil {
		return "", err
	}
	return name, nil
}

// publish sends one message and waits for the broker's confirm.
func (s *session) publish(ctx context.Context, p *client.Producer, o *client.Outgoing) error {
	return s.do(ctx, "publish", func(done func(error)) {
		if err := s.Client.Publish(p, o, confirmed(done)); err != nil {
			done(err)
		}
	})
}

// confirmed makes a function a Confirm of the client.
type confirmed func(error)

func (fn confirmed) Confirmed(err error) { fn(err) }

// interruptible returns a context that SIGINT and SIGTERM end.
func interruptible(ctx context.Context) (context.Context, func()) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
