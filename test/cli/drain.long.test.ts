import { once } from 'node:events';
import net from 'node:net';
import t from 'tap';
import { CLIENT_PREFACE, settings } from '../support/frame.js';
import { collect } from '../support/grpc-client.js';
import { Http2Client } from '../support/http2-client.js';
import { within } from '../support/within.js';
import { echo, METHOD, Operated, startBackend } from './operated.js';

/** One process or two, and either transport. */
const WAYS = [
  ['--transport', 'http2'],
  ['--transport', 'frames'],
  ['--transport', 'http2', '--workers', '2'],
];

for (const way of WAYS) {
  t.test(
    `SIGTERM: not ready and NOT_SERVING at once, GOAWAY, and calls finish (${way.join(' ')})`,
    async (t) => {
      const primary = await startBackend(t, echo);
      const operated = await Operated.start(t, '--primary', `127.0.0.1:${primary.port}`, ...way);
      t.equal((await operated.ask('/readyz')).status, 200);
      const client = operated.client();
      const running = client.open(METHOD);
      const result = collect(running);
      running.write(Buffer.from('before'));
      await once(running, 'data');
      const watch = client.open('/grpc.health.v1.Health/Watch');
      const health = collect(watch);
      watch.write(Buffer.alloc(0));
      watch.end();
      await once(watch, 'data');
      const idle = new Http2Client(operated.port);
      await once(idle.session, 'connect');
      const goaway = once(idle.session, 'goaway');

      operated.command.signal('SIGTERM');
      await operated.said(/SIGTERM: draining/);
      const { status, body } = await operated.ask('/readyz');
      t.strictSame([status, body.trim()], [503, 'draining']);
      t.equal((await operated.ask('/livez')).status, 200);
      // `status` is field 1: SERVING is 1, NOT_SERVING 2.
      t.strictSame((await health).messages, [Buffer.from([8, 1]), Buffer.from([8, 2])]);
      const [code] = await goaway;
      t.equal(code, 0, 'NO_ERROR');
      const refused = net.connect(operated.port, '127.0.0.1');
      const [error] = await once(refused, 'error');
      t.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');

      running.write(Buffer.from('after'));
      running.end();
      const { code: ended, messages } = await result;
      t.strictSame([ended, messages.map(String)], [0, ['before', 'after']]);
      t.equal(await operated.ended(), 0);
      t.match(operated.command.stderr, /: drained\n$/, 'the last line is not lost');
    },
  );

  t.test(`--drain-timeout ends calls and connections, whatever peers do (${way.join(' ')})`, async (t) => {
    // It takes connections, and says nothing on them; nor does it close its side.
    const backend = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    const accepted: net.Socket[] = [];
    backend.on('connection', (socket) => accepted.push(socket.on('error', () => {})));
    t.teardown(() => {
      for (const socket of accepted) socket.destroy();
      backend.close();
    });
    const { port } = backend.address() as net.AddressInfo;
    const operated = await Operated.start(
      t,
      ...['--primary', `127.0.0.1:${port}`, '--drain-timeout', '300ms', ...way],
    );
    const peers = [Buffer.alloc(0), Buffer.concat([CLIENT_PREFACE, settings()])].map((bytes) => {
      const socket = net.connect({ port: operated.port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => {});
      socket.write(bytes);
      return { socket, gone: once(socket.resume(), 'end').catch(() => {}) };
    });
    t.teardown(() => {
      for (const { socket } of peers) socket.destroy();
    });
    const running = [1, 2].map(() => operated.client().call(METHOD, ['hello']));
    await operated.eventually(
      'both run',
      () => operated.json<unknown[]>('/calls'),
      (calls) => calls.length === 2,
    );
    const began = performance.now();
    operated.command.signal('SIGTERM');
    for (const result of await Promise.all(running)) {
      t.match(result, { code: 14, details: 'server is shutting down' });
    }
    t.ok(performance.now() - began > 250, 'they had their time');
    for (const { gone } of peers) await within(10_000, 'the end of a connection', gone);
    t.equal(await operated.ended(), 0);
    t.match(operated.command.stderr, /: warn: drained; 2 calls had to be ended after --drain-timeout\n$/);
  });
}
