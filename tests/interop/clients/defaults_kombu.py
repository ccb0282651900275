#!/usr/bin/python3
"""Publish with kombu as its users do, and read the replies with its own consumer.

usage: defaults_kombu.py URL QUEUE

Prints the names that are in the field "from" of what was sent, one a line.
"""

import datetime
import decimal
import socket
import sys
import time
import uuid

import kombu

url, queue = sys.argv[1:]
text = "Grüße"
sent = [
    ("kombu json", {}),
    ("kombu gzip", {"compression": "gzip"}),
    ("kombu bzip2", {"compression": "bzip2"}),
    ("kombu pickle", {"serializer": "pickle"}),
    ("kombu pickle gzip", {"serializer": "pickle", "compression": "zlib"}),
]
with kombu.Connection(url) as connection:
    channel = connection.channel()
    own = kombu.Queue("kombu-%s" % uuid.uuid4(), exclusive=True, durable=False, channel=channel)
    own.declare()
    producer = kombu.Producer(channel)
    for name, options in sent:
        body = {"from": name, "text": text}
        if options.get("serializer") == "pickle":
            body.update(tags={"a"}, at=datetime.datetime(2024, 1, 2), price=decimal.Decimal("1.50"))
        producer.publish(body, exchange="", routing_key=queue, reply_to=own.name, correlation_id=name, **options)
    producer.publish(('{"from": "kombu bytes", "text": "%s"}' % text).encode(), exchange="", routing_key=queue,
                     reply_to=own.name, correlation_id="kombu bytes")
    waiting = {name for name, _ in sent} | {"kombu bytes"}

    def on_reply(body, message):
        name = message.properties["correlation_id"]
        if not isinstance(body, dict) or body["from"] != name or body["text"] != text:
            sys.exit("kombu: the reply to %s is %r, %r" % (name, body, message.properties))
        print(name)
        waiting.discard(name)

    # accept is what a Consumer takes by itself: JSON and plain data.
    with kombu.Consumer(channel, [own], callbacks=[on_reply], no_ack=True, accept=["json"], auto_declare=False):
        until = time.monotonic() + 60
        while waiting:
            try:
                connection.drain_events(timeout=1)
            except socket.timeout:
                pass
            if time.monotonic() > until:
                sys.exit("kombu: no reply to %s" % ", ".join(sorted(waiting)))
