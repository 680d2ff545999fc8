import { getEventListeners, once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import type { Test } from 'tap';
import { type DialAddress, Server } from '../../lib/index.js';
import { routeDirector } from '../../lib/routes/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { within } from '../support/within.js';

const METHOD = '/test.Local/Call';
const REASON = new Error('nobody waits any more');

/** A server with a call that runs until it is let go. */
async function withCall(t: Test, world: World) {
  const entered = deferred();
  const go = deferred();
  const { server, port } = await world.serve({
    unknownServiceHandler: async () => {
      entered.resolve();
      await go.promise;
    },
  });
  const conn = world.dial(port);
  const call = conn.call(METHOD);
  call.end();
  await entered.promise;
  t.teardown(() => go.resolve());
  return { server, port, conn, call, go };
}

function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, 'abort').length;
}

/** Listens at an address that is about to be given up. */
async function listenSoon(server: Server, address: DialAddress, signal: AbortSignal): Promise<void> {
  for (const end = Date.now() + 5000; ; ) {
    try {
      await server.listen(address, { signal });
      return;
    } catch (error) {
      if (Date.now() > end || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      await immediate();
    }
  }
}

behaviour('a signal gives up to listen, and nothing listens then', async (t, world) => {
  const server = new Server({ transport: world.transports.server });
  t.teardown(() => server.destroy());
  const folder = mkdtempSync(path.join(tmpdir(), 'signal-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const port = await freePort();
  const file = path.join(folder, 'socket');
  for (const address of [{ host: '127.0.0.1', port }, { path: file }]) {
    const abort = new AbortController();
    const listening = server.listen(address, { signal: abort.signal });
    abort.abort(REASON);
    t.equal(
      await within(
        1000,
        'a rejection',
        listening.catch((error) => error),
      ),
      REASON,
    );
    t.equal(listeners(abort.signal), 0);
    t.equal(
      await server.listen(address, { signal: abort.signal }).catch((error) => error),
      REASON,
      'not begun',
    );
  }
  // What was under way is given up as soon as it is there.
  const { signal } = new AbortController();
  await listenSoon(server, { host: '127.0.0.1', port }, signal);
  await listenSoon(server, { path: file }, signal);
  t.equal(listeners(signal), 0);
  await server.close();
  t.equal(existsSync(file), false);
});

behaviour('a server listens on where the signal aborts later', async (t, world) => {
  const server = new Server({ transport: world.transports.server });
  t.teardown(() => server.destroy());
  const abort = new AbortController();
  const { port } = await server.listen('127.0.0.1:0', { signal: abort.signal });
  abort.abort(REASON);
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
});

behaviour('a signal ends the waiting for a server to drain, not the drain', async (t, world) => {
  const { server, call, go } = await withCall(t, world);
  const early = AbortSignal.abort(REASON);
  t.equal(await server.close({ signal: early }).catch((error) => error), REASON);
  t.equal(server.closing.aborted, false, 'one that has aborted before begins nothing');
  const abort = new AbortController();
  const closed = server.close({ signal: abort.signal });
  const waiting = server.close();
  t.equal(server.closing.aborted, true);
  abort.abort(REASON);
  t.equal(
    await within(
      1000,
      'a rejection',
      closed.catch((error) => error),
    ),
    REASON,
  );
  t.equal(listeners(abort.signal), 0);
  go.resolve();
  t.equal((await call.status).code, 0, 'the call goes on');
  t.equal(await waiting, 0);
  const { signal } = new AbortController();
  t.equal(await server.close({ signal }), 0);
  t.equal(listeners(signal), 0);
});

behaviour('the timeout of a drain holds also when nobody waits for it any more', async (t, world) => {
  const { server, call } = await withCall(t, world);
  const abort = new AbortController();
  const closed = server.close({ signal: abort.signal, timeoutMilliseconds: 20 });
  abort.abort(REASON);
  t.equal(await closed.catch((error) => error), REASON);
  t.equal((await within(15_000, 'the end of the call', call.status)).code, 14);
  t.equal(await server.close(), 1);
});

behaviour('a signal ends the waiting for connections to close, not the closing', async (t, world) => {
  const { conn, call, go } = await withCall(t, world);
  t.equal(await conn.close({ signal: AbortSignal.abort(REASON) }).catch((error) => error), REASON);
  t.not(conn.state.name, 'SHUTDOWN', 'one that has aborted before begins nothing');
  const abort = new AbortController();
  const closed = conn.close({ signal: abort.signal });
  t.equal(conn.state.name, 'SHUTDOWN');
  abort.abort(REASON);
  t.equal(
    await within(
      1000,
      'a rejection',
      closed.catch((error) => error),
    ),
    REASON,
  );
  t.equal(listeners(abort.signal), 0);
  go.resolve();
  t.equal((await call.status).code, 0, 'the call goes on');
  await within(15_000, 'the end', conn.close());
});

behaviour('a signal ends the waiting for the backends of routes to close, too', async (t, world) => {
  const { port: backend, go } = await withCall(t, world);
  const routes = routeDirector({
    transport: world.transports.client,
    backends: { slow: { target: `127.0.0.1:${backend}` } },
    routes: [{ match: {}, primary: 'slow' }],
  });
  t.teardown(() => routes.destroy());
  const { port } = await world.proxy(routes.director);
  const call = world.dial(port).call(METHOD);
  call.end();
  await eventually('it runs at the backend', () => routes.backends.get('slow')?.addresses[0]?.calls === 1);
  t.equal(await routes.close({ signal: AbortSignal.abort(REASON) }).catch((error) => error), REASON);
  t.equal(routes.backends.get('slow')?.state.name, 'READY', 'one that has aborted before begins nothing');
  const abort = new AbortController();
  const closed = routes.close({ signal: abort.signal });
  abort.abort(REASON);
  t.equal(
    await within(
      1000,
      'a rejection',
      closed.catch((error) => error),
    ),
    REASON,
  );
  t.equal(listeners(abort.signal), 0);
  go.resolve();
  t.equal((await call.status).code, 0, 'the call goes on');
  await within(15_000, 'the end', routes.close());
});

behaviour('what is no signal is refused where one is taken', async (t, world) => {
  const { server, conn } = await withCall(t, world);
  const signal = {} as AbortSignal;
  const refusal = { code: 'ERR_INVALID_ARG_TYPE', message: 'signal must be an AbortSignal, not object' };
  await t.rejects(server.listen(0, { signal }), refusal);
  await t.rejects(server.close({ signal }), refusal);
  await t.rejects(conn.close({ signal }), refusal);
  await t.rejects(conn.waitForStateChange('READY', signal), refusal);
  t.equal(server.closing.aborted, false);
});
