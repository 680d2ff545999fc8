import t from 'tap';
import type { HeaderList } from '../../../lib/port/headers.js';
import { REQUEST, RESPONSE } from '../../support/fields.js';
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
import { Call } from './fixtures.js';
import { openCall, openIncoming } from './stream-cases.js';

/** Why streams end before their time, as their receivers are told. */

const found: readonly [text: string, code: number, ...frames: Buffer[]][] = [
  ['DATA before HEADERS', ErrorCode.PROTOCOL_ERROR, data(1, '00')],
  ['DATA behind END_STREAM', ErrorCode.STREAM_CLOSED, headers(1, RESPONSE, END), data(1, '00')],
  [
    'HEADERS behind END_STREAM',
    ErrorCode.STREAM_CLOSED,
    headers(1, RESPONSE, END),
    headers(1, RESPONSE, END),
  ],
  [
    'more DATA than content-length says',
    ErrorCode.PROTOCOL_ERROR,
    headers(1, [...RESPONSE, 'content-length', '1']),
    data(1, '0000'),
  ],
  [
    'less DATA than content-length says',
    ErrorCode.PROTOCOL_ERROR,
    headers(1, [...RESPONSE, 'content-length', '1']),
    data(1, '', Flag.END_STREAM),
  ],
  [
    'less DATA than content-length says',
    ErrorCode.PROTOCOL_ERROR,
    headers(1, [...RESPONSE, 'content-length', '1'], END),
  ],
  [
    "DATA above the stream's window",
    ErrorCode.FLOW_CONTROL_ERROR,
    headers(1, RESPONSE),
    ...Array.from({ length: 17 }, () => data(1, Buffer.alloc(16384))),
  ],
  ['WINDOW_UPDATE of 0', ErrorCode.PROTOCOL_ERROR, windowUpdate(1, 0)],
  ['stream window above 2^31-1', ErrorCode.FLOW_CONTROL_ERROR, windowUpdate(1, 2 ** 31 - 1)],
  [
    'PRIORITY of another length than 5',
    ErrorCode.FRAME_SIZE_ERROR,
    frame(FrameType.PRIORITY, 0, 1, '00000000'),
  ],
  [
    'too many interim responses',
    ErrorCode.ENHANCE_YOUR_CALM,
    ...Array.from({ length: 20 }, () => headers(1, [':status', '103'])),
  ],
  ['an interim response with END_STREAM', ErrorCode.PROTOCOL_ERROR, headers(1, [':status', '103'], END)],
  ['a response without a :status that may be', ErrorCode.PROTOCOL_ERROR, headers(1, ['a', 'b'])],
  [
    'a response with a character that no field may hold',
    ErrorCode.PROTOCOL_ERROR,
    headers(1, [...RESPONSE, 'a', 'b\n']),
  ],
  [
    'a response with the connection-specific field upgrade',
    ErrorCode.PROTOCOL_ERROR,
    headers(1, [...RESPONSE, 'upgrade', 'h2c']),
  ],
  [
    'trailers with a pseudo-header field where none may be',
    ErrorCode.PROTOCOL_ERROR,
    headers(1, RESPONSE),
    headers(1, [':status', '200'], END),
  ],
  [
    'trailers with a character that no field may hold',
    ErrorCode.PROTOCOL_ERROR,
    headers(1, RESPONSE),
    headers(1, ['a', 'b\0'], END),
  ],
  ['trailers without END_STREAM', ErrorCode.PROTOCOL_ERROR, headers(1, RESPONSE), headers(1, ['a', 'b'])],
];

for (const [text, code, ...frames] of found) {
  t.test(`the receiver is told of ${text}`, async (t) => {
    const { call, peer } = await openCall(t, false);
    peer.send(...frames);
    await call.until((c) => c.reset !== undefined);
    t.strictSame(call.reset, { code, by: 'local', text, lost: undefined });
    t.equal(await peer.resetCode(1), code);
  });
}

