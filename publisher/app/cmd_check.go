package app

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"zamqp/publisher"
)

func (c *CLI) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and print what it amounts to",
		Long: `Read the configuration as serve does and print the resolved plan: listeners,
connections, consumers, producers and routes, passwords masked. Every problem is
printed, and the exit code is 1 if there is one. Nothing is opened or connected.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			s, err := c.load()
			if err != nil {
				return err
			}
			plan, err := Resolve(s, c.Registry)
			if err != nil {
				return failure{err}
			}
			if err := plan.write(c.Stdout); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}

// write prints the plan for a person: one line for each thing that serve opens,
// declares or answers.
func (p *Plan) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	s := p.Settings
	fmt.Fprintf(t, "listeners\n")
	for _, address := range s.HTTP.Listen {
		fmt.Fprintf(t, "  http\t%s\n", address)
	}
	_, embeds := p.embeds()
	for _, address := range s.Broker.Listen {
		if embeds {
			fmt.Fprintf(t, "  amqp\t%s%s\n", address, words(word("TLS", s.Broker.TLSCert != "")))
		}
	}
	if len(s.HTTP.Listen) == 0 && !(embeds && len(s.Broker.Listen) > 0) {
		fmt.Fprintf(t, "  none\n")
	}
	fmt.Fprintf(t, "connections\n")
	used := map[string]bool{}
	for _, name := range p.Connections {
		used[name] = true
	}
	for _, name := range sortedNames(s.Connections) {
		text := connectionText(s, s.Connections[name])
		if !used[name] {
			text += " (not opened: nothing uses it)"
		}
		fmt.Fprintf(t, "  %s\t%s\n", name, text)
	}
	fmt.Fprintf(t, "consumers\n")
	for _, name := range sortedNames(p.Consumers) {
		fmt.Fprintf(t, "  %s\t%s\n", name, consumerText(p.Consumers[name]))
	}
	for _, name := range p.Disabled {
		fmt.Fprintf(t, "  %s\tdisabled\n", name)
	}
	fmt.Fprintf(t, "producers\n")
	for _, name := range sortedNames(p.Producers) {
		fmt.Fprintf(t, "  %s\t%s\n", name, producerText(p.Producers[name]))
	}
	fmt.Fprintf(t, "routes\n")
	if err := t.Flush(); err != nil {
		return err
	}
	return writeRoutes(w, "  ", p.Routes)
}

func connectionText(s *Settings, c *Connection) string {
	switch {
	case !c.Embedded():
		return maskURLs(c.URL)
	case s.Broker.DataDir == "":
		return fmt.Sprintf("the embedded broker, virtual host %s; nothing outlives the process", c.URI.Vhost)
	}
	return fmt.Sprintf("the embedded broker, virtual host %s; kept in %s", c.URI.Vhost, s.Broker.DataDir)
}

func consumerText(k publisher.Consumer) string {
	var b strings.Builder
	queue := k.Queue
	if k.ServerNamed {
		queue = "(named by the broker)"
	}
	fmt.Fprintf(&b, "on %s: queue %s%s", k.Connection, queue, words(
		word("not durable", k.Transient), word("exclusive", k.Exclusive),
		word("auto-delete", k.AutoDelete), word("not declared", k.NoDeclare)))
	if k.Exchange != "" {
		fmt.Fprintf(&b, " from exchange %s (%s) by %s", k.Exchange, k.ExchangeType, strings.Join(k.RoutingKeys, ", "))
	}
	if k.Prefetch > 0 {
		fmt.Fprintf(&b, "; prefetch %d", k.Prefetch)
	} else {
		b.WriteString("; prefetch unbounded")
	}
	switch {
	case k.NoAck:
		b.WriteString("; no acks: a failure loses the message")
	case k.Retry.Attempts == 1:
		b.WriteString("; 1 attempt")
	default:
		fmt.Fprintf(&b, "; %d attempts, %s to %s apart", k.Retry.Attempts, formatDuration(k.Retry.Min), formatDuration(k.Retry.Max))
	}
	if !k.NoAck {
		fmt.Fprintf(&b, "; dead letters: %s", deadLetterText(k))
	}
	return b.String()
}

func deadLetterText(k publisher.Consumer) string {
	exchange, given := k.Arguments["x-dead-letter-exchange"]
	switch {
	case given:
		return fmt.Sprintf("exchange %v", exchange)
	case k.NoDeclare:
		return "as the queue was declared"
	case k.DeadLetter == "" || k.DeadLetter == "off":
		return "dropped"
	}
	return k.DeadLetter
}

func producerText(p publisher.Producer) string {
	exchange := "the default exchange"
	if p.Exchange != "" {
		exchange = fmt.Sprintf("exchange %s (%s)", p.Exchange, p.ExchangeType)
	}
	text := fmt.Sprintf("on %s: %s%s", p.Connection, exchange, words(
		word("not durable", p.Transient), word("auto-delete", p.AutoDelete), word("not declared", p.NoDeclare)))
	if p.Queue != "" {
		text += " to queue " + p.Queue
	}
	if p.RoutingKey != "" {
		text += " by " + p.RoutingKey
	}
	text += "; " + p.Codec
	if p.IsMandatory() {
		text += "; mandatory"
	}
	return text
}

func word(text string, applies bool) string {
	if applies {
		return text
	}
	return ""
}

// words joins those that apply: " (not durable, exclusive)", or nothing.
func words(all ...string) string {
	var said []string
	for _, text := range all {
		if text != "" {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, ", ") + ")"
}
