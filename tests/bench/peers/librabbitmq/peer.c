/* Consumes, publishes or echoes with librabbitmq; prints the lines of
 * peers/report. Synchronous calls on one socket, as the library's own examples
 * do it; buffers are given back after every message. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <amqp.h>
#include <amqp_tcp_socket.h>

static const char *url = "amqp://guest:guest@127.0.0.1:5672/", *queue = "bench";
static int count = 100000, warm = 0, window = 1000;
static amqp_connection_state_t conn;

static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

static void check(int status, const char *what) {
  if (status != AMQP_STATUS_OK) die("%s: %s", what, amqp_error_string2(status));
}

static void check_reply(amqp_rpc_reply_t reply, const char *what) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
    die("%s: %s", what, amqp_error_string2(reply.library_error));
  die("%s: the broker refused", what);
}

static void say(const char *line) {
  puts(line);
  fflush(stdout);
}

static void say_done(long bytes) {
  printf("done %d %ld\n", count, bytes);
  fflush(stdout);
}

static void open_channel(void) {
  struct amqp_connection_info info;
  char *copy = strdup(url);
  check(amqp_parse_url(copy, &info), "url");
  conn = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(conn);
  if (!socket) die("no socket");
  check(amqp_socket_open(socket, info.host, info.port), "connect");
  const char *vhost = info.vhost && *info.vhost ? info.vhost : "/";
  check_reply(amqp_login(conn, vhost, 0, 131072, 60, AMQP_SASL_METHOD_PLAIN,
                         info.user, info.password), "login");
  amqp_channel_open(conn, 1);
  check_reply(amqp_get_rpc_reply(conn), "channel.open");
}

static void start_consumer(void) {
  amqp_basic_qos(conn, 1, 0, window, 0);
  check_reply(amqp_get_rpc_reply(conn), "basic.qos");
  amqp_basic_consume(conn, 1, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0,
                     0, amqp_empty_table);
  check_reply(amqp_get_rpc_reply(conn), "basic.consume");
  say("ready");
}

static int equal(amqp_bytes_t b, const char *text) {
  return b.len == strlen(text) && memcmp(b.bytes, text, b.len) == 0;
}

/* handle looks at what a real handler would look at; 0 is a bad message. */
static int handle(const amqp_message_t *m, long *bytes) {
  const amqp_basic_properties_t *p = &m->properties;
  int found = 0;
  for (int i = 0; i < p->headers.num_entries; i++) {
    const amqp_table_entry_t *e = &p->headers.entries[i];
    if (equal(e->key, "x-source"))
      found += e->value.kind == AMQP_FIELD_KIND_UTF8 && equal(e->value.value.bytes, "bench");
    else if (equal(e->key, "x-attempt"))
      found += e->value.kind == AMQP_FIELD_KIND_I32 && e->value.value.i32 == 1;
  }
  *bytes += m->body.len;
  return found == 2 && p->correlation_id.len > 0 && equal(p->content_type, "application/octet-stream");
}

static void consume(void) {
  long bytes = 0;
  start_consumer();
  for (int seen = 1;; seen++) {
    amqp_envelope_t envelope;
    check_reply(amqp_consume_message(conn, &envelope, NULL, 0), "consume");
    if (!handle(&envelope.message, &bytes)) die("a message without its properties");
    check(amqp_basic_ack(conn, 1, envelope.delivery_tag, 0), "basic.ack");
    amqp_destroy_envelope(&envelope);
    amqp_maybe_release_buffers(conn);
    if (seen == warm) say("first");
    if (seen == warm + count) say_done(bytes);
  }
}

static void echo(void) {
  start_consumer();
  for (;;) {
    amqp_envelope_t envelope;
    check_reply(amqp_consume_message(conn, &envelope, NULL, 0), "consume");
    amqp_basic_properties_t in = envelope.message.properties, out;
    memset(&out, 0, sizeof out);
    out._flags = in._flags & (AMQP_BASIC_CONTENT_TYPE_FLAG |
                              AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_HEADERS_FLAG);
    out.content_type = in.content_type;
    out.correlation_id = in.correlation_id;
    out.headers = in.headers;
    check(amqp_basic_publish(conn, 1, amqp_empty_bytes, in.reply_to, 0, 0, &out,
                             envelope.message.body), "basic.publish");
    check(amqp_basic_ack(conn, 1, envelope.delivery_tag, 0), "basic.ack");
    amqp_destroy_envelope(&envelope);
    amqp_maybe_release_buffers(conn);
  }
}

