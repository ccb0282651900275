#!/usr/bin/python3
"""Send tasks with Celery, protocol 2, and wait for their results.

usage: defaults_celery.py URL SERIALIZER...
"""

import sys

import celery

url, serializers = sys.argv[1], sys.argv[2:]
app = celery.Celery("interop", broker=url, backend="rpc://")
for serializer in serializers:
    result = app.send_task("shop.add", (1, 2.5), {"more": 4}, serializer=serializer)
    got = result.get(timeout=60)
    if got != 7.5:
        sys.exit("celery: the result is %r" % got)
print("celery")
