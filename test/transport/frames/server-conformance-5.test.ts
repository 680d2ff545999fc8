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
  resetStream,
  windowUpdate,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { fieldBlock } from '../../support/hpack.js';
import { connection, requestReplacing, requestWithout, stream, testServer } from './conformance-cases.js';
import { Inbox, startServer } from './fixtures.js';

const { PRIORITY, CONTINUATION } = FrameType;
const BLOCK = fieldBlock(REQUEST);

/** Streams (RFC 9113 section 5). */

/** Makes a request that is answered completely, so that its stream is closed on both sides. */
async function complete(peer: FramePeer, streamId = 1): Promise<void> {
  peer.send(headers(streamId, REQUEST, END));
  await peer.next((f) => f.streamId === streamId && (f.flags & Flag.END_STREAM) !== 0);
}

t.test('RFC 9113 section 5.4.1: GOAWAY names the last stream, and the connection is closed', async (t) => {
  const { address } = await startServer(t, new Inbox());
  const peer = await FramePeer.client(address);
  peer.send(headers(1, REQUEST), headers(5, REQUEST), frame(FrameType.PING, 0, 0, '00'));
  const { payload } = await peer.nextOf(0, FrameType.GOAWAY);
  t.equal(payload.readUInt32BE(0), 5);
  t.equal(payload.readUInt32BE(4), ErrorCode.FRAME_SIZE_ERROR);
  await peer.closed;
});

testServer([
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
  {
    name: "5.1 idle, of the server's: DATA",
    send: [headers(1, REQUEST), data(2, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: "5.1 idle, of the server's: RST_STREAM",
    send: [headers(3, REQUEST), resetStream(2, 8)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: "5.1 idle, of the server's: WINDOW_UPDATE",
    send: [headers(3, REQUEST), windowUpdate(2, 1)],
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
    name: '5.1 closed by RST_STREAM: CONTINUATION',
    send: [headers(1, REQUEST), resetStream(1, 8), frame(CONTINUATION, 4, 1, BLOCK)],
    acceptor: new Inbox(),
    expect: connection(ErrorCode.PROTOCOL_ERROR),
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
    name: '5.1 closed by END_STREAM, and not the last stream that was: HEADERS',
    send: async (peer) => {
      await complete(peer, 1);
      await complete(peer, 3);
      peer.send(headers(1, REQUEST, END));
    },
    expect: connection(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1 closed by END_STREAM: CONTINUATION',
    send: async (peer) => {
      await complete(peer);
      peer.send(frame(CONTINUATION, 4, 1, BLOCK));
    },
    expect: connection(ErrorCode.PROTOCOL_ERROR),
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
    name: '5.1 closed by the engine, many streams: what was on its way is ignored',
    send: async (peer) => {
      const ids = Array.from({ length: 100 }, (_, i) => 2 * i + 1);
      for (const id of ids) {
        peer.send(headers(id, requestWithout(':path')));
        await peer.resetCode(id);
      }
      for (const id of ids) peer.send(data(id, '00'), headers(id, ['a', 'b'], END));
    },
    expect: 'fine',
  },
  {
    name: '5.1 closed by the engine: DATA counts toward the connection window, which is credited',
    send: async (peer) => {
      peer.send(headers(1, requestWithout(':path')));
      await peer.resetCode(1);
      peer.frames.length = 0;
      peer.send(...Array.from({ length: 40 }, () => data(1, Buffer.alloc(16384))));
      const { payload } = await peer.nextOf(0, FrameType.WINDOW_UPDATE);
      if (payload.readUInt32BE(0) % 16384 !== 0) throw new Error('another amount');
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
    name: '5.1.1 PRIORITY opens no stream: HEADERS on a lower one are legal',
    send: async (peer) => {
      peer.send(frame(PRIORITY, 0, 5, '0000000000'));
      await complete(peer, 3);
    },
    expect: 'fine',
  },
  {
    name: '5.1.1 a stream that was skipped is closed: DATA',
    send: [headers(3, REQUEST), data(1, '00')],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.STREAM_CLOSED),
  },
  {
    name: '5.1.1 a stream that was skipped is closed: WINDOW_UPDATE, PRIORITY and RST_STREAM are legal',
    send: [headers(3, REQUEST), windowUpdate(1, 1), frame(PRIORITY, 0, 1, '0000000000'), resetStream(1, 8)],
    acceptor: new Inbox(),
    expect: 'fine',
  },
  {
    name: '5.1.2 a stream above SETTINGS_MAX_CONCURRENT_STREAMS',
    send: [headers(1, REQUEST), headers(3, REQUEST), headers(5, REQUEST)],
    acceptor: new Inbox(),
    options: { limits: { maxConcurrentStreams: 2 } },
    expect: stream(ErrorCode.REFUSED_STREAM, 5),
  },
  {
    name: '5.1.2 streams that have ended leave room for others',
    send: async (peer) => {
      await complete(peer);
      peer.send(headers(3, REQUEST), resetStream(3, 8), headers(5, requestWithout(':path')));
      await peer.resetCode(5);
      peer.send(headers(7, REQUEST));
      await peer.nextOf(7, FrameType.HEADERS);
    },
    options: { limits: { maxConcurrentStreams: 1 } },
    expect: 'fine',
  },
  {
    name: '5.4.2 RST_STREAM is not answered by RST_STREAM',
    send: [headers(1, REQUEST), resetStream(1, 8), resetStream(1, 8)],
    acceptor: new Inbox(),
    expect: 'fine',
  },
  {
    name: '5.5 a frame of unknown type inside a field block',
    send: [headers(1, REQUEST, 0), frame(0x16, 0, 1, '00')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
]);
