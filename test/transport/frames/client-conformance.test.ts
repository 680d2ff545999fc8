import t from 'tap';
import { ErrorCode, Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import { Setting } from '../../../lib/transport/frames/settings.js';
import { assertExpectation, type Case, END } from './conformance-cases.js';
import { Call, RawServer, startClient } from './fixtures.js';
import {
  data,
  fieldBlock,
  frame,
  goAway,
  headers,
  RawPeer,
  resetStream,
  settings,
  windowUpdate,
} from './raw-peer.js';

/** What a server can break, against the engine's client, which has opened stream 1. */

const RESPONSE = [':status', '200', 'content-type', 'application/grpc'];
const BLOCK = fieldBlock(RESPONSE);

function connection(code: number) {
  return { connection: code };
}

const streamError = { stream: 1, code: ErrorCode.PROTOCOL_ERROR };

function malformed(name: string, fields: string[], flags: number = END): Case {
  return { name, send: [headers(1, fields, flags)], expect: streamError };
}

const cases: readonly Case[] = [
  { name: '4.1 a frame of unknown type is ignored', send: [frame(0x99, 0xff, 1, '00')], expect: 'fine' },
  {
    name: '4.2 a frame larger than SETTINGS_MAX_FRAME_SIZE',
    send: [headers(1, RESPONSE), data(1, Buffer.alloc(16385))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '4.3 a field block that cannot be decompressed',
    send: [frame(FrameType.HEADERS, END, 1, 'ff')],
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  { name: '5.1 idle: DATA', send: [data(3, '00')], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  { name: '5.1 idle: HEADERS', send: [headers(3, RESPONSE)], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  { name: '5.1 idle: RST_STREAM', send: [resetStream(3, 8)], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  {
    name: '5.1 idle: WINDOW_UPDATE',
    send: [windowUpdate(3, 1)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.1 half-closed (remote): DATA',
    send: [headers(1, RESPONSE, END), data(1, '00')],
    expect: { stream: 1, code: ErrorCode.STREAM_CLOSED },
  },
  {
    name: '5.1 half-closed (remote): HEADERS',
    send: [headers(1, RESPONSE, END), headers(1, RESPONSE, END)],
    expect: { stream: 1, code: ErrorCode.STREAM_CLOSED },
  },
  {
    name: '5.1 closed by RST_STREAM: DATA',
    send: [headers(1, RESPONSE), resetStream(1, 8), data(1, '00')],
    expect: { stream: 1, code: ErrorCode.STREAM_CLOSED },
  },
  {
    name: '5.1 closed by RST_STREAM: HEADERS',
    send: [headers(1, RESPONSE), resetStream(1, 8), headers(1, RESPONSE)],
    expect: connection(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1.1 an even stream identifier',
    send: [headers(2, RESPONSE)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  { name: '6.1 DATA on stream 0', send: [data(0, '00')], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  {
    name: '6.1 DATA with more padding than payload',
    send: [headers(1, RESPONSE), data(1, '06 0000000000', Flag.PADDED)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS on stream 0',
    send: [headers(0, RESPONSE)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.5.2 SETTINGS_ENABLE_PUSH 1 from a server',
    send: [settings([Setting.ENABLE_PUSH, 1])],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.5.2 SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1',
    send: [settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 31])],
    expect: connection(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.6 PUSH_PROMISE after SETTINGS_ENABLE_PUSH 0',
    send: [frame(FrameType.PUSH_PROMISE, 4, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), BLOCK]))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.7 PING of another length than 8',
    send: [frame(FrameType.PING, 0, 0, '00')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.8 GOAWAY on a stream',
    send: [frame(7, 0, 1, '00'.repeat(8))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  { name: '6.9 WINDOW_UPDATE of 0 for a stream', send: [windowUpdate(1, 0)], expect: streamError },
  {
    name: '6.9.1 a stream window above 2^31-1',
    send: [windowUpdate(1, 2 ** 31 - 1)],
    expect: { stream: 1, code: ErrorCode.FLOW_CONTROL_ERROR },
  },
  {
    name: '6.9.1 a connection window above 2^31-1',
    send: [windowUpdate(0, 2 ** 31 - 1)],
    expect: connection(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.10 a field block that is interrupted',
    send: [headers(1, RESPONSE, 0), data(1, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  { name: '8.1 DATA before HEADERS', send: [data(1, '00')], expect: streamError },
  {
    name: '8.1 a second final HEADERS without END_STREAM',
    send: [headers(1, RESPONSE), headers(1, ['a', 'b'])],
    expect: streamError,
  },
  {
    name: '8.1 a pseudo-header field in trailers',
    send: [headers(1, RESPONSE), headers(1, [':status', '200'], END)],
    expect: streamError,
  },
  malformed('8.1 an interim response with END_STREAM', [':status', '100']),
  {
    name: '8.1 interim responses are legal',
    send: [headers(1, [':status', '100']), headers(1, [':status', '103', 'a', 'b']), headers(1, RESPONSE)],
    expect: 'fine',
  },
  {
    name: '8.1 interim responses without end',
    send: Array.from({ length: 20 }, () => headers(1, [':status', '103'])),
    expect: { stream: 1, code: ErrorCode.ENHANCE_YOUR_CALM },
  },
  {
    name: '8.1.1 less DATA than content-length',
    send: [headers(1, [...RESPONSE, 'content-length', '2']), data(1, '00', Flag.END_STREAM)],
    expect: streamError,
  },
  malformed('8.1.1 content-length without DATA', [...RESPONSE, 'content-length', '1']),
  malformed('8.2.1 an upper case name', [...RESPONSE, 'X-A', 'b']),
  malformed('8.2.1 a value with LF', [...RESPONSE, 'a', 'b\nc']),
  malformed('8.2.2 connection', [...RESPONSE, 'connection', 'close']),
  malformed('8.2.2 transfer-encoding', [...RESPONSE, 'transfer-encoding', 'chunked']),
  malformed('8.3 an unknown pseudo-header field', [':status', '200', ':a', 'b']),
  malformed('8.3 a request pseudo-header field', [':status', '200', ':path', '/']),
  malformed('8.3 a pseudo-header field behind a regular one', ['a', 'b', ':status', '200']),
  malformed('8.3.2 no :status', ['a', 'b']),
  malformed('8.3.2 no field at all', []),
  malformed('8.3.2 a second :status', [':status', '200', ':status', '200']),
  malformed('8.3.2 a :status that is no number of three digits', [':status', '2000']),
  malformed('8.6 :status 101', [':status', '101'], Flag.END_HEADERS),
];

for (const { name, send, expect } of cases) {
  t.test(`client, RFC 9113 section ${name}`, async (t) => {
    const server = await RawServer.listen(t);
    const call = new Call(startClient(t, server.target));
    const peer = await RawPeer.server(await server.accept());
    await peer.nextHeaders(1);
    peer.send(...(send as readonly Buffer[]));
    await assertExpectation(t, peer, expect);
    if (expect === 'fine') {
      t.equal(call.resetCode, -1);
      return;
    }
    await call.done();
    if ('connection' in expect) {
      if (name.includes('closed by RST_STREAM')) return;
      await call.until((c) => c.resetCode >= 0);
      t.equal(call.resetCode, expect.connection);
      t.ok(call.connectionLost);
    } else if (expect.code !== ErrorCode.STREAM_CLOSED) {
      t.equal(call.resetCode, expect.code);
      t.notOk(call.connectionLost);
    }
  });
}

t.test('client, RFC 9113 section 3.4: a first frame that is not SETTINGS', async (t) => {
  const server = await RawServer.listen(t);
  const call = new Call(startClient(t, server.target));
  const peer = new RawPeer(await server.accept(), 24);
  peer.send(frame(FrameType.PING, 0, 0, '00'.repeat(8)));
  t.equal(await peer.goAwayCode(), ErrorCode.PROTOCOL_ERROR);
  t.ok((await call.done()).error, 'the requester is told');
});

t.test('client, RFC 9113 section 6.8: streams above the last one of a GOAWAY are refused', async (t) => {
  const server = await RawServer.listen(t);
  const transport = startClient(t, server.target);
  const first = new Call(transport);
  const peer = await RawPeer.server(await server.accept());
  await peer.nextHeaders(1);
  const second = new Call(transport);
  await peer.nextHeaders(3);
  peer.send(goAway(1, 0), headers(1, RESPONSE), data(1, '00', Flag.END_STREAM));
  await second.done();
  t.equal(second.resetCode, ErrorCode.REFUSED_STREAM);
  t.notOk(second.connectionLost);
  await first.done();
  t.equal(first.received, 1, 'the other goes on');
  const third = new Call(transport);
  const next = await RawPeer.server(await server.accept());
  await next.nextHeaders(1);
  t.equal(third.error, undefined, 'a new stream gets a new connection');
});

t.test(
  'client, RFC 9113 section 5.1.1: a connection whose identifiers are used up is replaced',
  async (t) => {
    const server = await RawServer.listen(t);
    const transport = startClient(t, server.target, { firstStreamId: 2 ** 31 - 1 });
    const first = new Call(transport);
    const peer = await RawPeer.server(await server.accept());
    await peer.nextHeaders(2 ** 31 - 1);
    const second = new Call(transport);
    const next = await RawPeer.server(await server.accept());
    await next.nextHeaders(2 ** 31 - 1);
    peer.send(headers(2 ** 31 - 1, RESPONSE, END));
    next.send(headers(2 ** 31 - 1, RESPONSE, END));
    await first.done();
    await second.done();
    t.ok(first.ended && second.ended);
  },
);
