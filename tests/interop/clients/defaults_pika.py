#!/usr/bin/python3
"""Publish with pika as its users do.

usage: defaults_pika.py URL QUEUE
"""

import sys

import pika

url, queue = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.basic_publish("", queue, '{"from": "pika", "text": "Grüße"}')
channel.basic_publish("", queue, '{"from": "pika properties", "text": "Grüße"}', pika.BasicProperties())
connection.close()
print("pika\npika properties")
