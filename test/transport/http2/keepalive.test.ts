import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { Keepalive } from '../../../lib/transport/http2/keepalive.js';
import { Http2ServerTransport } from '../../../lib/transport/http2/server-transport.js';
import { newSessionState } from '../../../lib/transport/http2/stream.js';
import { FrameConnection, FrameType } from '../../support/frames.js';

const acceptor = { onStream() {} };

async function connect(time: number, timeout: number): Promise<[Http2ServerTransport, FrameConnection]> {
  const transport = new Http2ServerTransport(acceptor, undefined, { time, timeout });
  t.teardown(() => transport.destroy());
  const address = await transport.listen({ host: '127.0.0.1', port: 0 });
  if (!('port' in address)) throw new Error('not listening on TCP');
  const connection = await FrameConnection.connect(address.port);
  t.teardown(() => connection.destroy());
  return [transport, connection];
}

t.test('a session that a client has broken, and left, does not stay for ever', async (t) => {
  const [transport, connection] = await connect(50, 50);
  // A PING has eight bytes (RFC 9113 section 6.7).
  await connection.until(() => connection.of(0, FrameType.SETTINGS).length === 2);
  connection.send(FrameType.PING, 0, 0, Buffer.alloc(7));
  await connection.until(() => connection.of(0, FrameType.GOAWAY).length > 0);
  connection.destroy();
  // Resolves only when the last session has closed.
  await transport.close();
  t.pass('nothing is left');
});

t.test('a client that is silent but there is not left', async (t) => {
  const [, connection] = await connect(20, 2000);
  await connection.until(() => connection.of(0, FrameType.PING).length > 0);
  // It is answered by the test's end of the connection. What comes back now comes after that.
  connection.send(FrameType.PING, 0, 0, Buffer.alloc(8));
  await connection.until(() =>
    connection
      .of(0, FrameType.PING)
      .some(({ flags, payload }) => flags === 1 && payload.equals(Buffer.alloc(8))),
  );
  t.equal(connection.socket.destroyed, false);
});

t.test('a session that was destroyed is ended, not asked', async (t) => {
  const server = http2.createServer().listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(session, 'connect');
  session.destroy();
  let ended = 0;
  // Over TLS its `close` may never come, and nobody calls `stop`. `ping` would throw, and end the process.
  await new Promise<void>((resolve) => {
    const end = (): void => {
      ended++;
      resolve();
    };
    new Keepalive(session, newSessionState(), () => true, end, { time: 10, timeout: 10 });
  });
  t.equal(ended, 1);
});
