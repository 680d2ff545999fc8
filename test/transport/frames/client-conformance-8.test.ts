import { ErrorCode, Flag } from '../../../lib/transport/frames/frame.js';
import { type Case, END, stream, testClient } from './conformance-cases.js';
import { data, headers } from './raw-peer.js';

const RESPONSE = [':status', '200', 'content-type', 'application/grpc'];

/** HTTP semantics (RFC 9113 section 8). */

const streamError = stream(ErrorCode.PROTOCOL_ERROR);

function malformed(name: string, fields: string[], flags: number = END): Case {
  return { name, send: [headers(1, fields, flags)], expect: streamError };
}

testClient([
  { name: '8.1 DATA before HEADERS', send: [data(1, '00')], expect: streamError },
  {
    name: '8.1 a second final HEADERS without END_STREAM',
    send: [headers(1, RESPONSE), headers(1, ['a', 'b'])],
    expect: streamError,
  },
  {
    name: '8.1 a pseudo-header field in trailers',
    send: [headers(1, RESPONSE), headers(1, [':status', '200'], END)],
    expect: streamError,
  },
  malformed('8.1 an interim response with END_STREAM', [':status', '100']),
  {
    name: '8.1 interim responses are legal',
    send: [headers(1, [':status', '100']), headers(1, [':status', '103', 'a', 'b']), headers(1, RESPONSE)],
    expect: 'fine',
  },
  {
    name: '8.1 interim responses without end',
    send: Array.from({ length: 20 }, () => headers(1, [':status', '103'])),
    expect: { stream: 1, code: ErrorCode.ENHANCE_YOUR_CALM },
  },
  {
    name: '8.1.1 less DATA than content-length',
    send: [headers(1, [...RESPONSE, 'content-length', '2']), data(1, '00', Flag.END_STREAM)],
    expect: streamError,
  },
  malformed('8.1.1 content-length without DATA', [...RESPONSE, 'content-length', '1']),
  malformed('8.2.1 an upper case name', [...RESPONSE, 'X-A', 'b']),
  malformed('8.2.1 a value with LF', [...RESPONSE, 'a', 'b\nc']),
  malformed('8.2.2 connection', [...RESPONSE, 'connection', 'close']),
  malformed('8.2.2 transfer-encoding', [...RESPONSE, 'transfer-encoding', 'chunked']),
  malformed('8.3 an unknown pseudo-header field', [':status', '200', ':a', 'b']),
  malformed('8.3 a request pseudo-header field', [':status', '200', ':path', '/']),
  malformed('8.3 a pseudo-header field behind a regular one', ['a', 'b', ':status', '200']),
  malformed('8.3.2 no :status', ['a', 'b']),
  malformed('8.3.2 no field at all', []),
  malformed('8.3.2 a second :status', [':status', '200', ':status', '200']),
  malformed('8.3.2 a :status that is no number of three digits', [':status', '2000']),
  malformed('8.6 :status 101', [':status', '101'], Flag.END_HEADERS),
]);
