import { REQUEST } from '../../support/fields.js';
import { data, END, ErrorCode, Flag, FrameType, frame, headers } from '../../support/frame.js';
import { fieldBlock } from '../../support/hpack.js';
import {
  type Case,
  ILLEGAL_FIELDS,
  ILLEGAL_LENGTHS,
  requestReplacing,
  requestWith,
  requestWithout,
  stream,
  testServer,
} from './conformance-cases.js';
import { Inbox } from './fixtures.js';

/** HTTP semantics (RFC 9113 section 8). */

/** A request, and one more field as HPACK has it. */
function requestEndingIn(streamId: number, field: string): Buffer {
  const block = Buffer.concat([fieldBlock(REQUEST), Buffer.from(field, 'hex')]);
  return frame(FrameType.HEADERS, END, streamId, block);
}

function malformed(name: string, fields: string[]): Case {
  return { name, send: [headers(1, fields, END)], expect: stream(ErrorCode.PROTOCOL_ERROR) };
}

testServer([
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
  ...ILLEGAL_LENGTHS.map(([name, ...fields]) => malformed(name, requestWith(...fields))),
  {
    name: '8.1.1 DATA of exactly content-length is legal',
    send: [headers(1, requestWith('content-length', '3')), data(1, '0000'), data(1, '00', Flag.END_STREAM)],
    expect: 'fine',
  },
  {
    name: '8.1.1 padding is no part of content-length',
    send: [
      headers(1, requestWith('content-length', '1', 'content-length', '1')),
      data(1, '02 00 0000', Flag.END_STREAM | Flag.PADDED),
    ],
    expect: 'fine',
  },
  {
    name: '8.1.1 content-length 0 without DATA is legal',
    send: [headers(1, requestWith('content-length', '0'), END)],
    expect: 'fine',
  },
  ...ILLEGAL_FIELDS.map(([name, ...field]) => malformed(name, requestWith(...field))),
  ...ILLEGAL_FIELDS.map(
    ([name, ...field]): Case => ({
      name: `${name}, in trailers`,
      send: [headers(1, REQUEST), headers(1, field, END)],
      acceptor: new Inbox(),
      expect: stream(ErrorCode.PROTOCOL_ERROR),
    }),
  ),
  {
    name: '8.2.1 an illegal field by its index in the dynamic table',
    send: async (peer) => {
      peer.send(requestEndingIn(1, '4003582d410162'));
      await peer.resetCode(1);
      peer.send(requestEndingIn(3, 'be'));
    },
    expect: stream(ErrorCode.PROTOCOL_ERROR, 3),
  },
  {
    name: '8.2.1 an illegal name by its index in the dynamic table',
    send: async (peer) => {
      peer.send(requestEndingIn(1, '4003582d410162'));
      await peer.resetCode(1);
      peer.send(requestEndingIn(3, '0f2f0163'));
    },
    expect: stream(ErrorCode.PROTOCOL_ERROR, 3),
  },
  {
    name: '8.2.1 whitespace and octets above 0x7f inside a value are legal, and an empty value',
    send: [headers(1, requestWith('a', 'b \t\x80\xffc', 'd', ''), END)],
    expect: 'fine',
  },
  malformed('8.3 an unknown pseudo-header field', [':test', 'a', ...REQUEST]),
  malformed('8.3 :protocol, which RFC 8441 defines and this server has not announced', [
    ':protocol',
    'a',
    ...REQUEST,
  ]),
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
  malformed('8.3.1 a :method that is no token', requestReplacing(':method', 'PO ST')),
  malformed('8.3.1 an empty :scheme', requestReplacing(':scheme', '')),
  malformed('8.3.1 a :scheme that is none', requestReplacing(':scheme', '1http:')),
  malformed('8.3.1 a :path with a space', requestReplacing(':path', '/a b')),
  malformed('8.3.1 a :path with a control character', requestReplacing(':path', '/a\x7f')),
  malformed('8.3.1 a :path of * without OPTIONS', requestReplacing(':path', '*')),
  malformed('8.3.1 an :authority with a space', requestReplacing(':authority', 'a b')),
  malformed('8.3.1 userinfo in :authority', requestReplacing(':authority', 'user@host')),
  {
    name: '8.3.1 host other than :authority is let through: gRPC discards it',
    send: [headers(1, requestWith('host', 'elsewhere'), END)],
    expect: 'fine',
  },
  {
    name: '8.3.1 host in place of :authority is legal',
    send: [headers(1, [...requestWithout(':authority'), 'host', 'elsewhere'], END)],
    expect: 'fine',
  },
  {
    name: '8.3.1 OPTIONS *, any method and any scheme are legal',
    send: [
      headers(1, [':method', 'OPTIONS', ':scheme', 'http', ':path', '*'], END),
      headers(3, [':method', "M-0'x", ':scheme', 'coap+tcp', ':path', '/'], END),
    ],
    expect: 'fine',
  },
  malformed('8.5 CONNECT with :scheme and :path', requestReplacing(':method', 'CONNECT')),
  malformed('8.5 CONNECT with :scheme', [':method', 'CONNECT', ':authority', 'a:1', ':scheme', 'http']),
  malformed('8.5 CONNECT with :path', [':method', 'CONNECT', ':authority', 'a:1', ':path', '/']),
  malformed('8.5 CONNECT without :authority', [':method', 'CONNECT']),
  {
    name: '8.5 CONNECT with :authority alone is legal',
    send: [headers(1, [':method', 'CONNECT', ':authority', 'localhost:80'], END)],
    expect: 'fine',
  },
]);
