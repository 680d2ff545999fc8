import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { Server, type StreamHandler } from '../../lib/index.js';
import { TRANSPORTS, World } from '../support/behaviour.js';
import { echo, GrpcBackend } from '../support/grpc-backend.js';
import { collectResponse, type Http2Client } from '../support/http2-client.js';
import { MESSAGE, METHOD, message, proxied, status } from '../support/unary.js';

const AGE = 500;
const LOAD_MILLISECONDS = 2500;
const UNARY_CALLS = 6;
const STREAMS = 3;
const MESSAGES_PER_STREAM = 20;

const echoed: StreamHandler = async (stream) => {
  for await (const one of stream) await stream.sendMessage(one);
};

/** Backends whose connections grow no older than this, whatever runs on them. */
const BACKENDS: Record<string, (t: { teardown(end: () => unknown): void }) => Promise<number>> = {
  'a Server on http2': (t) => ownBackend(t, 'http2'),
  'a Server on frames': (t) => ownBackend(t, 'frames'),
  'grpc-js': async (t) => {
    const options = { 'grpc.max_connection_age_ms': AGE, 'grpc.max_connection_age_grace_ms': 10_000 };
    const backend = await GrpcBackend.start({ [METHOD]: echo }, options);
    t.teardown(() => backend.destroy());
    return backend.port;
  },
};

async function ownBackend(t: { teardown(end: () => unknown): void }, transport: 'http2' | 'frames') {
  const server = new Server({
    transport,
    unknownServiceHandler: echoed,
    limits: { maxAgeMilliseconds: AGE, maxAgeGraceMilliseconds: 10_000 },
  });
  t.teardown(() => server.destroy());
  return (await server.listen('127.0.0.1:0')).port;
}

/** Calls one after the other until the time is over; what ended them. */
class Load {
  calls = 0;
  readonly failures: string[] = [];
  readonly #client: Http2Client;
  readonly #until = performance.now() + LOAD_MILLISECONDS;

  constructor(client: Http2Client) {
    this.#client = client;
  }

  async unary(): Promise<void> {
    while (performance.now() < this.#until) this.#note(await this.#client.call(METHOD, MESSAGE));
  }

  async streams(): Promise<void> {
    while (performance.now() < this.#until) {
      const stream = this.#client.open(METHOD);
      const response = collectResponse(stream);
      for (let i = 0; i < MESSAGES_PER_STREAM; i++) {
        stream.write(MESSAGE);
        await turn();
      }
      stream.end();
      this.#note(await response);
    }
  }

  #note(response: Parameters<typeof status>[0]): void {
    this.calls++;
    if (status(response) !== '0') {
      this.failures.push(`${status(response)} ${message(response)} (reset ${response.resetCode})`);
    }
  }
}

async function underLoad(world: World, port: number): Promise<Load> {
  const load = new Load(await proxied(world, { conn: world.dial(port) }));
  await Promise.all([
    ...Array.from({ length: UNARY_CALLS }, () => load.unary()),
    ...Array.from({ length: STREAMS }, () => load.streams()),
  ]);
  return load;
}

// Few at a time: where this process stands still for as long as connections live, a call is refused again and again, and
// tried again only once (gRFC A6).
t.jobs = 2;

for (const [name, start] of Object.entries(BACKENDS)) {
  for (const transports of TRANSPORTS.filter(({ server, client }) => server === client)) {
    const title = `${name} that ages its connections out loses no call [${transports.client}]`;
    t.test(title, { buffered: true }, async (t) => {
      const { calls, failures } = await underLoad(new World(t, transports), await start(t));
      t.same(failures, []);
      t.ok(calls > 20, `${calls} calls`);
    });
  }
}
