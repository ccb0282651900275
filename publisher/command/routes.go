package command

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"zamqp/publisher"
)

func (c *CLI) routesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "routes",
		Short: "Print the routes of the compiled-in handlers",
		Long: `Print each pattern with the place that registers it. The more specific pattern
wins, whatever the order. No configuration is read.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if err := writeRoutes(c.Stdout, "", c.Registry.Routes()); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}

// writeRoutes prints a line for each route: method, host and path, place.
func writeRoutes(w io.Writer, indent string, routes []*publisher.Route) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, route := range routes {
		method, rest := route.Method, route.Pattern
		if method == "" {
			method = "any"
		} else {
			rest = rest[len(method)+1:]
		}
		fmt.Fprintf(table, "%s%s\t%s\t%s\n", indent, method, rest, route.Place)
	}
	return table.Flush()
}
