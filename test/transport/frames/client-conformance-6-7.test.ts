import t from 'tap';
import { RESPONSE } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  goAway,
  headers,
  resetStream,
  Setting,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { fieldBlock } from '../../support/hpack.js';
import { assertExpectation, connection, stream, testClient } from './conformance-cases.js';
import { Call, startBackend, startClient } from './fixtures.js';
import { openCall } from './stream-cases.js';

/** Frame definitions (RFC 9113 section 6), and error codes (section 7). */

const { HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } =
  FrameType;
const BLOCK = fieldBlock(RESPONSE);
const PROMISE = Buffer.concat([Buffer.from([0, 0, 0, 2]), BLOCK]);

t.test('client, RFC 9113 section 6.8: streams above the last one of a GOAWAY are refused', async (t) => {
  const server = await startBackend(t);
  const transport = startClient(t, server.target);
  const first = new Call(transport);
  const peer = await (await server.accept()).exchangePrefaces();
  await peer.nextHeaders(1);
  const second = new Call(transport);
  await peer.nextHeaders(3);
  peer.send(goAway(1, 0), headers(1, RESPONSE), data(1, '00', Flag.END_STREAM));
  await second.done();
  t.equal(second.resetCode, ErrorCode.REFUSED_STREAM);
  t.match(second.reset, { by: 'peer', text: 'GOAWAY NO_ERROR', lost: undefined });
  await first.done();
  t.equal(first.received, 1, 'the other goes on');
  const third = new Call(transport);
  const next = await (await server.accept()).exchangePrefaces();
  await next.nextHeaders(1);
  t.equal(third.end, undefined, 'a new stream gets a new connection');
});

t.test('client, RFC 9113 section 6.8: the reserved bit of the last stream is ignored', async (t) => {
  const { call, peer } = await openCall(t);
  peer.send(goAway(2 ** 31, 0));
  await call.done();
  t.equal(call.resetCode, ErrorCode.REFUSED_STREAM);
});

t.test('client, RFC 9113 section 6.9.1: DATA above the stream window', async (t) => {
  const { call, peer } = await openCall(t, false);
  peer.send(headers(1, RESPONSE), ...Array.from({ length: 16 }, () => data(1, Buffer.alloc(16384))));
  await peer.roundTrip();
  t.strictSame(peer.objections, [], 'all of it can be used');
  peer.send(data(1, '00'));
  await assertExpectation(t, peer, stream(ErrorCode.FLOW_CONTROL_ERROR));
  t.equal(call.resetCode, ErrorCode.FLOW_CONTROL_ERROR);
});

for (const code of [0xdeadbeef, ErrorCode.NO_ERROR]) {
  t.test(`client, RFC 9113 section 7: RST_STREAM with code ${code} ends its call alone`, async (t) => {
    const { call, peer, transport } = await openCall(t);
    peer.send(resetStream(1, code));
    await call.done();
    t.equal(call.resetCode, code);
    await peer.roundTrip();
    t.strictSame(peer.objections, []);
    new Call(transport);
    await peer.nextOf(3, HEADERS);
  });
}

t.test('client, RFC 9113 section 7: GOAWAY with an unknown code is an error like any other', async (t) => {
  const { call, peer } = await openCall(t);
  peer.send(goAway(1, 0xdeadbeef));
  await call.done();
  t.ok(call.isLost);
  await peer.closed;
});

