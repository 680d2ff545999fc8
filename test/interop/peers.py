"""C-core gRPC, the runtime under gRPC for Python, Ruby, PHP, C# and C++, as client and server.

Messages are bytes: the handlers are generic, and nothing is generated. A request that asks for something is a
JSON object, padded with zero bytes to the size that the case wants.

    peers.py serve SETTINGS          a server; prints {"event": "listening", "port": …}, and what its calls meet
    peers.py call SETTINGS CASE…     a client; prints one line per case: {"case": …, "ok": true, …}

SETTINGS is JSON: "port", "role" and "options" of a server, "target" and "options" of a client.
"""

import json
import os
import queue
import sys
import threading
import time
import traceback
from concurrent import futures

import grpc

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


CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


@case
def empty_unary(client):
    expect(client.unary("Empty")(b"", timeout=PATIENCE_SECONDS), b"")


@case
def large_unary(client):
    request = instruction(271828, size=314159)
    expect(len(client.unary("Unary")(request, timeout=PATIENCE_SECONDS)), 314159)


@case
def compressed_unary(client):
    for compressed_request in [True, False]:
        for compressed_response in [True, False]:
            response = client.unary("Unary")(
                instruction(271828, size=314159, compress=compressed_response),
                timeout=PATIENCE_SECONDS,
                compression=grpc.Compression.Gzip if compressed_request else None,
            )
            expect(len(response), 314159)


@case
def compressed_client_streaming(client):
    response = client.client_stream("StreamingInput")(
        iter([bytes(27182), bytes(45904)]), timeout=PATIENCE_SECONDS, compression=grpc.Compression.Gzip
    )
    expect(response, b"73086")


@case
def compressed_server_streaming(client):
    wishes = [{"size": 31415, "compress": True}, {"size": 92653, "compress": True}]
    responses = client.server_stream("StreamingOutput")(
        instruction(responses=wishes), timeout=PATIENCE_SECONDS
    )
    expect([len(response) for response in responses], [31415, 92653])


@case
def client_streaming(client):
    requests = [bytes(size) for size in [27182, 8, 1828, 45904]]
    expect(client.client_stream("StreamingInput")(iter(requests), timeout=PATIENCE_SECONDS), b"74922")


@case
def server_streaming(client):
    wishes = [{"size": size} for size in [31415, 9, 2653, 58979]]
    responses = client.server_stream("StreamingOutput")(
        instruction(responses=wishes), timeout=PATIENCE_SECONDS
    )
    expect([len(response) for response in responses], [31415, 9, 2653, 58979])


@case
def half_duplex_streaming(client):
    stream = client.bidi("HalfDuplex")
    for size in [31415, 9, 2653, 58979]:
        stream.send(instruction(27182, size=size))
    stream.half_close()
    expect([len(response) for response in stream.rest()], [31415, 9, 2653, 58979])


@case
def ping_pong(client):
    stream = client.bidi("FullDuplex")
    for request, response in [(27182, 31415), (8, 9), (1828, 2653), (45904, 58979)]:
        expect(len(stream.exchange(instruction(request, size=response))), response)
    stream.half_close()
    expect(stream.rest(), [])


@case
def empty_stream(client):
    stream = client.bidi("FullDuplex")
    stream.half_close()
    expect(stream.rest(), [])
    expect(stream.call.code(), grpc.StatusCode.OK)


@case
def empty_client_stream(client):
    expect(client.client_stream("StreamingInput")(iter([]), timeout=PATIENCE_SECONDS), b"0")


@case
def cancel_after_begin(client):
    requests = queue.Queue()
    call = client.client_stream("StreamingInput").future(iter(requests.get, None), timeout=PATIENCE_SECONDS)
    call.cancel()
    expect(call.code(), grpc.StatusCode.CANCELLED)
    requests.put(None)


