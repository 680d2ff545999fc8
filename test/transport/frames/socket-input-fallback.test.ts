import '../../support/hide-read-memory.js';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { encodeMessage } from '../../../lib/index.js';
import { keep } from '../../../lib/port/lent-memory.js';
import { listenTo } from '../../../lib/transport/frames/input/socket-input.js';
import { arrayBufferBytes } from '../../support/array-buffers.js';
import { behaviour } from '../../support/behaviour.js';
import { cert, key } from '../../support/certificate.js';
import { respond } from '../../support/http2-backend.js';
import { fieldValue } from '../../support/http2-client.js';

const MIB = 1024 * 1024;

/** Both ends of a connection over the loopback interface. */
async function connection(t: Test, isTls: boolean): Promise<{ from: Socket; to: Socket }> {
  const server = isTls ? tls.createServer({ key, cert }) : net.createServer();
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, isTls ? 'secureConnection' : 'connection') as Promise<[Socket]>;
  const from = isTls
    ? tls.connect({ port, host: '127.0.0.1', ca: cert, servername: 'localhost' })
    : net.connect(port);
  t.teardown(() => from.destroy());
  const [to] = await accepted;
  t.teardown(() => to.destroy());
  return { from, to };
}

for (const isTls of [false, true]) {
  t.test(`sockets are read into memory of their own${isTls ? ' over TLS' : ''}`, async (t) => {
    const { from, to } = await connection(t, isTls);
    const kept: Buffer[] = [];
    let length = 0;
    const sent = randomBytes(4 * MIB);
    const all = new Promise<void>((resolve) => {
      listenTo(to, (chunk) => {
        t.equal(keep(chunk), chunk, 'what is not lent need not be copied');
        kept.push(chunk);
        length += chunk.length;
        if (length === sent.length) resolve();
      });
    });
    from.write(sent);
    await all;
    t.ok(Buffer.concat(kept).equals(sent), 'and nothing is written to it afterwards');
  });

  t.test(`little that is kept holds little memory${isTls ? ' over TLS' : ''}`, async (t) => {
    const { from, to } = await connection(t, isTls);
    const kept: Buffer[] = [];
    let arrived = (): void => {};
    listenTo(to, (chunk) => {
      kept.push(keep(chunk));
      arrived();
    });
    const before = await arrayBufferBytes();
    for (let i = 0; i < 500; i++) {
      const arrival = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      from.write(Buffer.alloc(15, i));
      await arrival;
    }
    const held = (await arrayBufferBytes()) - before;
    t.equal(kept.length, 500);
    t.ok(held < MIB, `${held} octets for 7500`);
  });
}

behaviour('calls are peeked at and proxied octet by octet without read memory', async (t, world) => {
  const bodies: Buffer[] = [];
  const backend = await world.http2Backend(async ({ stream, body }) => {
    const { data } = await body();
    bodies.push(data);
    respond(stream, data);
  });
  const conn = world.dial(backend.port);
  const peeked: Buffer[] = [];
  const proxy = await world.proxy(async (_ctx, _method, peeker) => {
    peeked.push((await peeker.peek())[0]!.payload);
    return { primary: { conn } };
  });
  const client = world.http2Client(proxy.port);
  const messages = [1, 1000, 300 * 1024, 2 * MIB].map((length) => randomBytes(length));
  const responses = await Promise.all(
    messages.map((message) =>
      client.call(
        '/test.Service/Method',
        Buffer.concat([encodeMessage(message), encodeMessage(Buffer.from('second'))]),
      ),
    ),
  );
  const byLength = (a: Buffer, b: Buffer): number => a.length - b.length;
  t.strictSame(peeked.sort(byLength), messages);
  bodies.sort(byLength);
  for (const [index, { data, trailers }] of responses.entries()) {
    t.ok(data.subarray(5, -11).equals(messages[index]!));
    t.ok(bodies[index]?.equals(data));
    t.equal(fieldValue(trailers, 'grpc-status'), '0');
  }
});
