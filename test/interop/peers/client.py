"""The client, and what its cases expect."""

import queue

import grpc

from common import SERVICE, PATIENCE_SECONDS


class Client:
    def __init__(self, settings):
        options = {"grpc.enable_http_proxy": 0, **settings.get("options", {})}
        self.settings = settings
        self.channel = grpc.insecure_channel(settings["target"], options=list(options.items()))

    def unary(self, method):
        return self.channel.unary_unary(SERVICE + method)

    def server_stream(self, method):
        return self.channel.unary_stream(SERVICE + method)

    def client_stream(self, method):
        return self.channel.stream_unary(SERVICE + method)

    def bidi(self, method, **settings):
        return Bidi(self.channel.stream_stream(SERVICE + method), settings)


class Bidi:
    """A stream that the case drives message by message."""

    def __init__(self, method, settings):
        self.outgoing = queue.Queue()
        self.call = method(iter(self.outgoing.get, None), **{"timeout": PATIENCE_SECONDS, **settings})

    def send(self, message):
        self.outgoing.put(message)

    def half_close(self):
        self.outgoing.put(None)

    def exchange(self, message):
        self.send(message)
        return next(self.call)

    def rest(self):
        return list(self.call)


def expect(actual, expected, what="value"):
    if actual != expected:
        raise AssertionError(f"{what}: {shortened(actual)} instead of {shortened(expected)}")


def shortened(value):
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}… ({len(text)} characters)"


def expect_error(run, code, details=None):
    try:
        result = run()
    except grpc.RpcError as error:
        if error.code() != code:
            raise AssertionError(f"{error.code()} ({error.details()}) instead of {code}")
        if details is not None:
            expect(error.details(), details, "details")
        return error
    raise AssertionError(f"{shortened(result)} instead of {code}")


def expect_metadata(call, initial, trailing):
    expect(by_key(call.initial_metadata(), "x-grpc-test"), by_key(initial), "initial metadata")
    expect(by_key(call.trailing_metadata(), "x-grpc-test"), by_key(trailing), "trailing metadata")


def by_key(metadata, prefix=""):
    """Values in order for each key: C-core itself keeps no order between keys."""
    values = {}
    for key, value in metadata:
        if key.startswith(prefix):
            values.setdefault(key, []).append(value)
    return values


CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function
