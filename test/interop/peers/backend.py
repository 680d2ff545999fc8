"""The server."""

import os
import threading
import time
from concurrent import futures

import grpc

from common import SERVICE, MEGABYTE, PATIENCE_SECONDS, report, instructed, command

# The server


def prepare(context):
    """Echoes metadata as gRPC's interop server does, and watches for the end of the call."""
    metadata = context.invocation_metadata()
    initial = [(key, value) for key, value in metadata if key.startswith("x-grpc-test-echo-initial")]
    trailing = [(key, value) for key, value in metadata if key.startswith("x-grpc-test-echo-trailing")]
    if initial:
        context.send_initial_metadata(initial)
    if trailing:
        context.set_trailing_metadata(trailing)
    ended = threading.Event()
    if not context.add_callback(ended.set):
        ended.set()
    return ended


def obey(wish, context):
    if wish.get("compress"):
        context.set_compression(grpc.Compression.Gzip)
    if "details" in wish:
        context.set_trailing_metadata([("grpc-status-details-bin", bytes.fromhex(wish["details"]))])
    if "code" in wish:
        context.set_code([code for code in grpc.StatusCode if code.value[0] == wish["code"]][0])
        context.set_details(wish["message"])
    return b"\0" * wish.get("size", 0)


def empty(request, context):
    prepare(context)
    return b"" if request == b"" else b"not empty"


def unary(request, context):
    ended = prepare(context)
    wish = instructed(request)
    if "sleep" in wish:
        ended.wait(wish["sleep"])
    return obey(wish, context)


def streaming_output(request, context):
    prepare(context)
    for wish in instructed(request)["responses"]:
        yield obey(wish, context)


def streaming_input(requests, context):
    prepare(context)
    return str(sum(len(request) for request in requests)).encode()


def full_duplex(requests, context):
    prepare(context)
    for request in requests:
        yield obey(instructed(request), context)


def half_duplex(requests, context):
    prepare(context)
    for request in list(requests):
        yield obey(instructed(request), context)


def echo(requests, context):
    prepare(context)
    yield from requests


def together(count):
    """Answers only when so many calls are running at once."""
    barrier = threading.Barrier(count, timeout=PATIENCE_SECONDS)

    def handler(_request, context):
        prepare(context)
        barrier.wait()
        return b""

    return handler


def hold(_requests, context):
    """Never reads and never answers, but for headers at once."""
    ended = prepare(context)
    context.send_initial_metadata([("x-held", "1")])
    report(event="started", method="Hold")
    ended.wait()
    report(event="ended", method="Hold", at=time.time())
    return iter(())


def listen(requests, context):
    """Reads and never answers, but for headers at once."""
    ended = prepare(context)
    context.send_initial_metadata([("x-held", "1")])
    report(event="started", method="Listen")
    try:
        for _request in requests:
            pass
    except Exception:  # It is a bare `Exception` that the iterator of a cancelled call throws, mostly.
        pass
    ended.wait()
    report(event="ended", method="Listen", at=time.time())
    return iter(())


def early_headers(requests, context):
    context.send_initial_metadata([("x-early", "1")])
    yield from requests


def early_status(_requests, context):
    """Answers and ends without having read anything."""
    prepare(context)
    yield b"first"
    yield b"last"
    context.set_trailing_metadata([("x-early", "1")])


def early_error(_requests, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not reading this")


HANDLERS = {
    "Empty": grpc.unary_unary_rpc_method_handler(empty),
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "StreamingOutput": grpc.unary_stream_rpc_method_handler(streaming_output),
    "StreamingInput": grpc.stream_unary_rpc_method_handler(streaming_input),
    "FullDuplex": grpc.stream_stream_rpc_method_handler(full_duplex),
    "HalfDuplex": grpc.stream_stream_rpc_method_handler(half_duplex),
    "Echo": grpc.stream_stream_rpc_method_handler(echo),
    "Together": grpc.unary_unary_rpc_method_handler(together(300)),
    "Hold": grpc.stream_stream_rpc_method_handler(hold),
    "Listen": grpc.stream_stream_rpc_method_handler(listen),
    "EarlyHeaders": grpc.stream_stream_rpc_method_handler(early_headers),
    "EarlyStatus": grpc.stream_stream_rpc_method_handler(early_status),
    "EarlyError": grpc.stream_stream_rpc_method_handler(early_error),
}


def slow(requests, context):
    received = 0
    for request in requests:
        time.sleep(0.005)
        received += len(request)
    report(event="received", bytes=received)
    yield b""


def loud(requests, context):
    """Answers every message with 4 MiB."""
    sent = 0
    for _request in requests:
        for _part in range(4):
            sent += MEGABYTE
            yield b"\0" * MEGABYTE
    report(event="answered", bytes=sent)


ROLES = {
    "slow": grpc.stream_stream_rpc_method_handler(slow),
    "loud": grpc.stream_stream_rpc_method_handler(loud),
}


class Peer(grpc.GenericRpcHandler):
    def __init__(self, role):
        self.role = role

    def service(self, details):
        if self.role is not None:
            return ROLES[self.role]
        if not details.method.startswith(SERVICE):
            return None
        return HANDLERS.get(details.method[len(SERVICE) :])


def serve(settings):
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=400),
        handlers=[Peer(settings.get("role"))],
        options=list(settings.get("options", {}).items()),
    )
    port = server.add_insecure_port(f"127.0.0.1:{settings.get('port', 0)}")
    server.start()
    report(event="listening", port=port)
    # Serves until the test ends, however it does.
    while command() != "":
        pass
    os._exit(0)


# The client
