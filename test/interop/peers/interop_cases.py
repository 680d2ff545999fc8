"""gRPC's official interop cases (interop-test-descriptions.md)."""

import queue
import time

import grpc

from client import expect_metadata, expect, expect_error, case
from common import PATIENCE_SECONDS, instruction


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
