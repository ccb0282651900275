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
	"zamqp/publisher/document"
)

func (c *CLI) routesCommand() *cobra.Command {
	var openAPI, asyncAPI bool
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "Print the routes and clocks of the compiled-in handlers",
		Long: `Print each pattern with the place that registers it. The more specific pattern
wins, in whatever order they are registered. If a route also gets messages of
consumers, their names follow, and then the middleware around its handler, the
outermost first; "part of" says that a pattern chooses among the requests. Clocks
follow, CLOCK and the path of their calls, and the consumers that have middleware.
No configuration is read: check prints the routes as the configuration changes them,
and when the clocks tick.

With --openapi it prints the OpenAPI 3.1 document of the routes, with --asyncapi the
AsyncAPI 3.0 document of the consumers and producers, as they are registered.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if openAPI || asyncAPI {
				return c.printDocument(openAPI)
			}
			if err := writeRoutes(c.Stdout, "", c.Registry, c.Registry.Listing(), messagesOf(c.Registry, c.Registry.Consumers())); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&openAPI, "openapi", false, "print the OpenAPI document of the routes")
	cmd.Flags().BoolVar(&asyncAPI, "asyncapi", false, "print the AsyncAPI document of consumers and producers")
	cmd.MarkFlagsMutuallyExclusive("openapi", "asyncapi")
	return cmd
}

// printDocument prints a document of the interface.
func (c *CLI) printDocument(openAPI bool) error {
	make := document.AsyncAPI
	if openAPI {
		make = document.OpenAPI
	}
	made, err := make(document.Of(c.Registry))
	if err == nil {
		_, err = c.Stdout.Write(made)
	}
	if err != nil {
		return failure{err}
	}
	return nil
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

// writeRoutes prints a line for each route: method, host and path, place, consumers, middleware. A
// line follows for each consumer that has middleware around a handler of its own.
func writeRoutes(w io.Writer, indent string, g *publisher.Registry, routes []*publisher.Route, messages map[string][]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, route := range routes {
		method, rest := route.Method, route.Pattern
		if method == "" {
			method = "any"
		} else {
			rest = rest[len(method)+1:]
		}
		middleware := g.MiddlewareOf(route, "")
		if method == publisher.MethodClock {
			middleware = g.MiddlewareOf(nil, "clock "+strings.TrimPrefix(rest, "/"))
		}
		fmt.Fprintf(table, "%s%s\t%s\t%s", indent, method, rest, route.Place)
		if names := messages[route.Pattern]; len(names) > 0 {
			fmt.Fprintf(table, "\tand messages of %s", strings.Join(names, ", "))
		} else if len(middleware) > 0 {
			fmt.Fprint(table, "\t")
		}
		writeMiddleware(table, middleware)
	}
	consumers := g.Consumers()
	for _, name := range slices.Sorted(maps.Keys(consumers)) {
		route, _ := g.RouteOf(name, consumers[name])
		if middleware := g.MiddlewareOf(route, "consumer "+name); len(middleware) > 0 {
			fmt.Fprintf(table, "%sconsumer\t%s\t%s\t", indent, name, g.PlaceOf(name))
			writeMiddleware(table, middleware)
		}
	}
	return table.Flush()
}

// writeMiddleware ends a line with the names of the middleware.
func writeMiddleware(w io.Writer, all []publisher.Middleware) {
	for i, m := range all {
		before := ", "
		if i == 0 {
			before = "\tthrough "
		}
		if m.Some {
			before += "part of "
		}
		fmt.Fprintf(w, "%s%s (%s)", before, m.Name, m.Place)
	}
	fmt.Fprintln(w)
}
