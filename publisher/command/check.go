package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"zamqp/publisher"
	"zamqp/publisher/certificate"
	"zamqp/publisher/config"
	"zamqp/publisher/document"
)

func (c *CLI) checkCommand() *cobra.Command {
	var broker, declare bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and print the result",
		Long: `Read the configuration as serve does and print the resolved plan: listeners,
connections, consumers, producers and routes, passwords masked. Every problem is
printed, and the exit code is 1 if there is one. Nothing is opened or connected.

With --broker, connect to each broker in use and ask it about every exchange and
queue of the plan: whether it is there, whether it is the same (if not, with the
argument that differs and what to do), whether we may use it. Nothing is made or
changed; for that reason bindings are not looked at. With --declare everything is
declared, as serve does when it starts.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.load()
			if err != nil {
				return err
			}
			plan, err := config.Resolve(s, c.Registry)
			if err == nil {
				_, embeds := plan.Embeds()
				err = s.CheckCertificates(embeds && len(s.Broker.Listen) > 0)
			}
			if err == nil && s.HTTP.Documents {
				var routes []*publisher.Route
				routes, err = document.Routes(document.Source{Registry: c.Registry, Producers: plan.Producers, Consumers: plan.Consumers, BaseURL: s.Site.BaseURL})
				plan.Routes = append(routes, plan.Routes...)
			}
			if err == nil {
				err = writePlan(c.Stdout, c.Registry, plan, messagesOf(c.Registry, plan.Consumers))
			}
			if err != nil {
				return failure{err}
			}
			if !broker && !declare {
				return nil
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			k := &brokerCheck{plan: plan, timeout: timeout, declare: declare, table: tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)}
			if err := k.run(ctx); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&broker, "broker", false, "compare the plan with what the brokers have")
	cmd.Flags().BoolVar(&declare, "declare", false, "declare everything at the brokers, as serve does")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "with --broker: give up when the broker has not answered for so long")
	return cmd
}

// writePlan prints the plan for a person. Each listener, connection, consumer, producer
// and route has a line.
func writePlan(w io.Writer, g *publisher.Registry, p *config.Plan, messages map[string][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	s := p.Settings
	fmt.Fprintf(t, "listeners\n")
	for _, address := range s.HTTP.Listen {
		fmt.Fprintf(t, "  http\t%s%s\n", address, words(word("redirects to https", s.HTTP.TLS.Redirect && !strings.HasPrefix(address, "unix:"))))
	}
	if err := writeTLS(t, &s.HTTP.TLS); err != nil {
		return err
	}
	_, embeds := p.Embeds()
	for _, address := range s.Broker.Listen {
		if embeds {
			fmt.Fprintf(t, "  amqp\t%s%s\n", address, words(word("TLS", s.Broker.TLSCert != "")))
		}
	}
	if len(s.HTTP.Listen)+len(s.HTTP.TLS.Listen) == 0 && !(embeds && len(s.Broker.Listen) > 0) {
		fmt.Fprintf(t, "  none\n")
	}
	fmt.Fprintf(t, "connections\n")
	used := map[string]bool{}
	for _, name := range p.Connections {
		used[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.Connections)) {
		text := connectionText(s, s.Connections[name])
		if s.Connections[name].Outbox == config.OutboxSQL {
			text += "; outbox in " + strings.Join(g.Databases(), ", ")
		}
		if !used[name] {
			text += " (not opened: nothing uses it)"
		}
		fmt.Fprintf(t, "  %s\t%s\n", name, text)
	}
	fmt.Fprintf(t, "consumers\n")
	for _, name := range slices.Sorted(maps.Keys(p.Consumers)) {
		fmt.Fprintf(t, "  %s\t%s\n", name, consumerText(p.Consumers[name]))
	}
	for _, name := range p.Unserved {
		fmt.Fprintf(t, "  %s\tnot run: no consuming server has it\n", name)
	}
	for _, name := range p.Disabled {
		fmt.Fprintf(t, "  %s\tdisabled\n", name)
	}
	writeConsumingServers(t, p)
	fmt.Fprintf(t, "producers\n")
	for _, name := range slices.Sorted(maps.Keys(p.Producers)) {
		fmt.Fprintf(t, "  %s\t%s\n", name, producerText(p.Producers[name]))
	}
	table := ""
	for _, other := range p.Others {
		if other.Table != table {
			table = other.Table
			fmt.Fprintf(t, "%ss\n", table)
		}
		fmt.Fprintf(t, "  %s\t%s\n", other.Name, other.Text)
	}
	s.WriteApps(t)
	fmt.Fprintf(t, "routes\n")
	if err := t.Flush(); err != nil {
		return err
	}
	if err := writeRoutes(w, "  ", g, p.Routes, messages); err != nil || len(p.Warnings) == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "warnings\n  %s\n", strings.Join(p.Warnings, "\n  "))
	return err
}

// writeConsumingServers prints the consuming servers, if any are configured.
func writeConsumingServers(w io.Writer, p *config.Plan) {
	if len(p.ConsumingServers) == 0 {
		return
	}
	fmt.Fprintf(w, "consuming servers\n")
	for _, name := range slices.Sorted(maps.Keys(p.ConsumingServers)) {
		c, n := p.ConsumingServers[name], 0
		for instance := range p.Consumers {
			if _, server := publisher.SplitInstance(instance); server == name {
				n++
			}
		}
		text := counted(n, "consumer") + words(word("site "+c.Site, c.Site != ""), word("user "+c.User, c.User != ""))
		if c.BaseURL != nil {
			text += "; " + c.BaseURL.String()
		}
		fmt.Fprintf(w, "  %s\t%s\n", name, text)
	}
}

// writeTLS prints the listeners of https and their certificates.
func writeTLS(w io.Writer, t *config.HTTPTLS) error {
	if len(t.Listen) == 0 {
		return nil
	}
	for _, address := range t.Listen {
		fmt.Fprintf(w, "  https\t%s%s\n", address, words("TLS "+t.MinVersion+" and later",
			word("clients have to have a certificate", t.ClientCAFile != "" && t.ClientAuth == "require"),
			word("clients may have a certificate", t.ClientCAFile != "" && t.ClientAuth == "optional")))
	}
	now := time.Now()
	for _, p := range t.Certificates().Pairs {
		c, err := certificate.Load(p)
		if err != nil { // it was readable a moment ago
			return err
		}
		text := certificate.Expired(c, now)
		if text == "" {
			text = "is valid until " + c.Leaf.NotAfter.UTC().Format(time.DateTime) + " UTC"
		}
		fmt.Fprintf(w, "  certificate\t%s, for %s, %s\n", p.Cert, strings.Join(certificate.Names(c), ", "), text)
	}
	return nil
}

func connectionText(s *config.Settings, c *config.Connection) string {
	switch {
	case !c.Embedded():
		return config.MaskURLs(c.URL)
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
		fmt.Fprintf(&b, " from exchange %s (%s)", k.Exchange, k.ExchangeType)
		if keys := strings.Join(k.RoutingKeys, ", "); keys != "" {
			b.WriteString(" by " + keys)
		}
	}
	if k.Route != "" {
		b.WriteString("; by route " + k.Route)
	}
	if k.DeclareOnly {
		return b.String() + "; declared, not consumed; dead letters: " + deadLetterText(k)
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
		fmt.Fprintf(&b, "; %d attempts, %s to %s apart", k.Retry.Attempts, config.FormatDuration(k.Retry.Min), config.FormatDuration(k.Retry.Max))
	}
	if k.Dedupe.Key != "" {
		fmt.Fprintf(&b, "; each %s once in %s", k.Dedupe.Key, config.FormatDuration(k.Dedupe.Keep))
		if k.Dedupe.Database != "" {
			fmt.Fprintf(&b, ", ids in database %s", k.Dedupe.Database)
		}
	}
	if !k.NoAck {
		b.WriteString("; dead letters: " + deadLetterText(k))
	}
	return b.String()
}

func deadLetterText(k publisher.Consumer) string {
	exchange, given := k.Arguments["x-dead-letter-exchange"]
	switch {
	case exchange == "":
		if key, given := k.Arguments["x-dead-letter-routing-key"]; given {
			return fmt.Sprint(key)
		}
		return "the default exchange"
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

// words joins the words that are not empty: " (not durable, exclusive)".
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
