import t from 'tap';
import { ErrorCode, Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import { Setting } from '../../../lib/transport/frames/settings.js';
import { connection, END, stream, testClient } from './conformance-cases.js';
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

const RESPONSE = [':status', '200', 'content-type', 'application/grpc'];
const BLOCK = fieldBlock(RESPONSE);

/** How connections begin, frames, streams, and frame definitions (RFC 9113 sections 3 to 6). */

testClient([
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
  {
    name: '6.9 WINDOW_UPDATE of 0 for a stream',
    send: [windowUpdate(1, 0)],
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
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
]);

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
