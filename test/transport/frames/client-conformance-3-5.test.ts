import t from 'tap';
import { RESPONSE } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  headers,
  resetStream,
  windowUpdate,
} from '../../support/frame.js';
import { fieldBlock } from '../../support/hpack.js';
import { connection, stream, testClient } from './conformance-cases.js';
import { Call, startBackend, startClient } from './fixtures.js';

/** How connections begin, frames, and streams (RFC 9113 sections 3 to 5). */

const { HEADERS, PRIORITY, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION } = FrameType;
const BLOCK = fieldBlock(RESPONSE);

for (const [name, bytes] of [
  ['PING', frame(PING, 0, 0, '00'.repeat(8))],
  ['a SETTINGS acknowledgement', frame(SETTINGS, Flag.ACK, 0)],
  ['HTTP/1.1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
] as const) {
  t.test(`client, RFC 9113 section 3.4: ${name} in place of SETTINGS`, async (t) => {
    const server = await startBackend(t);
    const call = new Call(startClient(t, server.target));
    const peer = await server.accept();
    peer.send(bytes);
    t.equal(await peer.goAwayCode(), ErrorCode.PROTOCOL_ERROR);
    t.match(
      (await call.done()).end,
      { cause: 'settings', code: ErrorCode.PROTOCOL_ERROR },
      'the owner is told',
    );
  });
}

t.test("client, RFC 9113 section 3.4: the client's preface, and SETTINGS as its first frame", async (t) => {
  const server = await startBackend(t);
  new Call(startClient(t, server.target));
  const peer = await server.accept();
  t.equal((await peer.next(() => true)).type, SETTINGS);
  t.equal(peer.preface, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
});

t.test(
  'client, RFC 9113 section 5.1.1: a connection whose identifiers are used up is replaced',
  async (t) => {
    const server = await startBackend(t);
    const transport = startClient(t, server.target, { firstStreamId: 2 ** 31 - 1 });
    const first = new Call(transport);
    const peer = await (await server.accept()).exchangePrefaces();
    await peer.nextHeaders(2 ** 31 - 1);
    const second = new Call(transport);
    const next = await (await server.accept()).exchangePrefaces();
    await next.nextHeaders(2 ** 31 - 1);
    peer.send(headers(2 ** 31 - 1, RESPONSE, END));
    next.send(headers(2 ** 31 - 1, RESPONSE, END));
    await first.done();
    await second.done();
    t.ok(first.ended && second.ended);
  },
);

testClient([
  // 4 HTTP Frames
  { name: '4.1 a frame of unknown type is ignored', send: [frame(0x99, 0xff, 1, '00')], expect: 'fine' },
  {
    name: '4.1 undefined flags of frames that define some are ignored',
    send: [
      headers(1, RESPONSE, Flag.END_HEADERS | 0xd2),
      data(1, '00', 0xf6),
      frame(SETTINGS, 0xfe, 0),
      frame(WINDOW_UPDATE, 0xff, 1, '00000001'),
      frame(PING, 0xfe, 0, '00'.repeat(8)),
    ],
    expect: 'fine',
  },
  {
    name: '4.1 the reserved bit is ignored',
    send: [frame(HEADERS, END, (1 << 31) | 1, BLOCK), frame(SETTINGS, 0, 1 << 31)],
    expect: 'fine',
  },
  {
    name: '4.2 DATA larger than SETTINGS_MAX_FRAME_SIZE',
    send: [headers(1, RESPONSE), data(1, Buffer.alloc(16385))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '4.2 HEADERS larger than SETTINGS_MAX_FRAME_SIZE',
    send: [frame(HEADERS, END, 1, Buffer.alloc(16385))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '4.2 DATA of exactly SETTINGS_MAX_FRAME_SIZE is legal',
    send: [headers(1, RESPONSE), data(1, Buffer.alloc(16384), Flag.END_STREAM)],
    expect: 'fine',
  },
  {
    name: '4.3 a field block that cannot be decompressed',
    send: [frame(HEADERS, END, 1, 'ff')],
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  {
    name: '4.3 trailers that cannot be decompressed',
    send: [headers(1, RESPONSE), frame(HEADERS, END, 1, 'bf')],
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  {
    name: "4.3 a field block behind this side's RST_STREAM that cannot be decompressed",
    send: async (peer) => {
      peer.send(data(1, '00'));
      await peer.resetCode(1);
      peer.send(frame(HEADERS, END, 1, 'bf'));
    },
    expect: connection(ErrorCode.COMPRESSION_ERROR),
    callEnds: true,
  },

  // 5.1 Stream States
  { name: '5.1 idle: DATA', send: [data(3, '00')], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  { name: '5.1 idle: HEADERS', send: [headers(3, RESPONSE)], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  { name: '5.1 idle: RST_STREAM', send: [resetStream(3, 8)], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  {
    name: '5.1 idle: WINDOW_UPDATE',
    send: [windowUpdate(3, 1)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.1 idle: CONTINUATION',
    send: [frame(CONTINUATION, 4, 3, BLOCK)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  { name: '5.1 idle: PRIORITY is legal', send: [frame(PRIORITY, 0, 3, '0000000000')], expect: 'fine' },
  {
    name: "5.1 idle, of the server's: DATA",
    send: [data(2, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: "5.1 idle, of the server's: RST_STREAM",
    send: [resetStream(2, 8)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: "5.1 idle, of the server's: WINDOW_UPDATE",
    send: [windowUpdate(2, 1)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.1 half-closed (remote): DATA',
    send: [headers(1, RESPONSE, END), data(1, '00')],
    expect: stream(ErrorCode.STREAM_CLOSED),
    callEnds: true,
  },
  {
    name: '5.1 half-closed (remote): HEADERS',
    send: [headers(1, RESPONSE, END), headers(1, RESPONSE, END)],
    expect: stream(ErrorCode.STREAM_CLOSED),
    callEnds: true,
  },
  {
    name: '5.1 half-closed (remote): WINDOW_UPDATE and PRIORITY are legal',
    send: [headers(1, RESPONSE, END), windowUpdate(1, 1), frame(PRIORITY, 0, 1, '0000000000')],
    expect: 'fine',
  },
  {
    name: '5.1 closed by RST_STREAM: DATA',
    send: [headers(1, RESPONSE), resetStream(1, 8), data(1, '00')],
    expect: stream(ErrorCode.STREAM_CLOSED),
    callEnds: true,
  },
  {
    name: '5.1 closed by RST_STREAM: HEADERS',
    send: [headers(1, RESPONSE), resetStream(1, 8), headers(1, RESPONSE)],
    expect: connection(ErrorCode.STREAM_CLOSED),
    callEnds: true,
  },
  {
    name: '5.1 closed by RST_STREAM: CONTINUATION',
    send: [headers(1, RESPONSE), resetStream(1, 8), frame(CONTINUATION, 4, 1, BLOCK)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
    callEnds: true,
  },
  {
    name: '5.1 closed by RST_STREAM: WINDOW_UPDATE, PRIORITY and RST_STREAM are legal',
    send: [
      headers(1, RESPONSE),
      resetStream(1, 8),
      windowUpdate(1, 1),
      frame(PRIORITY, 0, 1, '0000000000'),
      resetStream(1, 8),
    ],
    expect: 'fine',
    callEnds: true,
  },
  {
    name: '5.1 closed by END_STREAM: DATA',
    requestEnds: true,
    send: [headers(1, RESPONSE, END), data(1, '00')],
    expect: stream(ErrorCode.STREAM_CLOSED),
    callEnds: true,
  },
  {
    name: '5.1 closed by END_STREAM: HEADERS',
    requestEnds: true,
    send: [headers(1, RESPONSE, END), headers(1, RESPONSE, END)],
    expect: connection(ErrorCode.STREAM_CLOSED),
    callEnds: true,
  },
  {
    name: '5.1 closed by END_STREAM: CONTINUATION',
    requestEnds: true,
    send: [headers(1, RESPONSE, END), frame(CONTINUATION, 4, 1, BLOCK)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
    callEnds: true,
  },
  {
    name: '5.1 closed by the engine: what was on its way is ignored',
    send: async (peer) => {
      peer.send(data(1, '00'));
      await peer.resetCode(1);
      peer.send(headers(1, RESPONSE), data(1, '00'), windowUpdate(1, 1), resetStream(1, 0));
    },
    expect: 'fine',
    callEnds: true,
  },
  {
    name: '5.1.1 an even stream identifier',
    send: [headers(2, RESPONSE)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.5 a frame of unknown type inside a field block',
    send: [headers(1, RESPONSE, 0), frame(0x16, 0, 1, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
]);