@case
def cancel_after_first_response(client):
    stream = client.bidi("FullDuplex")
    expect(len(stream.exchange(instruction(27182, size=31415))), 31415)
    stream.call.cancel()
    expect_error(stream.rest, grpc.StatusCode.CANCELLED)
    stream.half_close()


@case
def timeout_on_sleeping_server(client):
    for timeout in [0.001, 0.3]:
        begin = time.monotonic()
        expect_error(
            lambda: client.unary("Unary")(instruction(sleep=5), timeout=timeout),
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )
        if time.monotonic() - begin > timeout + 1:
            raise AssertionError("the deadline came too late")


@case
def status_code_and_message(client):
    request = instruction(code=2, message="test status message")
    expect_error(
        lambda: client.unary("Unary")(request, timeout=PATIENCE_SECONDS),
        grpc.StatusCode.UNKNOWN,
        "test status message",
    )
    stream = client.bidi("FullDuplex")
    stream.send(request)
    stream.half_close()
    expect_error(stream.rest, grpc.StatusCode.UNKNOWN, "test status message")


@case
def special_status_message(client):
    message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈 and 100 %25 \t\n"
    error = expect_error(
        lambda: client.unary("Unary")(
            instruction(code=9, message=message, details="00ff80c3280a"), timeout=PATIENCE_SECONDS
        ),
        grpc.StatusCode.FAILED_PRECONDITION,
        message,
    )
    details = [value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    expect(details, [bytes.fromhex("00ff80c3280a")], "details")


@case
def every_status(client):
    for code in grpc.StatusCode:
        number = code.value[0]
        if number == 0:
            continue
        expect_error(
            lambda: client.unary("Unary")(instruction(code=number, message=f"says {number}"), timeout=5),
            code,
            f"says {number}",
        )


@case
def unimplemented_method(client):
    expect_error(
        lambda: client.unary("NoSuchMethod")(b"", timeout=PATIENCE_SECONDS), grpc.StatusCode.UNIMPLEMENTED
    )


@case
def unimplemented_service(client):
    call = client.channel.unary_unary("/interop.NoSuchService/Empty")
    expect_error(lambda: call(b"", timeout=PATIENCE_SECONDS), grpc.StatusCode.UNIMPLEMENTED)


@case
def custom_metadata(client):
    initial = [
        ("x-grpc-test-echo-initial", "test_initial_metadata_value"),
        ("x-grpc-test-echo-initial", "again, with a comma"),
        ("x-grpc-test-echo-initial-bin", bytes(range(256))),
        ("x-grpc-test-echo-initial-bin", b""),
    ]
    trailing = [
        ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"),
        ("x-grpc-test-echo-trailing-bin", b"\0"),
        ("x-grpc-test-echo-trailing", "test_trailing_metadata_value"),
        ("x-grpc-test-echo-trailing", "x" * 4000),
    ]
    _response, call = client.unary("Unary").with_call(
        instruction(271828, size=314159), metadata=initial + trailing, timeout=PATIENCE_SECONDS
    )
    expect_metadata(call, initial, trailing)
    stream = client.bidi("FullDuplex", metadata=initial + trailing)
    expect(len(stream.exchange(instruction(271828, size=314159))), 314159)
    stream.half_close()
    expect(stream.rest(), [])
    expect_metadata(stream.call, initial, trailing)


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


@case
def concurrent_calls(client):
    calls = [client.unary("Together").future(b"", timeout=PATIENCE_SECONDS) for _ in range(300)]
    for call in calls:
        expect(call.result(), b"")


@case
def message_sizes(client):
    sizes = [0, 1, 4, 5, 6]
    for around in [16 * 1024, 64 * 1024]:
        sizes += range(around - 18, around + 19)
    size = 128 * 1024
    while size <= 4 * MEGABYTE:
        sizes += [size - 6, size - 5, size - 1, size]
        size *= 2
    stream = client.bidi("Echo")
    for size in sizes:
        message = bytes([size % 251]) * size
        if stream.exchange(message) != message:
            raise AssertionError(f"a message of {size} bytes came back changed")
    stream.half_close()
    expect(stream.rest(), [])
    for size in sizes:
        response = client.unary("Unary")(instruction(max(size, 20), size=size), timeout=PATIENCE_SECONDS)
        expect(len(response), size)


@case
def many_small_messages(client):
    messages = [str(number).encode() for number in range(20_000)]
    call = client.channel.stream_stream(SERVICE + "Echo")(iter(messages), timeout=PATIENCE_SECONDS)
    if list(call) != messages:
        raise AssertionError("the messages came back changed")


@case
def headers_early_and_alone(client):
    stream = client.bidi("EarlyHeaders")
    expect(by_key(stream.call.initial_metadata(), "x-early"), {"x-early": ["1"]})
    expect(stream.exchange(b"later"), b"later")
    stream.half_close()
    expect(stream.rest(), [])


@case
def early_status_before_half_close(client):
    for _ in range(20):
        stream = client.bidi("EarlyStatus")
        stream.send(b"request")
        expect(stream.rest(), [b"first", b"last"])
        expect(stream.call.code(), grpc.StatusCode.OK)
        expect(by_key(stream.call.trailing_metadata(), "x-early"), {"x-early": ["1"]})
        stream = client.bidi("EarlyError")
        expect_error(stream.rest, grpc.StatusCode.FAILED_PRECONDITION, "not reading this")


@case
def early_status_while_sending(client):
    def endless():
        while True:
            yield bytes(64 * 1024)

    for _ in range(5):
        call = client.channel.stream_stream(SERVICE + "EarlyStatus")(endless(), timeout=PATIENCE_SECONDS)
        expect(list(call), [b"first", b"last"])
        expect(call.code(), grpc.StatusCode.OK)
        call = client.channel.stream_stream(SERVICE + "EarlyError")(endless(), timeout=PATIENCE_SECONDS)
        expect_error(lambda: list(call), grpc.StatusCode.FAILED_PRECONDITION, "not reading this")


@case
def upload(client):
    """160 MiB, in messages of 512 KiB."""
    messages = (bytes(512 * 1024) for _ in range(320))
    response = client.client_stream("StreamingInput")(messages, timeout=PATIENCE_SECONDS)
    expect(response, str(160 * MEGABYTE).encode())


@case
def ten_messages(client):
    for _ in range(3):
        stream = client.bidi("Echo")
        for number in range(10):
            expect(stream.exchange(bytes([number])), bytes([number]))
        stream.half_close()
        expect(stream.rest(), [])


@case
def unavailable(client):
    begin = time.monotonic()
    error = expect_error(
        lambda: client.unary("Empty")(b"", timeout=PATIENCE_SECONDS), grpc.StatusCode.UNAVAILABLE
    )
    return {"seconds": time.monotonic() - begin, "details": error.details()}


@case
def stream_until_lost(client):
    """A stream at work; its end is to be UNAVAILABLE."""
    stream = client.bidi("Echo")
    expect(stream.exchange(b"one"), b"one")
    report(event="ready")
    error = expect_error(lambda: next(stream.call), grpc.StatusCode.UNAVAILABLE)
    at = time.time()
    stream.half_close()
    return {"at": at, "details": error.details()}


@case
def cancel_on_command(client):
    stream = client.bidi(client.settings["method"])
    stream.send(b"request")
    expect(by_key(stream.call.initial_metadata(), "x-held"), {"x-held": ["1"]})
    expect(command(), "cancel")
    at = time.time()
    stream.call.cancel()
    expect_error(stream.rest, grpc.StatusCode.CANCELLED)
    return {"at": at}


@case
def expire(client):
    at = time.time()
    stream = client.bidi("Listen", timeout=0.5)
    stream.send(b"request")
    expect_error(stream.rest, grpc.StatusCode.DEADLINE_EXCEEDED)
    return {"at": at + 0.5}


@case
def load(client):
    """Calls of all lengths, from many threads, until told to stop; counts those that fail."""
    stop = threading.Event()
    finished = []
    failures = []

    def one(number):
        if number % 4 == 0:
            stream = client.bidi("Echo")
            for part in range(5):
                expect(stream.exchange(bytes([part]) * 2000), bytes([part]) * 2000)
            stream.half_close()
            expect(stream.rest(), [])
        else:
            sleep = 0.05 if number % 4 == 1 else 0
            response = client.unary("Unary")(instruction(size=1000, sleep=sleep), timeout=PATIENCE_SECONDS)
            expect(len(response), 1000)

    def work(first):
        number = first
        while not stop.is_set():
            try:
                one(number)
                finished.append(number)
            except Exception as error:
                failures.append(shortened(error))
            number += 1

    threads = [threading.Thread(target=work, args=[first]) for first in range(16)]
    for thread in threads:
        thread.start()
    while len(finished) + len(failures) < 50:
        time.sleep(0.01)
    report(event="ready")
    expect(command(), "stop")
    before = len(finished)
    stop.set()
    for thread in threads:
        thread.join()
    if failures:
        raise AssertionError(f"{len(failures)} of {before} calls failed: {sorted(set(failures))[:3]}")
    return {"calls": before}


@case
def many_at_once(client):
    """3 times 200 concurrent calls."""
    failures = []
    for _ in range(3):
        calls = [
            client.unary("Unary").future(instruction(sleep=0.02, size=100), timeout=PATIENCE_SECONDS)
            for _ in range(200)
        ]
        for call in calls:
            if call.code() != grpc.StatusCode.OK:
                failures.append(f"{call.code()}: {call.details()}")
    if failures:
        raise AssertionError(f"{len(failures)} calls failed: {sorted(set(failures))[:3]}")


@case
def pour(client):
    """Offers 300 MiB to somebody who does not read, until nothing moves any more."""
    offered = 0

    def messages():
        nonlocal offered
        for _ in range(300):
            offered += 1
            yield bytes(MEGABYTE)

    call = client.channel.stream_stream(SERVICE + "Hold")(messages(), timeout=PATIENCE_SECONDS)
    call.initial_metadata()
    seen = -1
    while seen != offered:
        seen = offered
        time.sleep(1)
    report(event="ready", megabytes=offered)
    expect(command(), "cancel")
    call.cancel()
    expect_error(lambda: list(call), grpc.StatusCode.CANCELLED)


@case
def download_on_command(client):
    """300 MiB for a client that does not read on until told to."""
    wishes = [{"size": MEGABYTE}] * 300
    responses = client.server_stream("StreamingOutput")(
        instruction(responses=wishes), timeout=PATIENCE_SECONDS
    )
    expect(len(next(responses)), MEGABYTE)
    report(event="ready")
    expect(command(), "read")
    expect(sum(len(response) for response in responses), 299 * MEGABYTE)


@case
def silent(client):
    """A stream on which nothing is said until told to."""
    stream = client.bidi("Echo", timeout=100)
    expect(stream.exchange(b"one"), b"one")
    report(event="ready")
    expect(command(), "speak")
    expect(stream.exchange(b"two"), b"two")
    stream.half_close()
    expect(stream.rest(), [])


def run_cases(settings, names):
    client = Client(settings)
    failed = False
    for name in names:
        begin = time.monotonic()
        try:
            facts = CASES[name](client) or {}
            report(**{"case": name, "ok": True, "seconds": time.monotonic() - begin, **facts})
        except Exception as error:
            failed = True
            report(case=name, ok=False, error=f"{error!r}", trace=traceback.format_exc())
    client.channel.close()
    sys.stdout.flush()
    # Request generators that nobody ends would keep the process alive.
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(json.loads(sys.argv[2]))
    else:
        run_cases(json.loads(sys.argv[2]), sys.argv[3:])
