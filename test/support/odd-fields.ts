/** Fields that Node, nghttp2 or JavaScript's objects treat in a way of their own, or that no peer may send. */

/** How calls with a field end: as ever, as malformed HTTP (RFC 9113 section 8.1.1), or one of the two. */
export type Ends = 'as ever' | 'refused' | 'as ever or refused';

/** Whether a field reaches the other side. What the transports may decide is not asked. */
type Arrives = 'always' | 'never' | 'unasked';

/** A name, its value, and a second value if it is not to be repeated as it is. */
type Field = readonly [name: string, value: string, second?: string];

export interface Group {
  readonly ends: Ends;
  readonly arrives: Arrives;
  readonly fields: readonly Field[];
}

/** Names that node:http2 takes once only, or treats in another way than the rest. */
const KNOWN_TO_NODE = [
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-location',
  'content-md5',
  'content-range',
  'cookie',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'server',
  'set-cookie',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
];

/** By what they have in common. */
export const ODD_FIELDS: Readonly<Record<string, Group>> = {
  'fields that node:http2 treats in its own way': {
    ends: 'as ever',
    arrives: 'always',
    fields: KNOWN_TO_NODE.map((name) => [name, 'one', 'two']),
  },
  'fields called as what every JavaScript object has': {
    ends: 'as ever',
    arrives: 'always',
    fields: [
      ['__proto__', 'polluted', 'again'],
      ['constructor', 'x'],
      ['tostring', 'x'],
      ['hasownproperty', 'x'],
      ['valueof', 'x'],
      ['then', 'x'],
      ['length', '7'],
      ['0', 'x'],
    ],
  },
  "gRPC's own fields, right and wrong": {
    ends: 'as ever',
    arrives: 'always',
    fields: [
      ['grpc-encoding', 'unknown', 'gzip'],
      ['grpc-encoding', ''],
      ['grpc-accept-encoding', 'unknown', ''],
      ['grpc-message', '%', '%zz'],
      ['grpc-message', '%E2%82'],
      ['grpc-message', 'caf\xe9 \xff'],
      ['grpc-message-type', 'no.Type'],
      ['grpc-status-details-bin', 'not base64!'],
      ['grpc-previous-rpc-attempts', 'nonsense'],
      ['grpc-retry-pushback-ms', '-1', 'nonsense'],
    ],
  },
  'values that are odd, but legal': {
    ends: 'as ever',
    arrives: 'always',
    fields: [
      ['x-bin', 'not base64!'],
      ['x-bin', 'AA,BB,,', ''],
      ['x-bin', ''],
      ['x-text', ''],
      ['x-text', ','],
      ['x-text', 'v'.repeat(20_000), 'short'],
      ['x-text', '\xff\x80'],
    ],
  },
  'fields that speak of one hop': {
    ends: 'as ever or refused',
    arrives: 'unasked',
    fields: [
      ['http2-settings', 'AAMAAABkAAQAAP__'],
      ['te', 'trailers'],
      ['host', 'elsewhere.example', 'another.example'],
      ['host', ''],
      ['content-type', 'application/grpc', 'text/html'],
      ['content-type', ''],
    ],
  },
  'values with a space at an end': {
    // nghttp2 passes them or drops them, by its version; the engine refuses the message but for `grpc-message`.
    ends: 'as ever or refused',
    arrives: 'unasked',
    fields: [
      ['grpc-message', 'ends in a space '],
      ['x-text', ' begins with a space'],
      ['x-text', 'ends in a tab\t'],
    ],
  },
  'lengths, right and too large': {
    ends: 'as ever or refused',
    arrives: 'never',
    fields: [
      ['content-length', '7'],
      ['content-length', '7', '8'],
      ['content-length', '100'],
    ],
  },
  'fields that make a message malformed': {
    ends: 'refused',
    arrives: 'never',
    fields: [
      ['connection', 'close', 'keep-alive'],
      ['keep-alive', 'timeout=5'],
      ['proxy-connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['upgrade', 'h2c'],
      ['te', 'gzip'],
      ['te', 'trailers, gzip'],
      ['content-length', 'nonsense'],
      ['content-length', '-1'],
      ['content-length', ''],
      ['content-length', '99999999999999999999'],
      ['toString', 'x'],
      ['X-Upper', 'x'],
      [':', 'x'],
      [':status', '200'],
      [':status', '100'],
      [':path', '/another/method'],
      [':method', 'POST'],
      [':authority', 'another'],
      [':scheme', 'http'],
      [':protocol', 'websocket'],
      [':unknown', 'x'],
    ],
  },
  'names and values of octets that no field may have': {
    // nghttp2 drops such fields, the engine refuses the message.
    ends: 'as ever or refused',
    arrives: 'never',
    fields: [
      ['', 'no name'],
      ['x space', 'x'],
      ['x-nul\0', 'x'],
      ['x-crlf\r\ny', 'x'],
      ['x:colon', 'x'],
      ['x-\xff', 'x'],
      ['x-text', 'nul\0'],
      ['x-text', 'cr\r\nx-smuggled: x'],
      ['x-text', '\n'],
    ],
  },
};