t.test('the receiver is told of a header list that is too large', async (t) => {
  const { recorder, peer } = await openIncoming(t, true);
  const value = Buffer.alloc(16_000, 'x').toString();
  const block = ['a', value, 'b', value, 'c', value, 'd', value, 'e', value];
  const fields = headers(1, block).subarray(9);
  peer.send(frame(FrameType.HEADERS, Flag.END_STREAM, 1, fields.subarray(0, 16_000)));
  for (let at = 16_000; at < fields.length; at += 16_000) {
    const flags = at + 16_000 >= fields.length ? Flag.END_HEADERS : 0;
    peer.send(frame(FrameType.CONTINUATION, flags, 1, fields.subarray(at, at + 16_000)));
  }
  await recorder.done();
  const text = 'header list too large';
  t.strictSame(recorder.reset, { code: ErrorCode.ENHANCE_YOUR_CALM, by: 'local', text, lost: undefined });
});

t.test("a peer's RST_STREAM has its code, and no text", async (t) => {
  const { call, peer } = await openCall(t);
  peer.send(resetStream(1, ErrorCode.REFUSED_STREAM));
  await call.done();
  const code = ErrorCode.REFUSED_STREAM;
  t.strictSame(call.reset, { code, by: 'peer', text: undefined, lost: undefined });
});

const unsendable: readonly [what: string, fields: HeaderList, text: RegExp][] = [
  ['a line feed in a value', ['x-a', 'b\nc'], /NUL, CR, LF/],
  ['a NUL in a long value', ['x-a', `${'b'.repeat(100)}\0`], /NUL, CR, LF/],
  ['a character above U+00FF', ['x-a', 'ā'], /above U\+00FF/],
  ['a character above U+00FF in a long value', ['x-a', `${'b'.repeat(100)}ā`], /above U\+00FF/],
  ['an upper case name', ['X-A', 'b'], /must not be called "X-A"/],
  ['a connection-specific field', ['connection', 'close'], /must not be called "connection"/],
  ['a name without a value', ['x-a'], /no text/],
];

for (const [what, fields, text] of unsendable) {
  t.test(`headers with ${what} end the stream`, async (t) => {
    const { recorder, stream, peer } = await openIncoming(t, true);
    stream.sendHeaders([...RESPONSE, 'x-before', '1', ...fields, 'x-behind', '2'], false);
    t.equal(recorder.reset, undefined, 'which is told later');
    await recorder.done();
    t.match(recorder.reset, { code: ErrorCode.INTERNAL_ERROR, by: 'local', text, lost: undefined });
    t.equal(await peer.resetCode(1), ErrorCode.INTERNAL_ERROR);
    t.notOk(peer.frames.some((f) => f.streamId === 1));
  });
}

t.test('trailers that cannot be sent end the stream, behind the data before them', async (t) => {
  const { recorder, stream, peer } = await openIncoming(t, true);
  stream.sendHeaders(RESPONSE, false);
  stream.sendData(Buffer.alloc(70_000), false);
  stream.sendHeaders(['x-a', '\r'], true);
  peer.send(windowUpdate(0, 70_000), windowUpdate(1, 70_000));
  t.equal(await peer.resetCode(1), ErrorCode.INTERNAL_ERROR);
  await recorder.done();
  t.equal(recorder.reset?.by, 'local');
});

t.test(
  'a request that cannot be sent ends its stream alone, and the next one is decoded right',
  async (t) => {
    const { peer, transport } = await openCall(t);
    const call = new Call(transport, [...REQUEST, 'x-a', 'b', 'x-c', 'd\n'], true);
    await call.done();
    t.match(call.reset, { code: ErrorCode.INTERNAL_ERROR, by: 'local' });
    new Call(transport, [...REQUEST, 'x-a', 'b'], true);
    new Call(transport, [...REQUEST, 'x-a', 'b'], true);
    for (const id of [5, 7]) t.strictSame(await peer.nextHeaders(id), [...REQUEST, 'x-a', 'b']);
    t.strictSame(peer.objections, [], 'and the peer has heard nothing of it');
  },
);
