import { encodeMessage } from '../../../lib/index.js';
import { RESPONSE, requestTo, TRAILERS } from '../../support/fields.js';
import { fieldValue } from '../../support/http2-client.js';
import type { Random } from '../../support/random.js';
import { Arena, ended } from '../arena.js';
import { callHonestlyMoreThanOnce } from '../honest.js';
import type { Model } from '../model.js';
import { anyCode, type RawConnection, WAYS_TO_LEAVE, type WayToLeave } from '../raw-connection.js';
import type { RawStream } from '../raw-stream.js';
import { violated } from '../violated.js';

const REFUSED_STREAM = 7;
const CANCELLED = 1;
const INTERNAL = '13';
const UNAVAILABLE = '14';
const UNKNOWN = '2';

/** By RST_STREAM's code (BEHAVIOUR.md section 4); others are UNKNOWN. */
const STATUS_OF_CODE: Readonly<Record<number, string>> = {
  0: INTERNAL,
  1: INTERNAL,
  2: INTERNAL,
  3: INTERNAL,
  4: INTERNAL,
  6: INTERNAL,
  7: UNAVAILABLE,
  8: '1',
  9: INTERNAL,
  10: INTERNAL,
  11: '8',
  12: '7',
};

/** What a backend does with a call, each time that it gets it. */
interface Plan {
  readonly headers: boolean;
  readonly body: Buffer;
  readonly waitsForEnd: boolean;
  readonly code: number;
}

/** Backends reset calls with every code, at every time, and leave: clients are told what the table says. */
export const backendResets: Model = {
  name: 'backend-resets',
  async run(random, setting) {
    await Arena.run(setting, {}, async (arena) => {
      const echo = await arena.echo();
      const plans = new Map<string, Plan>();
      const attempts = new Map<string, number>();
      const leaves: WayToLeave | undefined = random.chance(0.5) ? random.pick(WAYS_TO_LEAVE) : undefined;
      const leavesAfter = random.int(1, 8);
      let resets = 0;
      const backend = await arena.backend(() => ({
        onStream: (stream, connection) => {
          const name = stream.field('x-call') ?? '';
          attempts.set(name, (attempts.get(name) ?? 0) + 1);
          void carryOut(plans.get(name)!, stream, connection).then(() => {
            if (leaves !== undefined && ++resets === leavesAfter) void connection.leave(leaves);
          });
        },
      }));
      const conn = arena.dial(backend.port);
      const port = await arena.proxy((ctx) => ({
        primary: { conn: ctx.metadata.has('x-call') ? conn : echo },
      }));
      const client = await arena.peer(port);
      const calls = Array.from({ length: random.int(1, 8) }, async (_, i) => {
        const plan = planOf(random);
        plans.set(`${i}`, plan);
        const stream = client.request([...requestTo('/fuzz.Service/Reset'), 'x-call', `${i}`]);
        const body = encodeMessage(random.bytes(random.int(0, 3000)));
        await client.sendData(stream, body, true);
        await ended(
          `call ${i}, reset with ${plan.code}`,
          client.until(() => stream.isDone),
        );
        if (client.isClosed) violated('the proxy has closed a connection that keeps the protocol');
        judge(plan, stream, leaves !== undefined, attempts.get(`${i}`) ?? 0);
      });
      await Promise.all([...calls, callHonestlyMoreThanOnce(random.fork(), arena.client(port))]);
    });
  },
};

function planOf(random: Random): Plan {
  const headers = random.chance(0.6);
  const message = encodeMessage(random.bytes(random.int(0, 2000)));
  const body = message.subarray(0, random.chance(0.5) ? message.length : random.int(0, message.length));
  return { headers, body, waitsForEnd: random.chance(0.5), code: anyCode(random) };
}

