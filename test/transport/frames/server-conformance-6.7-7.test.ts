import t from 'tap';
import { REQUEST } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  Flag,
  FrameType,
  frame,
  goAway,
  headers,
  PING,
  resetStream,
  Setting,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { fieldBlock } from '../../support/hpack.js';
import { connection, stream, testServer } from './conformance-cases.js';
import { Inbox, startServer } from './fixtures.js';

const { HEADERS, PRIORITY, GOAWAY, WINDOW_UPDATE, CONTINUATION } = FrameType;
const BLOCK = fieldBlock(REQUEST);

/** Frame definitions (RFC 9113 sections 6.7 to 6.10), and error codes (section 7). */

t.test("RFC 9113 section 6.8: frames of streams above the last one of this side's GOAWAY", async (t) => {
  const inbox = new Inbox();
  const { address, transport } = await startServer(t, inbox);
  const peer = await FramePeer.client(address);
  t.teardown(() => peer.destroy());
  peer.send(headers(1, REQUEST));
  await inbox.at(0);
  void transport.close();
  const ping = await peer.nextOf(0, FrameType.PING);
  peer.send(frame(FrameType.PING, Flag.ACK, 0, ping.payload));
  await peer.next((f) => f.type === GOAWAY && f.payload.readUInt32BE(0) === 1);
  peer.send(
    frame(HEADERS, Flag.END_HEADERS, 3, Buffer.concat([BLOCK, Buffer.from('40036b65790161', 'hex')])),
    data(3, '00'),
    windowUpdate(3, 1),
    headers(3, ['a', 'b'], END),
    headers(5, REQUEST),
    resetStream(5, 8),
  );
  await peer.roundTrip();
  t.strictSame(peer.objections, [], 'are ignored');
  t.equal(inbox.streams.length, 1);
  peer.send(frame(HEADERS, END, 1, 'be'));
  await inbox.streams[0]!.done();
  t.strictSame(inbox.streams[0]!.trailers ?? inbox.streams[0]!.headers, ['key', 'a'], 'but decoded');
});

testServer([
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
    name: '6.7 PING longer than 8',
    send: [frame(FrameType.PING, 0, 0, '00'.repeat(9))],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.7 a PING acknowledgement on a stream',
    send: [headers(1, REQUEST), frame(FrameType.PING, Flag.ACK, 1, '00'.repeat(8))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.7 a PING acknowledgement of another length than 8',
    send: [frame(FrameType.PING, Flag.ACK, 0, '00'.repeat(7))],
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
    name: '6.8 GOAWAY with debug data is legal',
    send: [headers(1, REQUEST), frame(GOAWAY, 0, 0, `${'00'.repeat(8)}616263`)],
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
    name: '6.9 WINDOW_UPDATE longer than 4, for a stream',
    send: [headers(1, REQUEST), frame(WINDOW_UPDATE, 0, 1, '0000000100')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.9 the reserved bit of an increment is ignored: 0 for the connection',
    send: [windowUpdate(0, 2 ** 31)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.9 the reserved bit of an increment is ignored: 1 is legal',
    send: [windowUpdate(0, 2 ** 31 + 1)],
    expect: 'fine',
  },
  {
    name: '6.9.1 windows of exactly 2^31-1 are legal',
    send: [
      headers(1, REQUEST),
      windowUpdate(0, 2 ** 31 - 1 - 65535),
      windowUpdate(1, 2 ** 31 - 1 - 65535),
      headers(3, REQUEST),
      windowUpdate(3, 2 ** 31 - 1 - 65536),
      settings([Setting.INITIAL_WINDOW_SIZE, 65535]),
      resetStream(1, 8),
      settings([Setting.INITIAL_WINDOW_SIZE, 65536]),
    ],
    acceptor: new Inbox(),
    expect: 'fine',
  },
  {
    name: '6.9.1 DATA of exactly the stream window is legal',
    send: [headers(1, REQUEST), ...Array.from({ length: 16 }, () => data(1, Buffer.alloc(16384)))],
    acceptor: new Inbox(false),
    expect: 'fine',
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
    name: '6.10 CONTINUATION without END_HEADERS behind END_HEADERS',
    send: [headers(1, REQUEST), frame(CONTINUATION, 0, 1, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION behind CONTINUATION with END_HEADERS',
    send: [
      frame(HEADERS, Flag.END_STREAM, 1, BLOCK.subarray(0, 10)),
      frame(CONTINUATION, 4, 1, BLOCK.subarray(10)),
      frame(CONTINUATION, 4, 1, fieldBlock(['a', 'b'])),
    ],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 CONTINUATION behind DATA',
    send: [headers(1, REQUEST), data(1, '00'), frame(CONTINUATION, 4, 1, fieldBlock(['a', 'b']))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.10 PRIORITY between two CONTINUATION frames',
    send: [
      headers(1, REQUEST, 0),
      frame(CONTINUATION, 0, 1, fieldBlock(['a', 'b'])),
      frame(PRIORITY, 0, 1, '0000000000'),
    ],
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

  // 7 Error Codes
  {
    name: '7 an unknown error code in RST_STREAM is like any other',
    send: async (peer) => {
      peer.send(headers(1, REQUEST), resetStream(1, 0xdeadbeef), headers(3, REQUEST, END));
      await peer.nextOf(3, HEADERS);
    },
    expect: 'fine',
  },
  {
    name: '7 an unknown error code in GOAWAY is like any other',
    send: [headers(1, REQUEST), goAway(0, 0xdeadbeef), data(1, '00', Flag.END_STREAM)],
    acceptor: new Inbox(),
    expect: 'fine',
  },
]);