testClient([
  { name: '6.1 DATA on stream 0', send: [data(0, '00')], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  {
    name: '6.1 DATA with as much padding as payload',
    send: [headers(1, RESPONSE), data(1, '06 0000000000', Flag.PADDED)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS on stream 0',
    send: [headers(0, RESPONSE)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS with as much padding as payload',
    send: [frame(HEADERS, END | Flag.PADDED, 1, Buffer.concat([Buffer.from([BLOCK.length + 1]), BLOCK]))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS too short for their priority fields',
    send: [frame(HEADERS, END | Flag.PRIORITY, 1, '00000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.3 PRIORITY on stream 0',
    send: [frame(PRIORITY, 0, 0, '0000000000')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.3 PRIORITY of another length than 5',
    send: [frame(PRIORITY, 0, 1, '00000000')],
    expect: stream(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.4 RST_STREAM on stream 0',
    send: [resetStream(0, 8)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.4 RST_STREAM of another length than 4',
    send: [frame(RST_STREAM, 0, 1, '000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.5 SETTINGS acknowledgement with settings',
    send: [frame(SETTINGS, Flag.ACK, 0, '000000000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.5 SETTINGS on a stream',
    send: [frame(SETTINGS, 0, 1, '000300000064')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.5 SETTINGS of a length that is not a multiple of 6',
    send: [frame(SETTINGS, 0, 0, '0003000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.5.2 SETTINGS_ENABLE_PUSH 1 from a server',
    send: [settings([Setting.ENABLE_PUSH, 1])],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.5.2 SETTINGS_ENABLE_PUSH 0 from a server is legal',
    send: [settings([Setting.ENABLE_PUSH, 0])],
    expect: 'fine',
  },
  {
    name: '6.5.2 SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1',
    send: [settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 31])],
    expect: connection(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.5.2 SETTINGS_MAX_FRAME_SIZE below 16384',
    send: [settings([Setting.MAX_FRAME_SIZE, 16383])],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.5.2 SETTINGS_MAX_FRAME_SIZE above 2^24-1',
    send: [settings([Setting.MAX_FRAME_SIZE, 2 ** 24])],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  { name: '6.5.2 an unknown setting is ignored', send: [settings([0xff, 1])], expect: 'fine' },
  {
    name: '6.5.3 SETTINGS are acknowledged',
    send: async (peer) => {
      peer.send(settings([Setting.MAX_CONCURRENT_STREAMS, 7]));
      await peer.next((f) => f.type === SETTINGS && f.flags === Flag.ACK && f.payload.length === 0);
    },
    expect: 'fine',
  },
  {
    name: '6.6 PUSH_PROMISE after SETTINGS_ENABLE_PUSH 0',
    send: [frame(PUSH_PROMISE, 4, 1, PROMISE)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.6 PUSH_PROMISE on stream 0',
    send: [frame(PUSH_PROMISE, 4, 0, PROMISE)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.6 PUSH_PROMISE that is to be continued',
    send: [frame(PUSH_PROMISE, 0, 1, PROMISE)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.7 PING is answered with its payload',
    send: async (peer) => {
      peer.send(frame(PING, 0, 0, '0102030405060708'));
      await peer.next((f) => f.flags === Flag.ACK && f.payload.toString('hex') === '0102030405060708');
    },
    expect: 'fine',
  },
  {
    name: '6.7 a PING acknowledgement is not answered',
    send: async (peer) => {
      peer.send(frame(PING, Flag.ACK, 0, '09'.repeat(8)));
      await peer.roundTrip();
      if (peer.frames.some((f) => f.type === PING)) throw new Error('answered');
    },
    expect: 'fine',
  },
  {
    name: '6.7 PING on a stream',
    send: [frame(PING, 0, 1, '00'.repeat(8))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.7 PING of another length than 8',
    send: [frame(PING, 0, 0, '00')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.8 GOAWAY on a stream',
    send: [frame(GOAWAY, 0, 1, '00'.repeat(8))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.8 GOAWAY shorter than 8',
    send: [frame(GOAWAY, 0, 0, '00'.repeat(7))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.8 GOAWAY with debug data is legal',
    send: [frame(GOAWAY, 0, 0, '00000001 00000000 616263')],
    expect: 'fine',
  },
  {
    name: '6.9 WINDOW_UPDATE of 0 for the connection',
    send: [windowUpdate(0, 0)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.9 WINDOW_UPDATE of 0 for a stream',
    send: [windowUpdate(1, 0)],
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.9 WINDOW_UPDATE of another length than 4',
    send: [frame(WINDOW_UPDATE, 0, 1, '000001')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.9.1 a stream window above 2^31-1',
    send: [windowUpdate(1, 2 ** 31 - 1)],
    expect: stream(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.9.1 a connection window above 2^31-1',
    send: [windowUpdate(0, 2 ** 31 - 1)],
    expect: connection(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.9.2 SETTINGS_INITIAL_WINDOW_SIZE that lifts a stream window above 2^31-1',
    send: [windowUpdate(1, 2 ** 31 - 1 - 65535), settings([Setting.INITIAL_WINDOW_SIZE, 65536])],
    expect: connection(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.10 a field block that is interrupted',
    send: [headers(1, RESPONSE, 0), data(1, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 a block in several CONTINUATION frames is legal',
    send: [
      frame(HEADERS, 0, 1, BLOCK.subarray(0, 10)),
      frame(CONTINUATION, 0, 1, BLOCK.subarray(10, 20)),
      frame(CONTINUATION, 4, 1, BLOCK.subarray(20)),
    ],
    expect: 'fine',
  },
  {
    name: '6.10 CONTINUATION on stream 0',
    send: [headers(1, RESPONSE, 0), frame(CONTINUATION, 4, 0, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION of another stream',
    send: [headers(1, RESPONSE, 0), frame(CONTINUATION, 4, 3, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION behind END_HEADERS',
    send: [headers(1, RESPONSE), frame(CONTINUATION, 4, 1, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION without END_HEADERS behind END_HEADERS',
    send: [headers(1, RESPONSE), frame(CONTINUATION, 0, 1, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION behind DATA',
    send: [headers(1, RESPONSE), data(1, '00'), frame(CONTINUATION, 4, 1, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
]);
