import { ErrorCode, Flag, FrameType } from '../../../lib/transport/frames/frame.js';
import { Setting } from '../../../lib/transport/frames/settings.js';
import { connection, END, stream, testServer } from './conformance-cases.js';
import { Inbox } from './fixtures.js';
import {
  data,
  fieldBlock,
  frame,
  goAway,
  headers,
  PING,
  REQUEST,
  resetStream,
  settings,
  windowUpdate,
} from './raw-peer.js';

const { HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, WINDOW_UPDATE, CONTINUATION } =
  FrameType;
const BLOCK = fieldBlock(REQUEST);

/** Frame definitions (RFC 9113 section 6). */

testServer([
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
]);
