"""Many calls, large ones, early ends, and what lasts."""

import threading
import time

import grpc

from client import by_key, expect, shortened, expect_error, case
from common import SERVICE, MEGABYTE, PATIENCE_SECONDS, report, instruction, command


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
def available_again(client):
    """The proxy dials a backend that was away when its backoff says so, which is a matter of seconds here."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            expect(client.unary("Empty")(b"", timeout=PATIENCE_SECONDS), b"")
            return
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                raise
            time.sleep(0.05)


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