/* Tags count from 1. All up to low are confirmed, and ahead of it those whose
 * flag is set; tags ahead never differ by more than the window. */
static uint64_t low, ahead_count;
static unsigned char *ahead;

static void settle(uint64_t tag, int multiple) {
  if (multiple) {
    for (; low < tag; low++) {
      unsigned char *flag = &ahead[(low + 1) % (window + 1)];
      ahead_count -= *flag;
      *flag = 0;
    }
  } else {
    ahead[tag % (window + 1)] = 1;
    ahead_count++;
  }
  for (unsigned char *flag; *(flag = &ahead[(low + 1) % (window + 1)]); low++) {
    *flag = 0;
    ahead_count--;
  }
}

/* take_confirms waits for one frame, then takes what has already arrived. */
static void take_confirms(void) {
  static const struct timeval now = {0, 0};
  const struct timeval *wait = NULL;
  for (;;) {
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(conn, &frame, wait);
    if (status == AMQP_STATUS_TIMEOUT) break;
    check(status, "confirm");
    if (frame.frame_type != AMQP_FRAME_METHOD ||
        frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
      die("nacked");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    settle(ack->delivery_tag, ack->multiple);
    wait = &now;
  }
  amqp_maybe_release_buffers(conn);
}

/* publish_until publishes up to tag goal and returns when all are confirmed. */
static void publish_until(uint64_t goal) {
  static uint64_t sent;
  static char body[256];
  amqp_table_entry_t entries[2];
  memset(entries, 0, sizeof entries);
  entries[0].key = amqp_cstring_bytes("x-source");
  entries[0].value.kind = AMQP_FIELD_KIND_UTF8;
  entries[0].value.value.bytes = amqp_cstring_bytes("bench");
  entries[1].key = amqp_cstring_bytes("x-attempt");
  entries[1].value.kind = AMQP_FIELD_KIND_I32;
  entries[1].value.value.i32 = 1;
  amqp_basic_properties_t p;
  memset(&p, 0, sizeof p);
  p._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_HEADERS_FLAG;
  p.content_type = amqp_cstring_bytes("application/octet-stream");
  p.correlation_id = amqp_cstring_bytes("0123456789abcdef0123456789abcdef");
  p.headers.num_entries = 2;
  p.headers.entries = entries;
  amqp_bytes_t content = {sizeof body, body};

  while (low + ahead_count < goal) {
    while (sent < goal && sent - low < (uint64_t)window) {
      check(amqp_basic_publish(conn, 1, amqp_empty_bytes, amqp_cstring_bytes(queue),
                               0, 0, &p, content), "basic.publish");
      sent++;
    }
    take_confirms();
  }
}

static void publish(void) {
  ahead = calloc(window + 1, 1);
  amqp_confirm_select(conn, 1);
  check_reply(amqp_get_rpc_reply(conn), "confirm.select");
  say("ready");
  publish_until(warm);
  say("first");
  publish_until((uint64_t)warm + count);
  say_done(256L * (warm + count));
}

int main(int argc, char **argv) {
  const char *mode = NULL;
  for (int i = 1; i < argc; i++) {
    if (i + 1 < argc && !strcmp(argv[i], "-url")) url = argv[++i];
    else if (i + 1 < argc && !strcmp(argv[i], "-queue")) queue = argv[++i];
    else if (i + 1 < argc && !strcmp(argv[i], "-count")) count = atoi(argv[++i]);
    else if (i + 1 < argc && !strcmp(argv[i], "-warm")) warm = atoi(argv[++i]);
    else if (i + 1 < argc && !strcmp(argv[i], "-window")) window = atoi(argv[++i]);
    else mode = argv[i];
  }
  if (!mode) die("usage: librabbitmq [flags] consume|publish|echo");
  open_channel();
  if (!strcmp(mode, "consume")) consume();
  else if (!strcmp(mode, "publish")) publish();
  else if (!strcmp(mode, "echo")) echo();
  else die("unknown mode %s", mode);
  for (;;) { /* until the runner ends the process */
    amqp_frame_t frame;
    if (amqp_simple_wait_frame(conn, &frame) != AMQP_STATUS_OK) return 0;
  }
}
