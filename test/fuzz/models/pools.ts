import { requestTo } from '../../support/fields.js';
import { shortMessages } from '../../support/hostile-frames.js';
import type { Random } from '../../support/random.js';
import { Arena, ended } from '../arena.js';
import { callHonestlyMoreThanOnce } from '../honest.js';
import type { Model } from '../model.js';
import type { RawConnection } from '../raw-connection.js';
import type { RawStream } from '../raw-stream.js';
import { violated } from '../violated.js';
import { type Attempt, FickleConnection } from './fickle-connection.js';

/**
 * A backend whose connections go away (with running streams or none, and a last stream that leaves some out), refuse
 * streams, allow few of them, or are closed as soon as they are accepted. A call that it has not seen is tried again; a
 * call that it has answered is answered; none gets there more than twice.
 */
export const pools: Model = {
  name: 'pools',
  async run(random, setting) {
    await Arena.run(setting, {}, async (arena) => {
      const echo = await arena.echo();
      const attempts = new Map<string, Attempt[]>();
      const drops = random.chance(0.2) ? random.int(1, 3) : 0;
      const habits = random.fork();
      const connections: FickleConnection[] = [];
      // A connection that leaves may do so before it has seen a call that is on its way. The backoff begins with the first
      // one that can't be made, or the second that is lost before it was of use.
      const mayLose = (waits: boolean): boolean => {
        if (connections.some(({ hasLeft }) => hasLeft)) return true;
        return !waits && (drops > 0 || connections.filter(({ isUseless }) => isUseless).length > 1);
      };
      const backend = await arena.backend((index) => {
        if (index < drops) return undefined;
        const connection = new FickleConnection(habits.fork(), attempts);
        connections.push(connection);
        return connection.options;
      });
      const startedAt = performance.now();
      const conn = arena.dial(backend.port, { limits: { maxConnections: random.pick([2, 3, 100]) } });
      const port = await arena.proxy((ctx) => {
        if (!ctx.metadata.has('x-call')) return { primary: { conn: echo } };
        return { primary: { conn }, callOptions: { waitForReady: ctx.metadata.has('x-waits') } };
      });
      const honestly = arena.beside(callHonestlyMoreThanOnce(random.fork(), arena.client(port)));
      const client = await arena.peer(port);
      const calls: Promise<void>[] = [];
      for (let i = 0, most = random.int(1, 16); i < most; i++) {
        const mine: Attempt[] = [];
        attempts.set(`${i}`, mine);
        const called = call(random.fork(), client, `${i}`, mine, mayLose);
        calls.push(arena.beside(called));
        if (random.chance(0.4)) await called;
      }
      await Promise.all([...calls, honestly]);
      // One that was of use is followed by another at once, twice if that was of none; then the backoff holds: at first
      // 1 s, less a fifth. One more a second is made where streams are refused.
      const useful = backend.connections.filter(({ streams }) => streams.size > 0).length;
      const most = 3 + 3 * useful + ((performance.now() - startedAt) * 2) / 800;
      if (backend.accepted > most)
        violated(`${backend.accepted} connections, of which ${useful} were of use`);
    });
  },
};

async function call(
  random: Random,
  client: RawConnection,
  name: string,
  attempts: readonly Attempt[],
  mayLose: (waits: boolean) => boolean,
): Promise<void> {
  const waits = random.chance(0.03) ? ['x-waits', '1'] : [];
  const stream = client.request([...requestTo('/fuzz.Service/Pool'), 'x-call', name, ...waits]);
  const body = shortMessages(random);
  await client.sendData(stream, body, true);
  await ended(
    `call ${name}`,
    client.until(() => stream.isDone),
  );
  judge(stream, body, attempts, mayLose(waits.length > 0));
}

function judge(stream: RawStream, body: Buffer, attempts: readonly Attempt[], mayLose: boolean): void {
  const tell = (what: string) => violated(what, attempts, stream.describe());
  const states = attempts.map(({ state }) => state);
  if (states.length > 2) tell('a call was tried more than twice');
  if (stream.status === '0') {
    if (!states.includes('answered') && !states.includes('unsure')) tell('an OK that the backend never gave');
    if (!stream.data.equals(body)) tell('other bytes came back');
    return;
  }
  if (stream.status !== '14') tell('a call ended otherwise');
  const refused = states.filter((state) => state === 'refused').length;
  const isRight = states.includes('unsure') || refused === 2 || (mayLose && refused === states.length);
  if (!isRight) tell('a call failed for nothing');
}
