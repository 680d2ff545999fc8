"""What client and server say to each other, and to the test."""

import json
import sys
import threading

SERVICE = "/interop.Peer/"
MEGABYTE = 1024 * 1024
PATIENCE_SECONDS = 30

print_lock = threading.Lock()


def report(**fields):
    with print_lock:
        print(json.dumps(fields), flush=True)


def instruction(length=0, /, **fields):
    return json.dumps(fields).encode().ljust(length, b"\0")


def instructed(message):
    return json.loads(message.rstrip(b"\0") or b"{}")


def command():
    """What the test says next, on standard input; empty when it has ended."""
    return sys.stdin.readline().strip()
