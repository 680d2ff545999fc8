import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type Destination, encodeMessage, type StreamParameters } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { respond } from '../support/http2-backend.js';
import type { Collected } from '../support/http2-body.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';

/** Messages of odd sizes: empty, tiny, compressed, larger than a frame and than a default window. */
const MESSAGES = [
  encodeMessage(Buffer.alloc(0)),
  encodeMessage(Buffer.from('first')),
  Buffer.concat([Buffer.of(1, 0, 0, 0, 3), Buffer.from('zip')]),
  encodeMessage(randomBytes(20_000)),
  encodeMessage(randomBytes(300_000)),
];
const BODY = Buffer.concat(MESSAGES);

/** Backends that answer OK with an empty body once the request has ended, and what each of them received. */
async function backends(world: World, count: number) {
  const received: Promise<Collected>[] = [];
  const destinations: Destination[] = [];
  for (let i = 0; i < count; i++) {
    const backend = await world.http2Backend(({ stream, body }) => {
      const collected = body();
      void collected.then((whole) => {
        if (!whole.aborted) respond(stream);
      });
      settle(collected);
    });
    let settle!: (collected: Promise<Collected>) => void;
    received[i] = new Promise((resolve) => {
      settle = resolve;
    });
    destinations.push({ conn: world.dial(backend.port) });
  }
  return { received, destinations };
}

function parameters(destinations: readonly Destination[]): StreamParameters {
  const [primary, ...secondaries] = destinations;
  return { primary: primary!, secondaries };
}

for (const peek of [0, 1, 3, 99]) {
  for (const count of [1, 2, 4]) {
    behaviour(
      `${count} destinations get the client's bytes, peeked at ${peek} messages`,
      async (t, world) => {
        const { received, destinations } = await backends(world, count);
        const proxy = await world.proxy((_ctx, _method, peeker) => {
          if (peek === 0) return parameters(destinations);
          return peeker.peek(peek, { inflate: false }).then((messages) => {
            t.equal(messages.length, Math.min(peek, MESSAGES.length));
            return parameters(destinations);
          });
        });
        const response = await world.http2Client(proxy.port).call(METHOD, BODY);
        t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
        for (const body of await Promise.all(received)) {
          t.ok(body.data.equals(BODY), `${body.data.length} of ${BODY.length} bytes`);
          t.equal(body.aborted, false);
        }
      },
    );
  }
}

for (const peeks of [false, true]) {
  const how = peeks ? 'after a peek' : 'without a peek';

  behaviour(`msg replaces the first message of its destination alone, ${how}`, async (t, world) => {
    const { received, destinations } = await backends(world, 4);
    const msgs = [undefined, Buffer.from('other'), Buffer.alloc(0), randomBytes(100_000)];
    const proxy = await world.proxy(async (_ctx, _method, peeker) => {
      if (peeks) await peeker.peek();
      return parameters(destinations.map((destination, i) => ({ ...destination, msg: msgs[i] })));
    });
    // Byte by byte at the beginning: the first message is cut anywhere.
    const body = Buffer.concat(MESSAGES.slice(1));
    const stream = world.http2Client(proxy.port).open(METHOD);
    const response = collectResponse(stream);
    for (let i = 0; i < 20; i++)
      await new Promise((resolve) => stream.write(body.subarray(i, i + 1), resolve));
    stream.end(body.subarray(20));
    t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
    const rest = MESSAGES.slice(2);
    const bodies = await Promise.all(received);
    msgs.forEach((msg, i) => {
      const first = msg === undefined ? MESSAGES[1]! : encodeMessage(msg);
      t.ok(bodies[i]!.data.equals(Buffer.concat([first, ...rest])), `destination ${i}`);
    });
  });

  behaviour(`msg is sent when the client sends no message, ${how}`, async (t, world) => {
    const { received, destinations } = await backends(world, 2);
    const proxy = await world.proxy(async (_ctx, _method, peeker) => {
      if (peeks) t.same(await peeker.peek(), []);
      return parameters([{ ...destinations[0]!, msg: Buffer.from('instead') }, destinations[1]!]);
    });
    const response = await world.http2Client(proxy.port).call(METHOD, Buffer.alloc(0));
    t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
    const bodies = await Promise.all(received);
    t.same(bodies[0]!.data, encodeMessage(Buffer.from('instead')));
    t.equal(bodies[0]!.aborted, false);
    t.equal(bodies[1]!.data.length, 0);
    t.equal(bodies[1]!.aborted, false);
  });
}

behaviour('a request that is HEADERS with END_STREAM alone is an empty one', async (t, world) => {
  const { received, destinations } = await backends(world, 2);
  const proxy = await world.proxy(() => parameters(destinations));
  const { session } = world.http2Client(proxy.port);
  const stream = session.request(
    { ':method': 'POST', ':path': METHOD, 'content-type': 'application/grpc', te: 'trailers' },
    { endStream: true },
  );
  t.equal(fieldValue((await collectResponse(stream)).trailers, 'grpc-status'), '0');
  for (const body of await Promise.all(received)) {
    t.equal(body.data.length, 0);
    t.equal(body.aborted, false);
  }
});

behaviour('the half-close reaches destinations when the client half-closes, not before', async (t, world) => {
  const streams: Promise<void>[] = [];
  let ended = 0;
  const destinations: Destination[] = [];
  for (let i = 0; i < 2; i++) {
    const backend = await world.http2Backend(({ stream }) => {
      stream.once('end', () => {
        ended++;
        respond(stream);
      });
      streams.push(once(stream, 'data').then(() => {}));
      if (streams.length === 2) bothThere();
    });
    destinations.push({ conn: world.dial(backend.port) });
  }
  let bothThere!: () => void;
  const both = new Promise<void>((resolve) => {
    bothThere = resolve;
  });
  const proxy = await world.proxy(() => parameters(destinations));
  const stream = world.http2Client(proxy.port).open(METHOD);
  const response = collectResponse(stream);
  stream.write(MESSAGES[1]);
  await both;
  await Promise.all(streams);
  t.equal(ended, 0);
  stream.end();
  t.equal(fieldValue((await response).trailers, 'grpc-status'), '0');
  t.equal(ended, 2);
});

behaviour('half a message is never half-closed towards a destination', async (t, world) => {
  const { received, destinations } = await backends(world, 2);
  const proxy = await world.proxy(() => parameters(destinations));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGES[1]!.subarray(0, 7));
  t.equal(fieldValue(response.headers, 'grpc-status'), '13');
  for (const body of await Promise.all(received)) t.match(body, { aborted: true, resetCode: 8 });
});
