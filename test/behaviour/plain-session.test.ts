import { once } from 'node:events';
import http2, { type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { behaviour } from '../support/behaviour.js';
import { freePort } from '../support/free-port.js';
import { respond } from '../support/http2-backend.js';

import { MESSAGE, METHOD, message, ok, proxied, status } from '../support/unary.js';

behaviour('a plain session of node:http2 as conn', async (t, world) => {
  let authority: string | undefined;
  const backend = await world.http2Backend((request) => {
    authority = request.headers[':authority'];
    ok(request);
  });
  const session = http2.connect(`http://127.0.0.1:${backend.port}`);
  t.teardown(() => session.destroy());
  const client = await proxied(world, { conn: session });
  const responses = await Promise.all([client.call(METHOD, MESSAGE), client.call(METHOD, MESSAGE)]);
  t.same(responses.map(status), ['0', '0']);
  t.same(responses[0]!.data, MESSAGE);
  t.equal(authority, `127.0.0.1:${backend.port}`);
  t.equal(backend.sessions.length, 1);
});

behaviour('a plain session that is closed: UNAVAILABLE', async (t, world) => {
  const backend = await world.http2Backend(ok);
  const session = http2.connect(`http://127.0.0.1:${backend.port}`);
  await once(session, 'connect');
  const closed = once(session, 'close');
  session.close();
  await closed;
  const client = await proxied(world, { conn: session });
  const response = await client.call(METHOD, MESSAGE);
  t.equal(status(response), '14');
  t.match(message(response), /session is closed/);
});

behaviour(
  'a plain session that is going away: its call goes on, new ones are UNAVAILABLE',
  async (t, world) => {
    let running!: ServerHttp2Stream;
    const backend = await world.http2Backend(({ stream }) => {
      running = stream;
      stream.session!.goaway(0, 1);
    });
    const session = http2.connect(`http://127.0.0.1:${backend.port}`);
    t.teardown(() => session.destroy());
    const client = await proxied(world, { conn: session });
    const first = client.call(METHOD, MESSAGE);
    await once(session, 'goaway');
    t.equal(status(await client.call(METHOD, MESSAGE)), '14');
    respond(running, MESSAGE);
    t.equal(status(await first), '0');
  },
);

behaviour('a plain session that cannot connect: UNAVAILABLE', async (t, world) => {
  const session: ClientHttp2Session = http2.connect(`http://127.0.0.1:${await freePort()}`);
  session.on('error', () => {});
  const client = await proxied(world, { conn: session });
  t.equal(status(await client.call(METHOD, MESSAGE)), '14');
});
