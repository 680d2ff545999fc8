import { encodeMessage } from '../../../lib/index.js';
import { RESPONSE, requestTo } from '../../support/fields.js';
import type { Random } from '../../support/random.js';
import { Arena, ended, until } from '../arena.js';
import { callHonestlyMoreThanOnce } from '../honest.js';
import type { Model } from '../model.js';
import { anyCode, type RawConnection, WAYS_TO_LEAVE } from '../raw-connection.js';
import type { RawStream } from '../raw-stream.js';
import { violated } from '../violated.js';

const CANCEL = 8;

/** One call of which neither end, or only one, ever takes what the other sends. */
interface Stuck {
  readonly name: string;
  readonly client: RawStream;
  backend: { readonly stream: RawStream; readonly connection: RawConnection } | undefined;
}

/**
 * Receivers that never resume: clients that give no window for what they asked for, and backends that give none for
 * what they are sent. Then either side resets streams, with any code, and leaves; others don't notice, and nothing of
 * it stays.
 */
export const neverResume: Model = {
  name: 'never-resume',
  async run(random, setting) {
    await Arena.run(setting, {}, async (arena) => {
      const echo = await arena.echo();
      const stuck = new Map<string, Stuck>();
      const windowOfBackend = random.pick([0, 0, 1, 1000, 65_535]);
      const backend = await arena.backend(() => ({
        window: windowOfBackend,
        onStream: (stream, connection) => {
          const call = stuck.get(stream.field('x-call') ?? '');
          if (call === undefined) throw new Error('a request of nobody');
          call.backend = { stream, connection };
          void answer(random.fork(), connection, stream);
        },
      }));
      const frozen = arena.dial(backend.port);
      const port = await arena.proxy((ctx) => {
        if (!ctx.metadata.has('x-call')) return { primary: { conn: echo } };
        if (!ctx.metadata.has('x-copy')) return { primary: { conn: frozen } };
        return { primary: { conn: echo }, secondaries: [{ conn: frozen }] };
      });
      const honest = arena.client(port);
      const client = await arena.peer(port, { window: random.pick([0, 0, 1, 5000]) });
      for (let left = random.int(1, 6); left > 0; left--) {
        const name = `${left}`;
        const fields = [...requestTo('/fuzz.Service/Stuck'), 'x-call', name];
        if (random.chance(0.2)) fields.push('x-copy', '1');
        const stream = client.request(fields);
        stuck.set(name, { name, client: stream, backend: undefined });
        void client.sendData(stream, request(random), random.chance(0.5));
      }
      await until('calls to arrive', () => [...stuck.values()].every(({ backend }) => backend !== undefined));
      await Promise.all([client, ...backend.connections].map((c) => ended('a PING', c.roundTrip())));
      if (client.isClosed) violated('the proxy has closed a connection that keeps the protocol');
      await callHonestlyMoreThanOnce(random.fork(), honest);
      const reset: Stuck[] = [];
      for (const call of stuck.values()) {
        const whose = random.int(0, 5);
        if (whose < 2) {
          client.reset(call.client, anyCode(random));
          reset.push(call);
        } else if (whose < 4) {
          const { stream, connection } = call.backend!;
          connection.reset(stream, anyCode(random));
        }
      }
      const honestly = arena.beside(callHonestlyMoreThanOnce(random.fork(), honest));
      if (random.chance(0.7)) await cancelled(client, reset);
      const leave = random.int(0, 2);
      if (leave !== 0) await client.leave(random.pick(WAYS_TO_LEAVE));
      if (leave !== 1) await Promise.all(backend.connections.map((c) => c.leave(random.pick(WAYS_TO_LEAVE))));
      await honestly;
    });
  },
};

function request(random: Random): Buffer {
  return encodeMessage(random.bytes(random.int(0, random.pick([100, 60_000, 400_000]))));
}

/** Sends more than a client takes that gives no window; it is never told that all has come. */
async function answer(random: Random, connection: RawConnection, stream: RawStream): Promise<void> {
  if (random.chance(0.2)) return;
  connection.sendHeaders(stream, RESPONSE);
  const all = await connection.sendData(stream, request(random));
  if (all && random.chance(0.3)) connection.sendHeaders(stream, ['grpc-status', '0'], true);
}

/** "Client resets or disconnects: every destination's stream is reset with CANCEL" (BEHAVIOUR.md section 3). */
async function cancelled(client: RawConnection, reset: readonly Stuck[]): Promise<void> {
  await ended('the proxy to take resets', client.roundTrip());
  for (const { name, backend } of reset) {
    const { stream, connection } = backend!;
    // One that the backend has answered, or reset, on its own is over for it.
    const isOver = (): boolean => stream.isOver || stream.resetCode !== undefined;
    await ended(`call ${name}, reset by its client, to be cancelled`, connection.until(isOver));
    if (!isOver()) violated('the connection to a backend was closed because of a client');
    if (stream.resetCode !== undefined && stream.resetCode !== CANCEL) {
      violated('a call that its client reset was reset with another code', stream.describe());
    }
  }
}
