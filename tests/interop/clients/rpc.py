#!/usr/bin/python3
"""Publish messages with pika to a queue, and compare what is replied to them.

usage: rpc.py URL QUEUE COUNT [mirror]

Every message has all fourteen basic properties, headers of every field type
that pika can send, and a body of its own. Replies come to an exclusive queue,
and for every tenth message by direct reply-to. With "mirror" copies
are asked for instead: to the queue that the property type names, with all the
properties that were sent and the reply_to "back". Prints one line for the caller:
`ok COUNT`; or says on standard error what differs, and exits with 1.
"""

import datetime
import decimal
import random
import sys
import time

import pika
from pika.compat import long

WINDOW = 200  # messages on their way at once
DIRECT = "amq.rabbitmq.reply-to"
# All but cluster_id, which no library of Go's can set.
MIRRORED = ("reply_to", "content_encoding", "delivery_mode", "priority", "expiration", "message_id", "timestamp", "type", "user_id", "app_id")
PATTERN = random.Random(7).getrandbits(8 * (2 << 20)).to_bytes(2 << 20, "big")


def body_size(i):
    """Mostly small, some empty, some over many frames: 1 in 500 has 1 MiB."""
    if i % 500 == 7:
        return 1 << 20
    if i % 50 == 3:
        return (64 << 10) + i * 7919 % (236 << 10)
    if i % 10 == 0:
        return 0
    return 1 + i * 7919 % 4000


def body(i):
    start = i * 104729 % (1 << 20)
    return PATTERN[start : start + body_size(i)]


def headers(i):
    return {
        "int": i - 5000,
        "long": long(1 << 40 | i),
        "big": 1 << 62,
        "bool": i % 2 == 0,
        "text": "Grüße %d" % i,
        "empty": "",
        "bytes": b"\x00\xff\xfe" + bytes([i % 256]),
        "decimal": decimal.Decimal(i) / 100,
        "time": datetime.datetime.utcfromtimestamp(1700000000 + i),
        "none": None,
        "list": [1, "two", b"\xff3", None, True, [4, {"five": 5}]],
        "table": {"depth": {"deeper": {"deepest": i}}, "empty": {}},
    }


def properties(i, reply_to, kind="test"):
    return pika.BasicProperties(
        content_type="application/x-test; n=%d" % (i % 7),
        content_encoding="identity",
        headers=headers(i),
        delivery_mode=1 + i % 2,
        priority=i % 10,
        correlation_id="pika-%d" % i,
        reply_to=reply_to,
        expiration="3600000",
        message_id="m-%d" % i,
        timestamp=1700000000 + i,
        type=kind,
        user_id="guest",
        app_id="interop",
        cluster_id="cluster",
    )


class Caller:
    def __init__(self, url, queue, count, mirror):
        self.queue, self.count, self.mirror = queue, count, mirror
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.own = self.channel.queue_declare("", exclusive=True).method.queue
        self.outstanding = set()
        for q in (self.own, DIRECT):
            self.channel.basic_consume(q, self.on_reply, auto_ack=True)

    def on_reply(self, channel, method, props, got):
        name, _, number = (props.correlation_id or "").partition("-")
        i = int(number) if name == "pika" and number.isdigit() else -1
        if i not in self.outstanding:
            sys.exit("pika: a reply nobody waits for, or a second one: %r" % props)
        self.outstanding.remove(i)
        if got != body(i):
            sys.exit("pika: message %d: %d bytes of body, sent %d" % (i, len(got), body_size(i)))
        if props.headers != headers(i):
            sys.exit("pika: message %d: headers\n%r\nsent\n%r" % (i, props.headers, headers(i)))
        if props.content_type != properties(i, "").content_type:
            sys.exit("pika: message %d: content type %r" % (i, props.content_type))
        if self.mirror:
            self.compare(i, props)

    def compare(self, i, props):
        sent = properties(i, "back", self.own)
        for name in MIRRORED:
            if getattr(props, name) != getattr(sent, name):
                sys.exit("pika: message %d: %s is %r, sent %r" % (i, name, getattr(props, name), getattr(sent, name)))

    def run(self):
        for i in range(self.count):
            while len(self.outstanding) >= WINDOW:
                self.wait()
            reply_to = DIRECT if i % 10 == 9 else self.own
            self.outstanding.add(i)
            sent = properties(i, None, self.own) if self.mirror else properties(i, reply_to)
            self.channel.basic_publish("", self.queue, body(i), sent, mandatory=True)
            self.connection.process_data_events(time_limit=0)
        while self.outstanding:
            self.wait()
        self.connection.close()
        print("ok %d" % self.count)

    def wait(self):
        before, until = len(self.outstanding), time.monotonic() + 120
        while len(self.outstanding) == before:
            self.connection.process_data_events(time_limit=5)
            if time.monotonic() > until:
                sys.exit("pika: no reply for two minutes; %d outstanding, among them %r"
                         % (before, sorted(self.outstanding)[:5]))


Caller(sys.argv[1], sys.argv[2], int(sys.argv[3]), "mirror" in sys.argv[4:]).run()
