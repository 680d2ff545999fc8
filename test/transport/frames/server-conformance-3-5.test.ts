import t from 'tap';
import { ErrorCode, Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import { connection, END, requestReplacing, requestWith, stream, testServer } from './conformance-cases.js';
import { Inbox, startServer } from './fixtures.js';
import {
  data,
  fieldBlock,
  frame,
  headers,
  PING,
  RawPeer,
  REQUEST,
  resetStream,
  settings,
  windowUpdate,
} from './raw-peer.js';

const { DATA, HEADERS, PRIORITY, SETTINGS, CONTINUATION } = FrameType;
const BLOCK = fieldBlock(REQUEST);

/** How connections begin, frames, and streams (RFC 9113 sections 3 to 5). */

/** Makes a request that is answered completely, so that stream 1 is closed on both sides. */
async function complete(peer: RawPeer): Promise<void> {
  peer.send(headers(1, REQUEST, END));
  await peer.next((f) => f.streamId === 1 && (f.flags & Flag.END_STREAM) !== 0);
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

testServer([
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
]);
