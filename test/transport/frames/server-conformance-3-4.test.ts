import t from 'tap';
import { REQUEST } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  headers,
  PING,
  resetStream,
  settings,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { fieldBlock } from '../../support/hpack.js';
import { connection, requestWith, requestWithout, testServer } from './conformance-cases.js';
import { Inbox, startServer } from './fixtures.js';

const { DATA, HEADERS, PRIORITY, SETTINGS, CONTINUATION } = FrameType;
const BLOCK = fieldBlock(REQUEST);

/** How connections begin, and frames (RFC 9113 sections 3 and 4). */

const prefaces: readonly [string, Buffer][] = [
  ['an invalid preface', Buffer.from('INVALID CONNECTION PREFACE\r\n\r\n')],
  ['a preface whose last octet is another', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\0')],
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
    const peer = await FramePeer.connect(address);
    peer.send(bytes);
    t.equal(await peer.goAwayCode(), ErrorCode.PROTOCOL_ERROR);
  });
}

t.test('RFC 9113 section 3.4: a preface octet by octet is legal', async (t) => {
  const { address } = await startServer(t);
  const peer = await FramePeer.connect(address);
  t.teardown(() => peer.destroy());
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

/** Field blocks, of which the first adds an entry to the dynamic table, and the second refers to it. */
const indexing = Buffer.concat([BLOCK, Buffer.from('40 03 782d61 01 62'.replaceAll(' ', ''), 'hex')]);
const indexed = Buffer.concat([BLOCK, Buffer.from([0xbe])]);

t.test("RFC 9113 section 3.4: the server's first frame is SETTINGS", async (t) => {
  const { address } = await startServer(t);
  const peer = await FramePeer.connect(address);
  t.teardown(() => peer.destroy());
  const first = await peer.next(() => true);
  t.equal(first.type, SETTINGS);
  t.equal(first.flags, 0);
});

testServer([
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
    name: '4.1 undefined flags of frames that define some are ignored',
    send: [
      frame(HEADERS, Flag.END_HEADERS | 0xd2, 1, BLOCK),
      data(1, '00', 0xf6),
      frame(SETTINGS, 0xfe, 0),
      frame(FrameType.WINDOW_UPDATE, 0xff, 1, '00000001'),
      frame(PRIORITY, 0xff, 1, '0000000000'),
      data(1, '', Flag.END_STREAM),
    ],
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
    name: '4.2 CONTINUATION larger than SETTINGS_MAX_FRAME_SIZE',
    send: [headers(1, REQUEST, 0), frame(CONTINUATION, 4, 1, Buffer.alloc(16385))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '4.2 SETTINGS larger than SETTINGS_MAX_FRAME_SIZE',
    send: [frame(SETTINGS, 0, 0, Buffer.alloc(16386))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '4.2 a frame of unknown type larger than SETTINGS_MAX_FRAME_SIZE',
    send: [frame(0x16, 0, 1, Buffer.alloc(16385))],
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
    name: '4.3 a field block in CONTINUATION that cannot be decompressed',
    send: [headers(1, REQUEST, 0), frame(CONTINUATION, 4, 1, 'bf')],
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  {
    name: '4.3 trailers that cannot be decompressed',
    send: [headers(1, REQUEST), frame(HEADERS, END, 1, 'bf')],
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  {
    name: "4.3 a field block behind this side's RST_STREAM that cannot be decompressed",
    send: async (peer) => {
      peer.send(headers(1, requestWithout(':path')));
      await peer.resetCode(1);
      peer.send(frame(HEADERS, END, 1, 'bf'));
    },
    expect: connection(ErrorCode.COMPRESSION_ERROR),
  },
  {
    name: '4.3 the field block of a refused stream is decoded: what it adds to the table is there',
    send: async (peer) => {
      peer.send(headers(1, REQUEST), frame(HEADERS, END, 3, indexing));
      if ((await peer.resetCode(3)) !== ErrorCode.REFUSED_STREAM) throw new Error('not refused');
      peer.send(resetStream(1, 8), frame(HEADERS, END, 5, indexed));
    },
    acceptor: new Inbox(),
    options: { limits: { maxConcurrentStreams: 1 } },
    expect: 'fine',
  },
  {
    name: '4.3 PING inside a field block',
    send: [headers(1, REQUEST, 0), PING],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
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
]);
