import t from 'tap';
import { ErrorCode, Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import { Setting } from '../../../lib/transport/frames/settings.js';
import {
  assertExpectation,
  type Case,
  END,
  requestReplacing,
  requestWith,
  requestWithout,
} from './conformance-cases.js';
import { Echo, Inbox, startServer } from './fixtures.js';
import { BROKEN_BLOCKS } from './hpack/broken-blocks.js';
import {
  data,
  fieldBlock,
  frame,
  goAway,
  headers,
  PING,
  RawPeer,
  REQUEST,
  resetStream,
  settings,
  windowUpdate,
} from './raw-peer.js';

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, WINDOW_UPDATE, CONTINUATION } =
  FrameType;
const BLOCK = fieldBlock(REQUEST);

function connection(code: number) {
  return { connection: code };
}

function stream(code: number, streamId = 1) {
  return { stream: streamId, code };
}

/** Makes a request that is answered completely, so that stream 1 is closed on both sides. */
async function complete(peer: RawPeer): Promise<void> {
  peer.send(headers(1, REQUEST, END));
  await peer.next((f) => f.streamId === 1 && (f.flags & Flag.END_STREAM) !== 0);
}

function malformed(name: string, fields: string[]): Case {
  return { name, send: [headers(1, fields, END)], expect: stream(ErrorCode.PROTOCOL_ERROR) };
}

