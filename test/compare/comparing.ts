import { once } from 'node:events';
import {
  compareResponses,
  dial,
  type ResponseVerdict,
  Server,
  transparentHandler,
  VerdictCounts,
} from '../../lib/index.js';
import { deferred } from '../support/deferred.js';
import { Http2Backend } from '../support/http2-backend.js';
import { collectResponse, Http2Client } from '../support/http2-client.js';
import { Random } from '../support/random.js';
import type { Transports } from '../support/transports.js';
import { answer, KINDS, type Kind, type Plant, request } from './kinds.js';

export interface Load {
  readonly calls: number;
  readonly concurrency: number;
  readonly seed: number;
  readonly transports: Transports;
  /** All kinds by default. */
  readonly kinds?: readonly Kind[];
  /** Messages of each `server-stream`; 20 by default. */
  readonly streamLength?: number;
  /** What the second backend answers otherwise; by default nothing. */
  readonly plant?: Plant;
}

/** What came of a load. */
export interface Compared {
  readonly counts: VerdictCounts;
  /** Those that are not `same`. */
  readonly others: readonly ResponseVerdict[];
  readonly verdicts: number;
  readonly milliseconds: number;
}

/** Makes calls through a proxy to two backends of the same version, and compares what they answer. */
export async function compareUnderLoad(load: Load): Promise<Compared> {
  const { transports, seed, kinds = KINDS, streamLength = 20, plant } = load;
  const random = new Random(seed);
  const backends: Http2Backend[] = [];
  for (const [gzipLevel, planted] of [
    [1, undefined],
    [9, plant],
  ] as const) {
    const options = { gzipLevel, random: random.fork(), streamLength, plant: planted };
    backends.push(await Http2Backend.start((received) => void answer(received, options)));
  }
  const conns = backends.map(({ port }) => dial(`127.0.0.1:${port}`, { transport: transports.client }));
  const counts = new VerdictCounts();
  const others: ResponseVerdict[] = [];
  let verdicts = 0;
  const director = () => {
    const told = deferred();
    const parameters = {
      // A failing primary ends the call; the other one is to come to its end, too.
      primary: { conn: conns[0]!, errHandler: (error: Error) => told.promise.then(() => error) },
      secondaries: [{ conn: conns[1]!, errHandler: () => null }],
    };
    const onVerdict = (verdict: ResponseVerdict): void => {
      verdicts++;
      counts.add(verdict);
      if (verdict.result !== 'same') others.push(verdict);
      told.resolve();
    };
    return compareResponses(parameters, { onVerdict });
  };
  const server = new Server({
    transport: transports.server,
    unknownServiceHandler: transparentHandler(director),
  });
  const address = await server.listen('127.0.0.1:0');
  const client = new Http2Client(address.port);
  const startedAt = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < load.calls) {
      const call = next++;
      await callOnce(client, kinds[call % kinds.length]!, call);
    }
  };
  try {
    await Promise.all(Array.from({ length: load.concurrency }, work));
    while (verdicts < load.calls) await new Promise(setImmediate);
    return { counts, others, verdicts, milliseconds: performance.now() - startedAt };
  } finally {
    client.destroy();
    server.destroy();
    for (const conn of conns) conn.destroy();
    for (const backend of backends) backend.destroy();
  }
}

async function callOnce(client: Http2Client, kind: Kind, call: number): Promise<void> {
  const stream = client.open(`/compare/${kind}`, { 'x-call': String(call) });
  const response = collectResponse(stream);
  for (const message of request(kind, call)) {
    stream.write(message);
    // Not all of it at once: a call of two directions takes turns.
    if (kind === 'bidi') await Promise.race([once(stream, 'data'), response]);
  }
  stream.end();
  const { headers } = await response;
  if (headers === undefined) throw new Error(`call ${call}, ${kind}, was not answered`);
}
