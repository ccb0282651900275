package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"zamqp/publisher"
)

func (c *CLI) routesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "routes",
		Short: "Print the routes and clocks of the compiled-in handlers",
		Long: `Print each pattern with the place that registers it. The more specific pattern
wins, in whatever order they are registered. If a route also gets messages of
consumers, their names follow. Clocks come last: CLOCK and the path of their calls.
No configuration is read: check prints the routes as the configuration changes them,
and when the clocks tick.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if err := writeRoutes(c.Stdout, "", c.Registry.Listing(), messagesOf(c.Registry, c.Registry.Consumers())); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}

// messagesOf returns the names of the consumers whose messages a route gets, by its
// pattern. It leaves out consumers with a mistake: check prints the mistake.
func messagesOf(g *publisher.Registry, consumers map[string]publisher.Consumer) map[string][]string {
	by := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(consumers)) {
		if route, err := g.RouteOf(name, consumers[name]); route != nil && err == nil {
			by[route.Pattern] = append(by[route.Pattern], name)
		}
	}
	return by
}

// writeRoutes prints a line for each route: method, host and path, place, consumers.
func writeRoutes(w io.Writer, indent string, routes []*publisher.Route, messages map[string][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, route := range routes {
		method, rest := route.Method, route.Pattern
		if method == "" {
			method = "any"
		} else {
			rest = rest[len(method)+1:]
		}
		fmt.Fprintf(table, "%s%s\t%s\t%s", indent, method, rest, route.Place)
		if names := messages[route.Pattern]; len(names) > 0 {
			fmt.Fprintf(table, "\tand messages of %s", strings.Join(names, ", "))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