const cases: readonly Case[] = [
  // 4 HTTP Frames
  {
    name: '4.1 a frame of unknown type is ignored',
    send: [frame(0x16, 0xff, 0, '00'.repeat(20))],
    expect: 'fine',
  },
  {
    name: '4.1 undefined flags are ignored',
    send: [frame(FrameType.PING, 0xfe, 0, '00'.repeat(8))],
    expect: 'fine',
  },
  {
    name: '4.1 the reserved bit is ignored',
    send: [frame(HEADERS, END, (1 << 31) | 1, BLOCK), frame(FrameType.PING, 0, 1 << 31, '00'.repeat(8))].map(
      (f) => f,
    ),
    expect: 'fine',
  },
  {
    name: '4.2 DATA larger than SETTINGS_MAX_FRAME_SIZE',
    send: [headers(1, REQUEST), data(1, Buffer.alloc(16385))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '4.2 HEADERS larger than SETTINGS_MAX_FRAME_SIZE',
    send: [frame(HEADERS, END, 1, Buffer.alloc(16385))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '4.2 DATA of exactly SETTINGS_MAX_FRAME_SIZE is legal',
    send: [headers(1, REQUEST), data(1, Buffer.alloc(16384), Flag.END_STREAM)],
    expect: 'fine',
  },
  {
    name: '4.3 a field block that cannot be decompressed',
    send: [frame(HEADERS, END, 1, 'bf')],
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  {
    name: '4.3 a field block on a stream that was reset is decoded all the same',
    send: [
      headers(1, REQUEST),
      resetStream(1, 8),
      headers(3, requestWith('Bad', 'x'), 4),
      frame(HEADERS, END, 3, 'bf'),
    ],
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  {
    name: '4.3 PRIORITY inside a field block',
    send: [headers(1, REQUEST, 0), frame(PRIORITY, 0, 1, '0000000000')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '4.3 HEADERS of another stream inside a field block',
    send: [headers(1, REQUEST, 0), headers(3, REQUEST)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },

  // 5.1 Stream States
  { name: '5.1 idle: DATA', send: [data(1, '00')], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  { name: '5.1 idle: RST_STREAM', send: [resetStream(1, 8)], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  {
    name: '5.1 idle: WINDOW_UPDATE',
    send: [windowUpdate(1, 1)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.1 idle: CONTINUATION',
    send: [frame(CONTINUATION, 4, 1, BLOCK)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  { name: '5.1 idle: PRIORITY is legal', send: [frame(PRIORITY, 0, 1, '0000000000')], expect: 'fine' },
  {
    name: '5.1 half-closed (remote): DATA',
    send: [headers(1, REQUEST, END), data(1, '00')],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1 half-closed (remote): HEADERS',
    send: [headers(1, REQUEST, END), headers(1, ['a', 'b'], END)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1 half-closed (remote): CONTINUATION',
    send: [headers(1, REQUEST, END), frame(CONTINUATION, 4, 1, BLOCK)],
    acceptor: new Inbox(),
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.1 half-closed (remote): WINDOW_UPDATE, PRIORITY and RST_STREAM are legal',
    send: [
      headers(1, REQUEST, END),
      windowUpdate(1, 1),
      frame(PRIORITY, 0, 1, '0000000000'),
      resetStream(1, 8),
    ],
    acceptor: new Inbox(),
    expect: 'fine',
  },
  {
    name: '5.1 closed by RST_STREAM: DATA',
    send: [headers(1, REQUEST), resetStream(1, 8), data(1, '00')],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1 closed by RST_STREAM: HEADERS',
    send: [headers(1, REQUEST), resetStream(1, 8), headers(1, REQUEST, END)],
    acceptor: new Inbox(),
    expect: connection(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1 closed by END_STREAM: DATA',
    send: async (peer) => {
      await complete(peer);
      peer.send(data(1, '00'));
    },
    expect: stream(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1 closed by END_STREAM: HEADERS',
    send: async (peer) => {
      await complete(peer);
      peer.send(headers(1, REQUEST, END));
    },
    expect: connection(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1 closed by END_STREAM: WINDOW_UPDATE, PRIORITY and RST_STREAM are legal',
    send: async (peer) => {
      await complete(peer);
      peer.send(windowUpdate(1, 1), frame(PRIORITY, 0, 1, '0000000000'), resetStream(1, 8));
    },
    expect: 'fine',
  },
  {
    name: '5.1 closed by the engine: what was on its way is ignored',
    send: async (peer) => {
      peer.send(headers(1, requestReplacing(':path', '')));
      await peer.resetCode(1);
      peer.send(data(1, '00'), windowUpdate(1, 5), headers(1, ['a', 'b'], END));
    },
    expect: 'fine',
  },
  {
    name: '5.1.1 an even stream identifier',
    send: [headers(2, REQUEST, END)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.1.1 a stream identifier below one that was used',
    send: [headers(5, REQUEST, END), headers(3, REQUEST, END)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '5.1.2 a stream above SETTINGS_MAX_CONCURRENT_STREAMS',
    send: [headers(1, REQUEST), headers(3, REQUEST), headers(5, REQUEST)],
    acceptor: new Inbox(),
    options: { maxConcurrentStreams: 2 },
    expect: stream(ErrorCode.REFUSED_STREAM, 5),
  },
  {
    name: '5.5 a frame of unknown type inside a field block',
    send: [headers(1, REQUEST, 0), frame(0x16, 0, 1, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },

  // 6 Frame Definitions
  { name: '6.1 DATA on stream 0', send: [data(0, '00')], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  {
    name: '6.1 DATA with as much padding as payload',
    send: [headers(1, REQUEST), data(1, '06 0000000000', Flag.PADDED)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.1 padded DATA without a pad length',
    send: [headers(1, REQUEST), data(1, '', Flag.PADDED)],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.1 padded DATA is legal',
    send: [headers(1, REQUEST), data(1, '03 6162 000000', Flag.PADDED | Flag.END_STREAM)],
    expect: 'fine',
  },
  {
    name: '6.2 HEADERS on stream 0',
    send: [headers(0, REQUEST)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS with more padding than payload',
    send: [frame(HEADERS, END | Flag.PADDED, 1, Buffer.concat([Buffer.from([255]), BLOCK]))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS too short for its priority fields',
    send: [frame(HEADERS, END | Flag.PRIORITY, 1, '00000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.2 padded HEADERS with priority fields is legal',
    send: [
      frame(
        HEADERS,
        END | Flag.PRIORITY | Flag.PADDED,
        1,
        Buffer.concat([Buffer.from([2, 0, 0, 0, 1, 9]), BLOCK, Buffer.alloc(2)]),
      ),
    ],
    expect: 'fine',
  },
  {
    name: '6.3 PRIORITY on stream 0',
    send: [frame(PRIORITY, 0, 0, '0000000000')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.3 PRIORITY of another length than 5',
    send: [headers(1, REQUEST), frame(PRIORITY, 0, 1, '00000000')],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.3 PRIORITY of another length than 5 on an idle stream',
    send: [frame(PRIORITY, 0, 1, '00000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.4 RST_STREAM on stream 0',
    send: [resetStream(0, 8)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.4 RST_STREAM on an idle stream',
    send: [resetStream(9, 8)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.4 RST_STREAM of another length than 4',
    send: [headers(1, REQUEST), frame(RST_STREAM, 0, 1, '000000')],
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
    name: '6.5.2 SETTINGS_ENABLE_PUSH above 1',
    send: [settings([Setting.ENABLE_PUSH, 2])],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
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
      peer.send(settings([Setting.ENABLE_PUSH, 0]));
      await peer.next((f) => f.type === SETTINGS && f.flags === Flag.ACK && f.payload.length === 0);
    },
    expect: 'fine',
  },
  {
    name: '6.6 PUSH_PROMISE from a client',
    send: [headers(1, REQUEST), frame(PUSH_PROMISE, 4, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), BLOCK]))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.7 PING is answered with its payload',
    send: async (peer) => {
      peer.send(PING);
      await peer.next((f) => f.flags === Flag.ACK && f.payload.toString('hex') === '0102030405060708');
    },
    expect: 'fine',
  },
  {
    name: '6.7 a PING acknowledgement is not answered',
    send: async (peer) => {
      peer.send(frame(FrameType.PING, Flag.ACK, 0, '09'.repeat(8)));
      await peer.roundTrip();
      if (peer.frames.some((f) => f.type === FrameType.PING)) throw new Error('answered');
    },
    expect: 'fine',
  },
  {
    name: '6.7 PING on a stream',
    send: [frame(FrameType.PING, 0, 1, '00'.repeat(8))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.7 PING of another length than 8',
    send: [frame(FrameType.PING, 0, 0, '00'.repeat(6))],
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
    name: '6.8 GOAWAY from a client leaves its open streams alone',
    send: [headers(1, REQUEST), goAway(0, 0)],
    acceptor: new Inbox(),
    expect: 'fine',
  },
  {
    name: '6.9 WINDOW_UPDATE of 0 for the connection',
    send: [windowUpdate(0, 0)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.9 WINDOW_UPDATE of 0 for a stream',
    send: [headers(1, REQUEST), windowUpdate(1, 0)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.9 WINDOW_UPDATE of another length than 4',
    send: [frame(WINDOW_UPDATE, 0, 0, '000001')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.9.1 a connection window above 2^31-1',
    send: [windowUpdate(0, 2 ** 31 - 1), windowUpdate(0, 2 ** 31 - 1)],
    expect: connection(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.9.1 a stream window above 2^31-1',
    send: [headers(1, REQUEST), windowUpdate(1, 2 ** 31 - 1), windowUpdate(1, 2 ** 31 - 1)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.9.1 DATA above the stream window',
    send: [headers(1, REQUEST), ...Array.from({ length: 17 }, () => data(1, Buffer.alloc(16384)))],
    acceptor: new Inbox(false),
    expect: stream(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.9.1 padding is credited: the stream window does not run out of it',
    send: [
      headers(1, REQUEST),
      ...Array.from({ length: 1030 }, () =>
        data(1, Buffer.concat([Buffer.from([255]), Buffer.alloc(256)]), Flag.PADDED),
      ),
    ],
    acceptor: new Inbox(false),
    expect: 'fine',
  },
  {
    name: '6.9.2 SETTINGS_INITIAL_WINDOW_SIZE that lifts a stream window above 2^31-1',
    send: [
      headers(1, REQUEST),
      windowUpdate(1, 2 ** 31 - 1 - 65535),
      settings([Setting.INITIAL_WINDOW_SIZE, 65536]),
    ],
    acceptor: new Inbox(),
    expect: connection(ErrorCode.FLOW_CONTROL_ERROR),
  },
  {
    name: '6.10 CONTINUATION behind END_HEADERS',
    send: [headers(1, REQUEST), frame(CONTINUATION, 4, 1, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION of another stream',
    send: [headers(1, REQUEST, 0), frame(CONTINUATION, 4, 3, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION on stream 0',
    send: [headers(1, REQUEST, 0), frame(CONTINUATION, 4, 0, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 DATA in place of CONTINUATION',
    send: [headers(1, REQUEST, 0), data(1, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 a block in several CONTINUATION frames is legal, empty ones among them',
    send: [
      frame(HEADERS, Flag.END_STREAM, 1, BLOCK.subarray(0, 10)),
      frame(CONTINUATION, 0, 1, BLOCK.subarray(10, 40)),
      frame(CONTINUATION, 0, 1),
      frame(CONTINUATION, 4, 1, BLOCK.subarray(40)),
    ],
    expect: 'fine',
  },

  // 8 Expressing HTTP Semantics
  {
    name: '8.1 a second HEADERS without END_STREAM',
    send: [headers(1, REQUEST), headers(1, ['a', 'b'])],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '8.1 a pseudo-header field in trailers',
    send: [headers(1, REQUEST), headers(1, [':method', 'POST'], END)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '8.1 trailers are legal',
    send: [headers(1, REQUEST), data(1, '00'), headers(1, ['a', 'b'], END)],
    expect: 'fine',
  },
  {
    name: '8.1.1 less DATA than content-length',
    send: [headers(1, requestWith('content-length', '2')), data(1, '00', Flag.END_STREAM)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '8.1.1 less DATA than content-length, before trailers',
    send: [headers(1, requestWith('content-length', '2')), data(1, '00'), headers(1, ['a', 'b'], END)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '8.1.1 more DATA than content-length',
    send: [headers(1, requestWith('content-length', '2')), data(1, '0000'), data(1, '00', Flag.END_STREAM)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  malformed('8.1.1 content-length without DATA', requestWith('content-length', '1')),
  malformed('8.1.1 content-length that is no number', requestWith('content-length', '1x')),
  malformed('8.1.1 two different content-lengths', requestWith('content-length', '0', 'content-length', '1')),
  {
    name: '8.1.1 DATA of exactly content-length is legal',
    send: [headers(1, requestWith('content-length', '3')), data(1, '0000'), data(1, '00', Flag.END_STREAM)],
    expect: 'fine',
  },
  malformed('8.2.1 an upper case name', requestWith('X-A', 'b')),
  malformed('8.2.1 a name with a space', requestWith('x a', 'b')),
  malformed('8.2.1 a name with a colon', requestWith('x:a', 'b')),
  malformed('8.2.1 a name above 0x7f', requestWith('x\xe4', 'b')),
  malformed('8.2.1 an empty name', requestWith('', 'b')),
  malformed('8.2.1 a value with NUL', requestWith('a', 'b\0c')),
  malformed('8.2.1 a value with LF', requestWith('a', 'b\nc')),
  malformed('8.2.1 a value with CR', requestWith('a', 'b\rc')),
  malformed('8.2.1 a value that begins with a space', requestWith('a', ' b')),
  malformed('8.2.1 a value that ends with a tab', requestWith('a', 'b\t')),
  malformed('8.2.2 connection', requestWith('connection', 'close')),
  malformed('8.2.2 proxy-connection', requestWith('proxy-connection', 'close')),
  malformed('8.2.2 keep-alive', requestWith('keep-alive', '1')),
  malformed('8.2.2 transfer-encoding', requestWith('transfer-encoding', 'chunked')),
  malformed('8.2.2 upgrade', requestWith('upgrade', 'h2c')),
  malformed('8.2.2 te other than trailers', requestReplacing('te', 'trailers, deflate')),
  {
    name: '8.2.2 a connection-specific field in trailers',
    send: [headers(1, REQUEST), headers(1, ['connection', 'close'], END)],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  malformed('8.3 an unknown pseudo-header field', [':test', 'a', ...REQUEST]),
  malformed('8.3 a response pseudo-header field', [':status', '200', ...REQUEST]),
  malformed('8.3 a pseudo-header field behind a regular one', requestWith(':authority', 'x')),
  malformed('8.3 a pseudo-header field behind all others', ['a', 'b', ...REQUEST]),
  malformed('8.3.1 no :method', requestWithout(':method')),
  malformed('8.3.1 an empty :method', requestReplacing(':method', '')),
  malformed('8.3.1 no :scheme', requestWithout(':scheme')),
  malformed('8.3.1 no :path', requestWithout(':path')),
  malformed('8.3.1 an empty :path', requestReplacing(':path', '')),
  malformed('8.3.1 a :path that does not begin with a slash', requestReplacing(':path', 'a')),
  malformed('8.3.1 a second :method', [':method', 'POST', ...REQUEST]),
  malformed('8.3.1 a second :scheme', [':scheme', 'http', ...REQUEST]),
  malformed('8.3.1 a second :path', [':path', '/', ...REQUEST]),
  malformed('8.3.1 a second :authority', [':authority', 'x', ...REQUEST]),
  malformed('8.3.1 userinfo in :authority', requestReplacing(':authority', 'user@host')),
  malformed('8.5 CONNECT with :path', requestReplacing(':method', 'CONNECT')),
  malformed('8.5 CONNECT without :authority', [':method', 'CONNECT']),
];

for (const { name, send, expect, options, acceptor } of cases) {
  t.test(`RFC 9113 section ${name}`, async (t) => {
    const { address } = await startServer(t, acceptor ?? Echo, options);
    const peer = await RawPeer.client(address);
    t.teardown(() => peer.close());
    if (typeof send === 'function') await send(peer);
    else peer.send(...send);
    await assertExpectation(t, peer, expect);
  });
}

for (const [name, block] of BROKEN_BLOCKS) {
  t.test(`RFC 7541 section ${name} ends the connection`, async (t) => {
    const { address } = await startServer(t);
    const peer = await RawPeer.client(address);
    peer.send(frame(HEADERS, END, 1, block));
    await assertExpectation(t, peer, connection(ErrorCode.COMPRESSION_ERROR));
  });
}

const prefaces: readonly [string, Buffer][] = [
  ['an invalid preface', Buffer.from('INVALID CONNECTION PREFACE\r\n\r\n')],
  ['HTTP/1.1', Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')],
  ['a preface without SETTINGS', Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), PING])],
  [
    'a preface with an acknowledgement in place of SETTINGS',
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, Flag.ACK, 0)]),
  ],
];

for (const [name, bytes] of prefaces) {
  t.test(`RFC 9113 section 3.4 ${name}`, async (t) => {
    const { address } = await startServer(t);
    const peer = await RawPeer.connect(address);
    peer.send(bytes);
    t.equal(await peer.goAwayCode(), ErrorCode.PROTOCOL_ERROR);
  });
}

t.test('RFC 9113 section 3.4: a preface octet by octet is legal', async (t) => {
  const { address } = await startServer(t);
  const peer = await RawPeer.connect(address);
  t.teardown(() => peer.close());
  const bytes = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    settings(),
    headers(1, REQUEST, END),
  ]);
  peer.socket.setNoDelay(true);
  for (let i = 0; i < bytes.length; i++) {
    await new Promise((resolve) => peer.socket.write(bytes.subarray(i, i + 1), resolve));
  }
  await peer.next((f) => f.type === DATA || (f.flags & Flag.END_STREAM) !== 0);
  t.strictSame(peer.objections, []);
});
