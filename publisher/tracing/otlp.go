package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlp sends spans by OTLP over HTTP, as protobuf. OpenTelemetry's own otlptracehttp does the same, and
// makes the binary 9 MB larger, because it brings gRPC along: see decision 0035.
type otlp struct {
	at     *url.URL
	header http.Header
	gzip   bool
	client *http.Client
	limit  time.Duration // of one batch, with all tries
}

// newOTLP returns the exporter that the variables of OpenTelemetry describe. endpoint goes before
// OTEL_EXPORTER_OTLP_ENDPOINT.
func newOTLP(endpoint string) (*otlp, error) {
	x := &otlp{limit: 10 * time.Second}
	return x, x.configure(endpoint)
}

// variable is the value of an OTLP variable, for traces or for all signals, and its name.
func variable(name string) (value, from string) {
	for _, prefix := range [...]string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		if value = strings.TrimSpace(os.Getenv(prefix + name)); value != "" {
			return value, prefix + name
		}
	}
	return "", "OTEL_EXPORTER_OTLP_" + name
}

func (x *otlp) configure(endpoint string) error {
	if protocol, from := variable("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return wrong(from, protocol, "zamqp sends http/protobuf only, usually to port 4318: set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL to that, and the endpoint with it")
	}
	var err error
	if x.at, err = endpointOf(endpoint); err != nil {
		return err
	}
	x.header = http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"zamqp"}}
	if text, from := variable("HEADERS"); text != "" {
		if err := x.addHeaders(text); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	switch compression, from := variable("COMPRESSION"); compression {
	case "", "none":
	case "gzip":
		x.gzip = true
	default:
		return wrong(from, compression, "want gzip or none")
	}
	if text, from := variable("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms < 1 || ms > 600_000 {
			return wrong(from, text, "want milliseconds, from 1 to 600000")
		}
		x.limit = time.Duration(ms) * time.Millisecond
	}
	secure, err := tlsOf()
	if err != nil {
		return err
	}
	x.client = &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: x.limit, ForceAttemptHTTP2: true,
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return nil
}

// endpointOf returns the URL that spans are sent to.
func endpointOf(setting string) (*url.URL, error) {
	text, from := setting, "tracing.endpoint"
	exact := false
	if text == "" {
		text, from = variable("ENDPOINT")
		exact = strings.Contains(from, "TRACES")
	}
	if text == "" {
		text = "http://localhost:4318"
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, wrong(from, "…", "want a URL like http://localhost:4318") // it may have a password
	}
	if !exact {
		u.Path = strings.TrimRight(u.Path, "/") + "/v1/traces"
	} else if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

// addHeaders adds the fields of a list "key=value,key=value", with values escaped as in URLs. Its errors
// do not show the values, which are often secrets.
func (x *otlp) addHeaders(list string) error {
	for pair := range strings.SplitSeq(list, ",") {
		name, value, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || name == "" || err != nil || strings.ContainsAny(name+value, "\r\n\x00 ") && strings.ContainsAny(name, " \r\n\x00") || strings.ContainsAny(value, "\r\n\x00") {
			return errors.New("want a list like key=value,key=value, with values escaped as in URLs")
		}
		x.header.Set(name, value)
	}
	return nil
}

// tlsOf returns how to trust the receiver, and how to prove who we are.
func tlsOf() (*tls.Config, error) {
	config := &tls.Config{}
	if file, from := variable("CERTIFICATE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s has no certificate in PEM", from, file)
		}
	}
	cert, from := variable("CLIENT_CERTIFICATE")
	key, _ := variable("CLIENT_KEY")
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%s and _CLIENT_KEY: %w", from, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (x *otlp) Start(context.Context) error { return nil }

func (x *otlp) Stop(context.Context) error {
	x.client.CloseIdleConnections()
	return nil
}

// Pauses between two tries of a batch.
const (
	pauseMin = 500 * time.Millisecond
	pauseMax = 5 * time.Second
)

// UploadTraces sends a batch. It tries again while the receiver is away or says that it is busy, as the
// specification of OTLP asks, until the time of the batch is over.
func (x *otlp) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans}) // the octets of an ExportTraceServiceRequest
	if err != nil {
		return err
	}
	if x.gzip {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(body)
		_ = w.Close()
		body = packed.Bytes()
	}
	ctx, cancel := context.WithTimeout(ctx, x.limit)
	defer cancel()
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		asked, err := x.post(ctx, body)
		var final *refusal
		if err == nil || errors.As(err, &final) {
			return err
		}
		select {
		case <-time.After(max(pause, asked)):
		case <-ctx.Done():
			return err
		}
	}
}

// A refusal is an answer after which another try makes no sense.
type refusal struct{ status, text string }

func (r *refusal) Error() string {
	if r.text == "" {
		return "the receiver answers " + r.status
	}
	return fmt.Sprintf("the receiver answers %s: %q", r.status, r.text)
}

// post makes one try. asked is the pause that the receiver asks for.
func (x *otlp) post(ctx context.Context, body []byte) (asked time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.at.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = x.header.Clone()
	if x.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	resp, err := x.client.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the URL, which may have a password
		}
		return 0, err
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	_ = resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 && n < 3600 {
			asked = time.Duration(n) * time.Second
		}
		return asked, fmt.Errorf("the receiver answers %s", resp.Status)
	}
	if resp.StatusCode/100 != 2 {
		return 0, &refusal{resp.Status, printable(text)}
	}
	return 0, nil
}

// printable is the text of an answer, if it is one.
func printable(text []byte) string {
	for _, b := range text {
		if b < ' ' && b != '\n' || b >= 0x7f {
			return ""
		}
	}
	return string(text[:min(len(text), 200)])
}