async function carryOut(plan: Plan, stream: RawStream, connection: RawConnection): Promise<void> {
  if (plan.waitsForEnd) await connection.until(() => stream.isDone);
  if (plan.headers) {
    connection.sendHeaders(stream, RESPONSE);
    if (plan.body.length > 0) await connection.sendData(stream, plan.body);
  }
  connection.reset(stream, plan.code);
}

function judge({ code, headers, body }: Plan, stream: RawStream, leaves: boolean, attempts: number): void {
  const expected = new Set([STATUS_OF_CODE[code] ?? UNKNOWN]);
  // By a connection that is lost, and whose last words may be, too.
  if (leaves) expected.add(UNAVAILABLE);
  if (stream.status === undefined || !expected.has(stream.status)) {
    violated(`a call that was reset with ${code} ended otherwise`, stream.describe());
  }
  if (!body.subarray(0, stream.received).equals(stream.data)) violated('bytes that the backend never sent');
  const most = code === REFUSED_STREAM && !headers ? 2 : 1;
  if (attempts > most && !leaves) violated(`a call that was reset with ${code} was tried ${attempts} times`);
}

/** Clients reset their calls with every code, at every time, and leave: backends are told CANCEL. */
export const clientResets: Model = {
  name: 'client-resets',
  async run(random, setting) {
    await Arena.run(setting, {}, async (arena) => {
      const echo = await arena.echo();
      const backendStreams: { stream: RawStream; connection: RawConnection }[] = [];
      const replies = random.fork();
      const backend = await arena.backend(() => ({
        onStream: (stream, connection) => {
          backendStreams.push({ stream, connection });
          if (replies.chance(0.5)) return;
          connection.sendHeaders(stream, RESPONSE);
          if (replies.chance(0.2)) connection.sendHeaders(stream, TRAILERS, true);
        },
      }));
      const conn = arena.dial(backend.port);
      const port = await arena.proxy(async (ctx, method, peeker) => {
        if (method.endsWith('Peek')) await peeker.peek();
        const isHonest = !ctx.metadata.has('x-call');
        return {
          primary: { conn: isHonest ? echo : conn },
          secondaries: method.endsWith('Copy') ? [{ conn }] : [],
        };
      });
      const honest = arena.client(port);
      const client = await arena.peer(port);
      const streams = Array.from({ length: random.int(1, 12) }, () => {
        const path = `/fuzz.Service/${random.pick(['Plain', 'Peek', 'Copy'])}`;
        const stream = client.request([...requestTo(path), 'x-call', '1']);
        const body = encodeMessage(random.bytes(random.int(0, 2000)));
        const cut = random.chance(0.5) ? body.length : random.int(0, body.length);
        if (random.chance(0.8)) void client.sendData(stream, body.subarray(0, cut), random.chance(0.3));
        return stream;
      });
      if (random.chance(0.7)) await ended('the proxy to take calls', client.roundTrip());
      for (const stream of streams) if (random.chance(0.8)) client.reset(stream, anyCode(random));
      const honestly = arena.beside(callHonestlyMoreThanOnce(random.fork(), honest));
      if (random.chance(0.5)) await ended('the proxy to take resets', client.roundTrip());
      await ended('the client to leave', client.leave(random.pick(WAYS_TO_LEAVE)));
      await honestly;
      for (const { stream, connection } of backendStreams) {
        const isOver = (): boolean => stream.isOver || stream.resetCode !== undefined;
        await ended('the cancel of a call whose client has gone', connection.until(isOver));
        if (!isOver()) violated('the connection to a backend was closed because of a client');
        if (stream.resetCode !== undefined && stream.resetCode !== 8) {
          violated('a call whose client has gone was reset with another code', stream.describe());
        }
      }
      for (const { context, failure } of arena.outcomes) {
        if (fieldValue(context.headers, 'x-call') === undefined || failure === undefined) continue;
        if (failure.error.code !== CANCELLED && failure.reason !== 'client_protocol') {
          violated('a call whose client has gone ended otherwise', failure.reason, failure.error.message);
        }
      }
    });
  },
};
