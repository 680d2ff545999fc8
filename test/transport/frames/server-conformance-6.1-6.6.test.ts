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
  Setting,
  settings,
} from '../../support/frame.js';
import { FramePeer } from '../../support/frame-peer.js';
import { fieldBlock } from '../../support/hpack.js';
import { connection, stream, testServer } from './conformance-cases.js';
import { Inbox, startServer } from './fixtures.js';

const { HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE } = FrameType;
const BLOCK = fieldBlock(REQUEST);

/** Frame definitions (RFC 9113 sections 6.1 to 6.6). */

t.test('RFC 9113 section 6.5.3: the values of one SETTINGS frame count in their order', async (t) => {
  const { address } = await startServer(t, {
    onStream(stream) {
      stream.sendHeaders([':status', '200'], false);
      stream.sendData(Buffer.alloc(10), true);
    },
  });
  const peer = await FramePeer.client(
    address,
    [Setting.INITIAL_WINDOW_SIZE, 100],
    [Setting.INITIAL_WINDOW_SIZE, 3],
  );
  t.teardown(() => peer.destroy());
  peer.send(headers(1, REQUEST, END));
  t.equal((await peer.nextOf(1, FrameType.DATA)).payload.length, 3);
});

testServer([
  { name: '6.1 DATA on stream 0', send: [data(0, '00')], expect: connection(ErrorCode.PROTOCOL_ERROR) },
  {
    name: '6.1 DATA with as much padding as payload',
    send: [headers(1, REQUEST), data(1, '06 0000000000', Flag.PADDED)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.1 DATA with more padding than payload',
    send: [headers(1, REQUEST), data(1, 'ff 0000000000', Flag.PADDED)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.1 DATA that is all padding is legal',
    send: [headers(1, REQUEST), data(1, '05 0000000000', Flag.PADDED), data(1, '00', Flag.PADDED)],
    expect: 'fine',
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
    name: '6.2 HEADERS with as much padding as payload',
    send: [frame(HEADERS, END | Flag.PADDED, 1, Buffer.concat([Buffer.from([BLOCK.length + 1]), BLOCK]))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS with more padding than is left behind the priority fields',
    send: [frame(HEADERS, END | Flag.PADDED | Flag.PRIORITY, 1, '03 0000000000 0000')],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 HEADERS that are all padding hold no field: a malformed request',
    send: [frame(HEADERS, END | Flag.PADDED | Flag.PRIORITY, 1, '02 0000000000 0000')],
    expect: stream(ErrorCode.PROTOCOL_ERROR),
  },
  {
    name: '6.2 padded HEADERS without a pad length',
    send: [frame(HEADERS, END | Flag.PADDED, 1)],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.2 padded HEADERS too short for their priority fields',
    send: [frame(HEADERS, END | Flag.PADDED | Flag.PRIORITY, 1, '00 00000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
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
    name: '6.3 PRIORITY longer than 5',
    send: [headers(1, REQUEST), frame(PRIORITY, 0, 1, '000000000000')],
    acceptor: new Inbox(),
    expect: stream(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.3 PRIORITY that makes a stream depend on itself is ignored, as all of its content',
    send: [headers(1, REQUEST), frame(PRIORITY, 0, 1, '0000000110')],
    acceptor: new Inbox(),
    expect: 'fine',
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
    name: '6.4 RST_STREAM longer than 4',
    send: [headers(1, REQUEST), frame(RST_STREAM, 0, 1, '0000000000')],
    expect: connection(ErrorCode.FRAME_SIZE_ERROR),
  },
  {
    name: '6.5 SETTINGS acknowledgement on a stream',
    send: [headers(1, REQUEST), frame(SETTINGS, Flag.ACK, 1)],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
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
  {
    name: '6.5.2 the ends of all ranges are legal',
    send: [
      settings(
        [Setting.HEADER_TABLE_SIZE, 0],
        [Setting.HEADER_TABLE_SIZE, 2 ** 32 - 1],
        [Setting.ENABLE_PUSH, 0],
        [Setting.ENABLE_PUSH, 1],
        [Setting.MAX_CONCURRENT_STREAMS, 0],
        [Setting.MAX_CONCURRENT_STREAMS, 2 ** 32 - 1],
        [Setting.INITIAL_WINDOW_SIZE, 0],
        [Setting.INITIAL_WINDOW_SIZE, 2 ** 31 - 1],
        [Setting.MAX_FRAME_SIZE, 16384],
        [Setting.MAX_FRAME_SIZE, 2 ** 24 - 1],
        [Setting.MAX_HEADER_LIST_SIZE, 0],
        [Setting.MAX_HEADER_LIST_SIZE, 2 ** 32 - 1],
      ),
      headers(1, REQUEST, END),
    ],
    expect: 'fine',
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
    name: '6.6 PUSH_PROMISE on stream 0',
    send: [frame(PUSH_PROMISE, 4, 0, Buffer.concat([Buffer.from([0, 0, 0, 2]), BLOCK]))],
    expect: connection(ErrorCode.PROTOCOL_ERROR),
  },
]);
