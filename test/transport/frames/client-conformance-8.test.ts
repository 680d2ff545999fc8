import { REQUEST, RESPONSE } from '../../support/fields.js';
import { data, END, ErrorCode, Flag, headers } from '../../support/frame.js';
import { type Case, ILLEGAL_FIELDS, ILLEGAL_LENGTHS, stream, testClient } from './conformance-cases.js';

/** HTTP semantics (RFC 9113 section 8). */

const streamError = stream(ErrorCode.PROTOCOL_ERROR);

function malformed(name: string, fields: string[], flags: number = END): Case {
  return { name, send: [headers(1, fields, flags)], expect: streamError };
}

testClient([
  {
    name: '8.1 DATA between an interim and the final response',
    send: [headers(1, [':status', '100']), data(1, '00')],
    expect: streamError,
  },
  {
    name: '8.1 an interim response behind the final one',
    send: [headers(1, RESPONSE), headers(1, [':status', '103'])],
    expect: streamError,
  },
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
  {
    name: '8.1.1 less DATA than content-length, before trailers',
    send: [headers(1, [...RESPONSE, 'content-length', '2']), data(1, '00'), headers(1, ['a', 'b'], END)],
    expect: streamError,
  },
  {
    name: '8.1.1 more DATA than content-length',
    send: [headers(1, [...RESPONSE, 'content-length', '2']), data(1, '000000', Flag.END_STREAM)],
    expect: streamError,
  },
  {
    name: '8.1.1 DATA of exactly content-length is legal',
    send: [headers(1, [...RESPONSE, 'content-length', '2']), data(1, '0000', Flag.END_STREAM)],
    expect: 'fine',
  },
  {
    name: '8.1.1 content-length of a response to HEAD, which has no content, is legal',
    request: [':method', 'HEAD', ...REQUEST.slice(2)],
    send: [headers(1, [...RESPONSE, 'content-length', '2'], END)],
    expect: 'fine',
  },
  {
    name: '8.1.1 content-length of status 204, which has no content, is legal',
    send: [headers(1, [':status', '204', 'content-length', '2'], END)],
    expect: 'fine',
  },
  {
    name: '8.1.1 content-length of status 304, which has no content, is legal',
    send: [headers(1, [':status', '304', 'content-length', '2']), data(1, '', Flag.END_STREAM)],
    expect: 'fine',
  },
  ...ILLEGAL_LENGTHS.map(([name, ...fields]) => malformed(name, [...RESPONSE, ...fields])),
  ...ILLEGAL_FIELDS.map(([name, ...field]) => malformed(name, [...RESPONSE, ...field])),
  ...ILLEGAL_FIELDS.map(
    ([name, ...field]): Case => ({
      name: `${name}, in trailers`,
      send: [headers(1, RESPONSE), headers(1, field, END)],
      expect: streamError,
    }),
  ),
  malformed(
    '8.2.1 an upper case name, in an interim response',
    [':status', '103', 'A', 'b'],
    Flag.END_HEADERS,
  ),
  malformed('8.2.2 connection, in an interim response', [':status', '103', 'upgrade', 'b'], Flag.END_HEADERS),
  malformed('8.2.2 te in a response', [...RESPONSE, 'te', 'trailers']),
  {
    name: "8.2.2 te in a response's trailers",
    send: [headers(1, RESPONSE), headers(1, ['te', 'trailers'], END)],
    expect: streamError,
  },
  malformed('8.3 an unknown pseudo-header field', [':status', '200', ':a', 'b']),
  malformed('8.3 a request pseudo-header field', [':status', '200', ':path', '/']),
  malformed('8.3 a pseudo-header field behind a regular one', ['a', 'b', ':status', '200']),
  malformed('8.3.2 no :status', ['a', 'b']),
  malformed('8.3.2 no field at all', []),
  malformed('8.3.2 a second :status', [':status', '200', ':status', '200']),
  malformed('8.3.2 a :status that is no number of three digits', [':status', '2000']),
  malformed('8.3.2 a :status with a letter', [':status', '20x']),
  malformed('8.3.2 a :status below 100', [':status', '099']),
  malformed('8.3.2 an empty :status', [':status', '']),
  malformed('8.6 :status 101', [':status', '101'], Flag.END_HEADERS),
]);
