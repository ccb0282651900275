package config

import "zamqp/publisher/tracing"

// Tracing says which calls have OpenTelemetry spans, and where those go. A text that is "" is that of
// the environment variable which OpenTelemetry has for it.
type Tracing struct {
	// Enabled is auto if an OTLP endpoint decides, here or in the environment.
	Enabled     string `key:"enabled" oneof:"auto on off"`
	Endpoint    string `key:"endpoint" secret:"url"`
	ServiceName string `key:"service_name"`
	Sampler     string `key:"sampler"`
	SamplerArg  string `key:"sampler_arg"`
}

// Options returns the options of publisher/tracing.
func (t *Tracing) Options() tracing.Options {
	return tracing.Options{Endpoint: t.Endpoint, ServiceName: t.ServiceName, Sampler: t.Sampler, SamplerArg: t.SamplerArg}
}

// On reports whether calls have spans.
func (t *Tracing) On() bool { return t.Enabled == "on" || t.Enabled == "auto" && t.Options().Wanted() }

func (c *checker) tracing() {
	t := &c.settings.Tracing
	if !t.On() {
		return
	}
	for _, p := range t.Options().Check() {
		if p.Key == "" { // a variable of OpenTelemetry is wrong, and the text names it
			c.fail("tracing.enabled", show(t.Enabled), "tracing is on, and "+p.Err.Error())
			continue
		}
		c.fail("tracing."+p.Key, show(p.Value), p.Err.Error())
	}
}
