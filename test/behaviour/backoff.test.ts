import { behaviour } from '../support/behaviour.js';
import { settings } from '../support/frame.js';
import { freePort } from '../support/free-port.js';
import { respond } from '../support/http2-backend.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';
import { within } from '../support/within.js';

behaviour('1000 calls to a dead backend fail at once, by one attempt', async (t, world) => {
  const conn = world.dial(await freePort());
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  const states: string[] = [];
  void conn.waitForStateChange('IDLE').then(({ name }) => states.push(name));
  const calls = Promise.all(Array.from({ length: 500 }, () => client.call(METHOD, MESSAGE)));
  for (const response of await within(3000, 'all calls', calls)) {
    if (status(response) !== '14') t.fail(`status ${status(response)}`);
  }
  t.equal(conn.state.name, 'TRANSIENT_FAILURE');
  const late = Promise.all(Array.from({ length: 500 }, () => client.call(METHOD, MESSAGE)));
  await within(3000, 'all calls', late);
  t.strictSame(states, ['CONNECTING'], 'it has left IDLE once');
  t.equal(conn.state.name, 'TRANSIENT_FAILURE');
});

for (const [what, first] of [
  ['closes', Buffer.alloc(0)],
  ['sends SETTINGS and closes', settings()],
  ['allows no streams and closes', settings([3, 0])],
] as const) {
  behaviour(`a backend that accepts, ${what}, is not dialled for each call`, async (t, world) => {
    const backend = await world.frameBackend((connection) => {
      connection.socket.end(first);
    });
    const conn = world.dial(backend.port);
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const client = world.http2Client(proxy.port);
    for (let i = 0; i < 40; i++) {
      const response = await within(3000, 'a call', client.call(METHOD, MESSAGE));
      if (status(response) !== '14') t.fail(`status ${status(response)}`);
    }
    // One at once, one more for a connection that was ready, and those of a second in which a slow machine gets here.
    t.ok(backend.connections.length <= 4, `${backend.connections.length} connections`);
  });
}

behaviour('a backend that refuses every stream gets no connection for each', async (t, world) => {
  const backend = await world.http2Backend(({ stream }) => stream.close(7));
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  const start = performance.now();
  for (let i = 0; i < 40; i++) {
    const response = await within(3000, 'a call', client.call(METHOD, MESSAGE));
    if (status(response) !== '14') t.fail(`status ${status(response)}`);
  }
  const seconds = (performance.now() - start) / 1000;
  t.ok(backend.sessions.length <= 2 + seconds, `${backend.sessions.length} connections in ${seconds} s`);
});

behaviour('calls that wait for ready end when their connection is closed', async (t, world) => {
  const conn = world.dial(await freePort());
  const proxy = await world.proxy(() => ({ primary: { conn }, callOptions: { waitForReady: true } }));
  const client = world.http2Client(proxy.port);
  const call = client.call(METHOD, MESSAGE);
  await conn.waitForStateChange('IDLE');
  while (conn.state.name !== 'TRANSIENT_FAILURE') await conn.waitForStateChange(conn.state.name);
  await conn.close();
  const response = await within(3000, 'the call', call);
  t.equal(status(response), '14');
  t.match(message(response), /is closed$/);
  await within(3000, 'the server', proxy.server.close());
});

behaviour('a backend that is dialled again after it was of use is dialled at once', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream);
  });
  const conn = world.dial(backend.port);
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.http2Client(proxy.port);
  for (let i = 1; i <= 10; i++) {
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    t.equal(backend.sessions.length, i);
    backend.cutConnections('FIN');
    while (conn.state.name === 'READY') await conn.waitForStateChange('READY');
  }
});
