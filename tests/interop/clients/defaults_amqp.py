#!/usr/bin/python3
"""Publish with py-amqp as its users do.

usage: defaults_amqp.py HOST:PORT QUEUE
"""

import sys

import amqp

address, queue = sys.argv[1:]
with amqp.Connection(address) as connection:
    channel = connection.channel()
    for name, body in (("py-amqp str", str), ("py-amqp bytes", str.encode)):
        channel.basic_publish(amqp.Message(body('{"from": "%s", "text": "Grüße"}' % name)), routing_key=queue)
        print(name)
    name = "py-amqp latin"
    channel.basic_publish(amqp.Message('{"from": "%s", "text": "Grüße"}' % name, content_type="application/json",
                                       content_encoding="iso-8859-1"), routing_key=queue)
    print(name)
