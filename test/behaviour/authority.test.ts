import { type CallOutcome, Code, dial, type TransportName } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { REQUEST } from '../support/fields.js';
import { data, ErrorCode, errorCode, Flag, FrameType, headers } from '../support/frame.js';
import { dialled, MESSAGE, METHOD, message, ok, proxied, status } from '../support/unary.js';

/** What JavaScript lets be given as an authority, and what the error calls it. */
const NONSENSE: readonly (readonly [unknown, string])[] = [
  ['host\r\nx-injected: 1', '"host\\r\\nx-injected: 1"'],
  ['host\0', '"host\\u0000"'],
  ['with space', '"with space"'],
  ['häuser', '"häuser"'],
  ['http://host:1', '"http://host:1"'],
  ['', '""'],
  [7, 'number'],
  [null, 'null'],
  [['host'], 'array'],
  [Symbol('host'), 'symbol'],
];

behaviour("an authority that is none is the application's fault, and says so", async (t, world) => {
  for (const [authority, name] of NONSENSE) {
    const { backends, destinations } = await dialled(world, [ok]);
    const outcome = deferred<CallOutcome>();
    const proxy = await world.proxy(
      () => ({ primary: destinations[0]!, callOptions: { authority: authority as string } }),
      { observer: { onCall: outcome.resolve } },
    );
    const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
    t.equal(status(response), String(Code.UNKNOWN));
    const text = `callOptions.authority must be HOST or HOST:PORT, not ${name}`;
    t.equal(decodeURIComponent(message(response) ?? ''), text);
    t.match(await outcome.promise, { failure: { reason: 'director', error: { message: text } } });
    t.equal(backends[0]?.sessions.length, 0, 'no backend heard of it');
  }
});

behaviour('dial() refuses an authority that is none', async (t, world) => {
  const transport: TransportName = world.transports.client;
  for (const [authority, name] of NONSENSE) {
    t.throws(() => dial('127.0.0.1:1', { transport, authority: authority as string }), {
      name: 'TypeError',
      message: `authority must be HOST or HOST:PORT, not ${name}`,
    });
  }
});

behaviour('an authority may be a name, an address, or percent-encoded', async (t, world) => {
  const seen: unknown[] = [];
  const { destinations } = await dialled(world, [
    (request) => {
      seen.push(request.headers[':authority']);
      ok(request);
    },
  ]);
  const authorities = ['localhost', 'Host.Example:443', '127.0.0.1:1', '[::1]:50051', 'some%2Fpath', 'a_b~c'];
  for (const authority of authorities) {
    const client = await proxied(world, destinations[0]!, { authority });
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  }
  t.strictSame(seen, authorities);
});

behaviour('a URL as :authority is served by the engine, and refused by node:http2', async (t, world) => {
  // `etcdctl endpoint status` sends one.
  const url = 'http://127.0.0.1:2379';
  const { destinations } = await dialled(world, [ok]);
  const proxy = await world.proxy(() => ({ primary: destinations[0]! }));
  const client = await world.frameClient(proxy.port);
  const fields = REQUEST.map((text, index) => (REQUEST[index - 1] === ':authority' ? url : text));
  client.send(headers(1, fields), data(1, MESSAGE, Flag.END_STREAM));
  if (world.transports.server === 'frames') {
    await client.until(() => client.hasEnded(1));
    t.strictSame(
      client.frames.filter(({ type }) => type === FrameType.RST_STREAM),
      [],
    );
  } else {
    t.equal(errorCode(await client.first(1, FrameType.RST_STREAM)), ErrorCode.PROTOCOL_ERROR);
  }
});
