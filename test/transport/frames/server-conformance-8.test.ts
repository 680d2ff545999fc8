import { ErrorCode, Flag } from '../../../lib/transport/frames/frame.js';
import {
  type Case,
  END,
  requestReplacing,
  requestWith,
  requestWithout,
  stream,
  testServer,
} from './conformance-cases.js';
import { Inbox } from './fixtures.js';
import { data, headers, REQUEST } from './raw-peer.js';

/** HTTP semantics (RFC 9113 section 8). */

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
]);
