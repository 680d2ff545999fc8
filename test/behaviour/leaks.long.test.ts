import { constants } from 'node:http2';
import type { Test } from 'tap';
import { Code, encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { type Http2Backend, respond } from '../support/http2-backend.js';
import { collectResponse, fieldValue, type Http2Client, type Response } from '../support/http2-client.js';
import { ProxyChild } from '../support/proxy-child.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Method';
const REQUEST = encodeMessage(Buffer.from('request'));
const MIB = 1024 * 1024;

/** Ways for a call to end, with the status that the client sees. */
const ENDINGS: Readonly<Record<string, Code | undefined>> = {
  // First: a lost connection takes with it whatever the others would leave.
  lost: Code.UNAVAILABLE,
  broken: Code.UNAVAILABLE,
  ok: Code.OK,
  error: Code.ABORTED,
  early: Code.OK,
  cancel: undefined,
  deadline: Code.DEADLINE_EXCEEDED,
  refused: Code.UNAVAILABLE,
  director: Code.PERMISSION_DENIED,
  peek: Code.RESOURCE_EXHAUSTED,
};

const AT_ONCE = 40;

/** A backend that ends calls as their header `x-mode` says. */
async function startBackend(world: World, onOpen: () => void): Promise<Http2Backend> {
  let lost = 0;
  const backend = await world.http2Backend(async ({ stream, headers, body }) => {
    onOpen();
    switch (headers['x-mode']) {
      case 'ok':
        await body();
        respond(stream, REQUEST);
        break;
      case 'error':
        respond(stream, REQUEST, { 'grpc-status': String(Code.ABORTED) });
        break;
      case 'early':
        respond(stream, REQUEST);
        break;
      case 'refused':
        stream.close(constants.NGHTTP2_REFUSED_STREAM);
        break;
      case 'lost':
      case 'broken':
        lost++;
        if (lost % AT_ONCE === 0) backend.cutConnections(headers['x-mode'] === 'lost' ? 'FIN' : 'RST');
        break;
    }
  });
  return backend;
}

async function end(client: Http2Client, mode: string, opened: Promise<void>): Promise<Response> {
  const stream = client.open(METHOD, {
    'x-mode': mode,
    'grpc-timeout': mode === 'deadline' ? '30m' : '1H',
  });
  const response = collectResponse(stream);
  // The prefix says 1024 bytes, and the peek limit is 1000.
  stream.write(mode === 'peek' ? Buffer.from([0, 0, 0, 4, 0, 1]) : REQUEST);
  if (mode !== 'early') stream.end();
  if (mode === 'cancel') {
    await opened;
    stream.close(constants.NGHTTP2_CANCEL);
  }
  return response;
}

/** Calls until a call succeeds: the proxy then knows of all connections that were cut. */
async function settle(client: Http2Client): Promise<void> {
  let code: string | undefined;
  do {
    const { headers, trailers } = await client.call(METHOD, REQUEST, { 'x-mode': 'ok' });
    code = fieldValue(trailers ?? headers, 'grpc-status');
  } while (code !== '0');
}

async function endAll(t: Test, client: Http2Client, opens: { countdown: Countdown }): Promise<void> {
  for (const [mode, code] of Object.entries(ENDINGS)) {
    // All have arrived at the primary and both secondaries.
    opens.countdown = new Countdown(3 * AT_ONCE);
    const calls = Array.from({ length: AT_ONCE }, () => end(client, mode, opens.countdown.done));
    const responses = await within(10_000, `calls that end by ${mode}`, Promise.all(calls));
    const codes = new Set(
      responses.map(({ headers, trailers }) => fieldValue(trailers ?? headers, 'grpc-status')),
    );
    t.strictSame([...codes], [code === undefined ? undefined : String(code)], mode);
    if (mode === 'lost' || mode === 'broken') await within(15_000, 'new connections', settle(client));
  }
}

behaviour('however calls end, nothing of them stays, and the process can end', async (t, world) => {
  const opens = { countdown: new Countdown(1) };
  const backends: Http2Backend[] = [];
  for (let i = 0; i < 3; i++) backends.push(await startBackend(world, () => opens.countdown.tick()));
  const [primary, ...secondaries] = backends.map(({ port }) => `127.0.0.1:${port}`);
  const { transports } = world;
  const proxy = await ProxyChild.start(t, { transports, primary: primary!, secondaries, maxPeekBytes: 1000 });
  const client = world.http2Client(proxy.port);
  await endAll(t, client, opens);
  const before = await proxy.measure();
  for (let i = 0; i < 3; i++) await endAll(t, client, opens);
  const after = await proxy.measure();
  for (const [name, left] of Object.entries(await proxy.count())) t.equal(left, 0, `${name} that are left`);
  t.strictSame(after.resources.Timeout, before.resources.Timeout, 'no timer is left');
  t.ok(after.heapUsed - before.heapUsed < 2 * MIB, `the heap grew by ${after.heapUsed - before.heapUsed}`);
  client.session.close();
  t.equal(await proxy.close(5000), 0);
});
