import type { Test } from 'tap';
import { type CallOptions, type ClientConn, Code, type Metadata, StatusError } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { collectResponse, type Http2Client, type Response } from '../support/http2-client.js';
import { MESSAGE, METHOD, message, ok, proxied, status } from '../support/unary.js';
import { within } from '../support/within.js';

const MOST = 3;
const CANCEL = 8;
const REFUSED_STREAM = 7;

/** Says nothing, for as long as the client wants. */
const hangs: OnRequest = () => {};

/** How many calls may begin. */
function free({ channel }: ClientConn): number {
  let begun = 0;
  while (begun <= MOST && channel.begin() === undefined) begun++;
  for (let i = 0; i < begun; i++) channel.end();
  return begun;
}

/** All calls that a conn counted are over. */
async function noneLeft(t: Test, conn: ClientConn): Promise<void> {
  await eventually('the end of all calls', () => free(conn) >= MOST);
  t.equal(free(conn), MOST, 'neither more nor fewer calls may run than before');
}

function limited(world: World, port: number): ClientConn {
  return world.dial(port, { limits: { maxConcurrentCalls: MOST } });
}

/** Opens a call, which is cancelled once that is of interest. */
async function cancelled(client: Http2Client, when: () => Promise<void>): Promise<void> {
  const stream = client.open(METHOD, {}, true);
  const response = collectResponse(stream);
  stream.write(MESSAGE);
  await when();
  stream.close(CANCEL);
  await response;
}

behaviour('no more than maxConcurrentCalls run or wait; further ones fail at once', async (t, world) => {
  let running = 0;
  const backend = await world.http2Backend(() => running++);
  const conn = limited(world, backend.port);
  const client = await proxied(world, { conn });
  const over = deferred();
  const ends = Array.from({ length: MOST }, () => cancelled(client, () => over.promise));
  await eventually('the calls', () => running === MOST);
  const refused = await within(1000, 'one more call', client.call(METHOD, MESSAGE));
  t.equal(status(refused), String(Code.RESOURCE_EXHAUSTED));
  t.equal(message(refused), `${MOST} calls to ${conn.target} are running already`);
  over.resolve();
  await Promise.all(ends);
  await noneLeft(t, conn);
});

for (const [what, onRequest] of [
  ['end well', ok],
  ['the backend fails', ({ stream }) => respond(stream, undefined, { 'grpc-status': '9' })],
  ['the backend resets', ({ stream }) => stream.close(CANCEL)],
  ['the backend refuses, twice', ({ stream }) => stream.close(REFUSED_STREAM)],
  ['lose their connection', ({ stream }) => stream.session!.destroy()],
] as const satisfies readonly (readonly [string, OnRequest])[]) {
  behaviour(`calls that ${what} are counted no longer`, async (t, world) => {
    const backend = await world.http2Backend(onRequest);
    const conn = limited(world, backend.port);
    const client = await proxied(world, { conn });
    for (let i = 0; i < 2 * MOST; i++) {
      const response = await within(3000, 'a call', client.call(METHOD, MESSAGE));
      t.notMatch(message(response), /running already/);
    }
    await noneLeft(t, conn);
  });
}

behaviour('calls that are cancelled are counted no longer, while they run or wait', async (t, world) => {
  const backend = await world.http2Backend(hangs);
  const silent = await world.frameBackend();
  for (const port of [backend.port, silent.port]) {
    const conn = limited(world, port);
    const client = await proxied(world, { conn });
    const begun = () => eventually('its beginning', () => free(conn) < MOST);
    for (let i = 0; i < 2 * MOST; i++) {
      await within(3000, 'a call', cancelled(client, begun));
      await noneLeft(t, conn);
    }
  }
});

const token = (): Metadata => {
  throw new StatusError(Code.UNAUTHENTICATED, 'no token');
};

for (const [what, callOptions, code] of [
  ['whose deadline passes', { deadline: Date.now() + 50 }, Code.DEADLINE_EXCEEDED],
  ['whose credentials throw', { credentials: token }, Code.UNAUTHENTICATED],
  ['whose credentials reject', { credentials: async () => token() }, Code.UNAUTHENTICATED],
  ['whose credentials are nonsense', { credentials: () => 1 as unknown as Metadata }, Code.INTERNAL],
] as const satisfies readonly (readonly [string, CallOptions, Code])[]) {
  behaviour(`calls ${what} are counted no longer`, async (t, world) => {
    const backend = await world.http2Backend(hangs);
    const conn = limited(world, backend.port);
    const client = await proxied(world, { conn }, callOptions);
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < 2 * MOST; i++) {
      codes.push(status(await within(3000, 'a call', client.call(METHOD, MESSAGE))));
    }
    t.same(new Set(codes), new Set([String(code)]));
    await noneLeft(t, conn);
  });
}

behaviour(
  'calls that are cancelled while their credentials are awaited are counted no longer',
  async (t, world) => {
    const backend = await world.http2Backend(hangs);
    const conn = limited(world, backend.port);
    const waiting: ((metadata: Metadata) => void)[] = [];
    const credentials = () => new Promise<Metadata>((resolve) => waiting.push(resolve));
    const client = await proxied(world, { conn }, { credentials });
    for (let i = 1; i <= 2 * MOST; i++) {
      const asked = () => eventually('the credentials', () => waiting.length === i);
      await within(3000, 'a call', cancelled(client, asked));
    }
    await noneLeft(t, conn);
    for (const resolve of waiting) resolve(undefined as unknown as Metadata);
    await noneLeft(t, conn);
  },
);

behaviour('calls that find no connection, or a closed one, are counted no longer', async (t, world) => {
  const conn = limited(world, await freePort());
  const client = await proxied(world, { conn });
  const codes = new Set<string | undefined>();
  const call = async (): Promise<Response> => within(3000, 'a call', client.call(METHOD, MESSAGE));
  for (let i = 0; i < 2 * MOST; i++) codes.add(status(await call()));
  await noneLeft(t, conn);
  await conn.close();
  for (let i = 0; i < 2 * MOST; i++) codes.add(status(await call()));
  t.same(codes, new Set([String(Code.UNAVAILABLE)]));
  await noneLeft(t, conn);
});
