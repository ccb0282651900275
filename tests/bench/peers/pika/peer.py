"""Consumes, publishes or echoes with pika; prints the lines of peers/report.

SelectConnection, because it is the faster of pika's adapters and the only one
that can keep many publishes unconfirmed.
"""
import argparse
import sys

import pika


class Peer:
    def __init__(self, job):
        self.job = job
        self.low, self.ahead = 0, set()
        self.seen = self.bytes = self.sent = self.confirmed = 0
        self.connection = pika.SelectConnection(
            pika.URLParameters(job.url),
            on_open_callback=lambda c: c.channel(on_open_callback=self.on_channel),
            on_open_error_callback=lambda c, e: sys.exit(str(e)),
            on_close_callback=lambda c, e: sys.exit(str(e)))

    def on_channel(self, channel):
        self.channel = channel
        if self.job.mode == "publish":
            self.body = bytes(256)
            self.goal = self.job.warm
            self.properties = pika.BasicProperties(
                content_type="application/octet-stream",
                correlation_id="0123456789abcdef0123456789abcdef",
                headers={"x-source": "bench", "x-attempt": 1})
            channel.confirm_delivery(self.on_confirm, callback=self.on_confirming)
        else:
            channel.basic_qos(prefetch_count=self.job.window, callback=self.on_qos)

    def on_qos(self, _):
        handler = self.on_echo if self.job.mode == "echo" else self.on_message
        self.channel.basic_consume(self.job.queue, handler)
        say("ready")

    def on_message(self, channel, method, properties, body):
        if (properties.content_type != "application/octet-stream"
                or not properties.correlation_id
                or properties.headers.get("x-source") != "bench"
                or properties.headers.get("x-attempt") != 1):
            sys.exit("a message without its properties")
        self.seen += 1
        self.bytes += len(body)
        channel.basic_ack(method.delivery_tag)
        if self.seen == self.job.warm:
            say("first")
        elif self.seen == self.job.warm + self.job.count:
            say("done %d %d" % (self.job.count, self.bytes))

    def on_echo(self, channel, method, properties, body):
        channel.basic_publish("", properties.reply_to, body, pika.BasicProperties(
            content_type=properties.content_type,
            correlation_id=properties.correlation_id,
            headers=properties.headers))
        channel.basic_ack(method.delivery_tag)

    def on_confirming(self, _):
        say("ready")
        if not self.goal:
            self.measure()
        self.fill()

    def measure(self):
        say("first")
        self.goal = self.job.warm + self.job.count

    def settle(self, tag, multiple):
        """Tags count from 1; all up to low are confirmed, and those in ahead."""
        if multiple:
            self.low = max(self.low, tag)
            self.ahead = {t for t in self.ahead if t > tag}
        elif tag == self.low + 1:
            self.low = tag
        else:
            self.ahead.add(tag)
        while self.low + 1 in self.ahead:
            self.low += 1
            self.ahead.remove(self.low)

    def fill(self):
        while self.sent < self.goal and self.sent - self.confirmed < self.job.window:
            self.channel.basic_publish("", self.job.queue, self.body, self.properties)
            self.sent += 1

    def on_confirm(self, frame):
        if frame.method.NAME != "Basic.Ack":
            sys.exit("nacked")
        self.settle(frame.method.delivery_tag, frame.method.multiple)
        self.confirmed = self.low + len(self.ahead)
        if self.confirmed == self.job.warm and self.goal == self.job.warm:
            self.measure()
        elif self.confirmed == self.job.warm + self.job.count:
            say("done %d %d" % (self.job.count, 256 * (self.job.warm + self.job.count)))
        self.fill()


def say(line):
    print(line, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-url", default="amqp://guest:guest@127.0.0.1/")
    parser.add_argument("-queue", default="bench")
    parser.add_argument("-count", type=int, default=100000)
    parser.add_argument("-warm", type=int, default=0)
    parser.add_argument("-window", type=int, default=1000)
    parser.add_argument("mode", choices=["consume", "publish", "echo"])
    Peer(parser.parse_args()).connection.ioloop.start()


main()
