import { setTimeout as sleep } from 'node:timers/promises';
import { collectAnswer } from '../../support/answer.js';
import type { StreamLog } from '../../support/frame-log.js';
import { HostileBackend } from '../../support/hostile-backend.js';
import { messages, shortMessages } from '../../support/hostile-frames.js';
import { fieldValue, type Http2Client, type Response } from '../../support/http2-client.js';
import type { Random } from '../../support/random.js';
import { Arena, ended } from '../arena.js';
import { callHonestlyMoreThanOnce, ECHO, statusOf } from '../honest.js';
import type { Model } from '../model.js';
import { violated } from '../violated.js';

/** Backends that answer wrongly in every way harm no calls but those to them. */
export const hostileBackends: Model = {
  name: 'hostile-backends',
  async run(random, setting) {
    await Arena.run(setting, { client: true }, async (arena) => {
      const echo = await arena.echo();
      const backend = await HostileBackend.start(random.fork(), setting.wire);
      arena.closeLast(backend);
      const conn = arena.dial(backend.port, {
        limits: { connectTimeoutMilliseconds: random.pick([50, 20_000]) },
      });
      const port = await arena.proxy((ctx) => {
        const call = ctx.metadata.get('x-call');
        if (call === undefined) return { primary: { conn: echo } };
        if (call === 'copy') {
          return { primary: { conn: echo }, secondaries: [{ conn, errHandler: () => null }] };
        }
        return { primary: { conn }, callOptions: { waitForReady: call.startsWith('last') } };
      });
      const honest = arena.client(port);
      // On node:http2 a zombie is found out only after 20 s.
      const endless = setting.client === 'frames' ? 0.3 : 0;
      const calls = Array.from({ length: random.int(1, 8) }, (_, i) =>
        callHostile(random.fork(), honest, `${i}`, backend, endless),
      );
      // What a connection has left undone is over when the connection is.
      const cutting = setInterval(() => void backend.cut(), 50);
      await Promise.all([
        ...calls,
        callHonestlyMoreThanOnce(random.fork(), honest),
        callWithCopy(random.fork(), honest),
      ]).finally(() => clearInterval(cutting));
      // Zombies get calls until they are found out.
      if (setting.client === 'frames' && random.chance(0.1)) await mend(random, backend, honest);
      await backend.cut();
    });
  },
};

/** A response that is what the backend said, if it claims to be one. */
function judge(answers: readonly StreamLog[], response: Response): void {
  const { data } = response;
  const status = statusOf(response);
  const said = answers.map(({ lists, begun, ended, reset }) => ({
    lists,
    bytes: begun.length,
    ended,
    reset,
  }));
  if (status === undefined) violated('no status', response, said);
  if (status === '0') {
    const earned = answers.some(
      (answer) => answer.status === '0' && answer.isWholeMessages && answer.data.equals(data),
    );
    if (!earned) violated('an OK that the backend never gave', response, said);
  } else {
    const begun = answers.some((answer) => answer.begun.subarray(0, data.length).equals(data));
    if (data.length > 0 && !begun) violated('bytes that the backend never sent', response, said);
  }
}

/**
 * A call to a hostile backend; its client reads slowly at times, so that the proxy must hold things back.
 *
 * @param endless how probably it has no deadline to speak of
 */
async function callHostile(
  random: Random,
  client: Http2Client,
  name: string,
  backend: HostileBackend,
  endless: number,
): Promise<void> {
  const timeout = random.chance(endless) ? '1H' : `${random.pick([10, 30, 60])}m`;
  const stream = client.open(ECHO, { 'x-call': name, 'grpc-timeout': timeout });
  const response = collectAnswer(stream);
  stream.write(messages(random));
  if (random.chance(0.2)) await sleep(random.int(0, 10));
  stream.end(messages(random));
  if (random.chance(0.5)) {
    stream.pause();
    await sleep(random.int(0, 20));
    stream.resume();
  }
  const answer = await ended(`call ${name} to a hostile backend`, response);
  judge(backend.answers.get(name) ?? [], answer);
}

/** A call to an honest backend of which a hostile one gets a copy. */
async function callWithCopy(random: Random, client: Http2Client): Promise<void> {
  const body = messages(random);
  const response = client.call(ECHO, body, { 'x-call': 'copy', 'grpc-timeout': '60m' });
  const answer = await ended('a copied call', response);
  const status = statusOf(answer);
  // The copy holds it back for as long as its backend likes.
  if (status !== '0' && status !== '4') violated('the copy of a call harmed it', answer);
  if (!answer.data.equals(status === '0' ? body : body.subarray(0, answer.data.length))) {
    violated('a copied call got other bytes', answer);
  }
}

/**
 * The backend behaves from now on: it is used again. A call on a connection that was cut, and is not known to be, is
 * UNAVAILABLE rightly, since its request may have been served; but once for each such connection.
 */
async function mend(random: Random, backend: HostileBackend, client: Http2Client): Promise<void> {
  backend.behaves = true;
  await backend.cut();
  const cut = backend.hostileConnections;
  for (let lost = 0; ; lost++) {
    const name = `last${lost}`;
    const answer = await ended(
      'a mended backend',
      client.call(ECHO, shortMessages(random), { 'x-call': name }),
    );
    judge(backend.answers.get(name) ?? [], answer);
    if (statusOf(answer) === '0') return;
    if (statusOf(answer) !== '14' || lost >= cut) {
      violated('a backend that has mended is not used', { lost, cut }, answer);
    }
    if (fieldValue(answer.trailers ?? answer.headers, 'grpc-message')?.includes('was lost') !== true) {
      violated('a call that waits for a connection failed for want of one', answer);
    }
  }
}
