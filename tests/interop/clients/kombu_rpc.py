#!/usr/bin/python3
"""Publish messages with kombu to a queue, and compare what is replied to them.

usage: kombu_rpc.py URL QUEUE COUNT [mirror]

Every message has all basic properties that kombu can send, and headers of every
field type that it can; replies come to an exclusive queue. With "mirror" copies
are asked for instead: to the queue that the property type names, with all the
properties that were sent and the reply_to "back". Prints `ok COUNT`; or says on
standard error what differs, and exits with 1.
"""

import datetime
import decimal
import socket
import sys
import time
import uuid

import kombu

WINDOW = 100  # messages on their way at once


def body(i):
    size = 0 if i % 10 == 0 else (300 << 10) if i % 100 == 7 else 1 + i * 7919 % 4000
    return bytes((i + k) % 256 for k in range(min(size, 4096))) * (size // 4096 + 1)


def headers(i):
    return {
        "int": i - 500,
        "long": 1 << 40 | i,
        "big": 1 << 62,
        "bool": i % 2 == 0,
        "float": i / 3,
        "text": "Grüße %d" % i,
        "empty": "",
        "decimal": decimal.Decimal(i) / 100,
        "time": datetime.datetime.utcfromtimestamp(1700000000 + i),
        "none": None,
        "list": [1, "two", None, True, [4, {"five": 5}]],
        "table": {"depth": {"deeper": {"deepest": i}}, "empty": {}},
    }


def properties(i):
    return {
        "delivery_mode": 1 + i % 2,
        "priority": i % 10,
        "correlation_id": "kombu-%d" % i,
        "expiration": 3600,
        "message_id": "m-%d" % i,
        "timestamp": 1700000000 + i,
        "type": "test",
        "user_id": "guest",
        "app_id": "interop",
    }


def equal(got, sent):
    """Decimals and times come back as equal ones, of types that compare."""
    if isinstance(sent, dict):
        return isinstance(got, dict) and got.keys() == sent.keys() and all(equal(got[k], sent[k]) for k in sent)
    if isinstance(sent, list):
        return isinstance(got, list) and len(got) == len(sent) and all(map(equal, got, sent))
    if isinstance(sent, datetime.datetime):
        return got == sent or got == sent.replace(tzinfo=datetime.timezone.utc).timestamp()
    return got == sent


class Caller:
    def __init__(self, url, queue, count, mirror):
        self.queue, self.count, self.mirror = queue, count, mirror
        self.connection = kombu.Connection(url)
        self.channel = self.connection.channel()
        self.own = kombu.Queue("kombu-%s" % uuid.uuid4(), exclusive=True, durable=False, channel=self.channel)
        self.own.declare()
        self.producer = kombu.Producer(self.channel)
        self.outstanding = set()

    def on_reply(self, message):
        # py-amqp gives an empty body as text.
        got, props = message.body or b"", message.properties
        name, _, number = props.get("correlation_id", "").partition("-")
        i = int(number) if name == "kombu" and number.isdigit() else -1
        if i not in self.outstanding:
            sys.exit("kombu: a reply nobody waits for, or a second one: %r" % props)
        self.outstanding.remove(i)
        if got != body(i):
            sys.exit("kombu: message %d: %d bytes of body, sent %d" % (i, len(got), len(body(i))))
        if not equal(message.headers, headers(i)):
            sys.exit("kombu: message %d: headers\n%r\nsent\n%r" % (i, message.headers, headers(i)))
        if message.content_type != "application/octet-stream":
            sys.exit("kombu: message %d: content type %r" % (i, message.content_type))
        if self.mirror:
            for key, sent in self.sent(i, expiration="3600000", reply_to="back").items():
                if not equal(props.get(key), sent):
                    sys.exit("kombu: message %d: %s is %r, sent %r" % (i, key, props.get(key), sent))

    def sent(self, i, **more):
        own = {"type": self.own.name} if self.mirror else {"reply_to": self.own.name}
        return {**properties(i), **own, **more}

    def run(self):
        with kombu.Consumer(self.channel, [self.own], on_message=self.on_reply, no_ack=True):
            for i in range(self.count):
                while len(self.outstanding) >= WINDOW:
                    self.wait()
                self.outstanding.add(i)
                self.producer.publish(
                    body(i), routing_key=self.queue, exchange="", headers=headers(i),
                    content_type="application/octet-stream", content_encoding="binary", mandatory=True, **self.sent(i))
            while self.outstanding:
                self.wait()
        self.connection.close()
        print("ok %d" % self.count)

    def wait(self):
        before, until = len(self.outstanding), time.monotonic() + 120
        while len(self.outstanding) == before:
            try:
                self.connection.drain_events(timeout=5)
            except socket.timeout:
                pass
            if time.monotonic() > until:
                sys.exit("kombu: no reply for two minutes; %d outstanding" % before)


Caller(sys.argv[1], sys.argv[2], int(sys.argv[3]), "mirror" in sys.argv[4:]).run()
