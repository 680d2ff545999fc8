import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { behaviour } from '../support/behaviour.js';
import { respond } from '../support/http2-backend.js';

import { MESSAGE, METHOD, message, ok, proxied, status } from '../support/unary.js';

behaviour('ClientConn.close() lets running calls finish and refuses new ones', async (t, world) => {
  let running!: ServerHttp2Stream;
  let arrived!: () => void;
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const backend = await world.http2Backend(({ stream }) => {
    running = stream;
    arrived();
  });
  const conn = world.dial(backend.port);
  const client = await proxied(world, { conn });
  const first = client.call(METHOD, MESSAGE);
  await arrival;
  let closed = false;
  const closing = conn.close().then(() => {
    closed = true;
  });
  const refused = await client.call(METHOD, MESSAGE);
  t.equal(status(refused), '14');
  t.match(message(refused), /is closed/);
  t.equal(closed, false);
  const gone = once(backend.sessions[0]!, 'close');
  respond(running, MESSAGE);
  const response = await first;
  t.equal(status(response), '0');
  t.same(response.data, MESSAGE);
  await closing;
  await gone;
});

behaviour('ClientConn.destroy() ends running calls as UNAVAILABLE', async (t, world) => {
  let arrived!: () => void;
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const backend = await world.http2Backend(() => arrived());
  const conn = world.dial(backend.port);
  const client = await proxied(world, { conn });
  const call = client.call(METHOD, MESSAGE);
  await arrival;
  conn.destroy();
  t.equal(status(await call), '14');
});

behaviour('ClientConn.close() before any call', async (t, world) => {
  const backend = await world.http2Backend(ok);
  const conn = world.dial(backend.port);
  await conn.close();
  const client = await proxied(world, { conn });
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
  t.equal(backend.sessions.length, 0);
});
