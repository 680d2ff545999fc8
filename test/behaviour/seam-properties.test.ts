import assert from 'node:assert/strict';
import { setTimeout as after, setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type CallOutcome,
  type ClientConn,
  Code,
  type Destination,
  encodeMessage,
  type ResponseVerdict,
  type Secondaries,
  type ShadowDestination,
  type ShadowOutcome,
  type StreamParameters,
} from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { ComparingMemory } from '../../lib/proxy/compare/allowance.js';
import { compareWithin } from '../../lib/proxy/compare/compare-responses.js';
import { checkedSettings } from '../../lib/proxy/compare/settings.js';
import { shadowBytes } from '../../lib/proxy/shadow-bytes.js';
import { behaviour } from '../support/behaviour.js';
import { cut } from '../support/chunks.js';
import { eventually } from '../support/eventually.js';
import { ErrorCode } from '../support/frame.js';
import { type OnRequest, type Request, respond } from '../support/http2-backend.js';
import { collectResponse, type Http2Client } from '../support/http2-client.js';
import { within } from '../support/within.js';

// Whatever destinations do, in whatever roles: each call, shadow and comparison ends once, who is sent the end of a
// request has been sent all of it, and nothing stays held.

const DESTINATIONS = 5;
const ANSWER = encodeMessage(Buffer.from('the answer'));
const REPLACEMENT = encodeMessage(Buffer.from('instead'));
const MOMENT = 20;

/** What a backend does with a call. */
const WAYS: Readonly<Record<string, (request: Request) => unknown>> = {
  ok: async ({ stream, body }) => {
    if (!(await body()).aborted) respond(stream, ANSWER);
  },
  late: async ({ stream, body }) => {
    await after(MOMENT);
    if (!(await body()).aborted && !stream.destroyed) respond(stream, ANSWER);
  },
  'headers first': async ({ stream, body }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.write(ANSWER);
    await body();
    if (!stream.destroyed) stream.end();
  },
  early: ({ stream }) => respond(stream, ANSWER),
  fail: async ({ stream, body }) => {
    if (!(await body()).aborted) respond(stream, ANSWER, { 'grpc-status': '14' });
  },
  'fail at once': ({ stream }) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
      { endStream: true },
    );
  },
  reset: async ({ stream, body }) => {
    if (!(await body()).aborted) setImmediate(() => stream.close(ErrorCode.INTERNAL_ERROR));
  },
  // Not while the session receives: on Node 20 it may write into memory without end then (transport/http2/stream.ts).
  refuse: ({ stream }) => setImmediate(() => stream.close(ErrorCode.REFUSED_STREAM)),
  'be gone': ({ stream }) => setImmediate(() => stream.session?.destroy()),
  silent: ({ stream }) => stream.resume(),
  'stand still': () => {},
};

const destination = fc.record({
  /** Of one attempt after the other; the last one for all further. */
  ways: fc.array(fc.constantFrom(...Object.keys(WAYS)), { minLength: 1, maxLength: 2 }),
  role: fc.constantFrom('secondary', 'shadow'),
  isReplaced: fc.boolean(),
  swallows: fc.constantFrom('no', 'at once', 'later'),
  maxLagBytes: fc.constantFrom(undefined, 0, 10_000),
  graceMilliseconds: fc.constantFrom(undefined, 0, MOMENT),
  percent: fc.constantFrom(undefined, 50),
});
type GivenDestination = typeof destination extends fc.Arbitrary<infer T> ? T : never;

const script = fc.record({
  lengths: fc.array(
    fc.oneof({ weight: 4, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.nat(200_000) }),
    { maxLength: 4 },
  ),
  sizes: fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 6 }),
  /** The client's, as it goes on. */
  end: fc.constantFrom(
    'half-close',
    'half-close',
    'half-close',
    'cancel',
    'cancel behind it',
    'half a message',
  ),
  director: fc.constantFrom('at once', 'peek', 'later'),
  retries: fc.boolean(),
  destinations: fc.array(destination, { minLength: 1, maxLength: DESTINATIONS }),
  need: fc.option(fc.integer({ min: 1, max: DESTINATIONS - 1 })),
});
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

/** What is known of one call. */
interface Observed {
  readonly script: Script;
  readonly messages: readonly Buffer[];
  readonly attempts: number[];
  /** By destination, the requests that came to their end. */
  readonly whole: { readonly index: number; readonly body: Buffer }[];
  readonly outcomes: CallOutcome[];
  readonly shadows: ShadowOutcome[];
  readonly verdicts: ResponseVerdict[];
}

function parametersOf({ script }: Observed, conns: readonly ClientConn[]): StreamParameters {
  const of = (given: GivenDestination, index: number): ShadowDestination => ({
    conn: conns[index]!,
    msg: given.isReplaced ? REPLACEMENT.subarray(5) : undefined,
    maxLagBytes: given.maxLagBytes,
    graceMilliseconds: given.graceMilliseconds,
    percent: given.percent,
    errHandler: (error) => {
      if (given.swallows === 'no') return error;
      return given.swallows === 'at once' ? null : after(MOMENT / 2, null);
    },
  });
  const all = script.destinations.map((given, index) => ({ ...of(given, index), role: given.role }));
  const [primary, ...others] = all;
  const list: readonly Destination[] = others.filter(({ role }) => role === 'secondary');
  const { need } = script;
  const secondaries: Secondaries =
    need === null || list.length === 0 ? list : { of: list, need: Math.min(need, list.length) };
  const retry = {
    maxAttempts: 3,
    codes: [Code.UNAVAILABLE],
    initialBackoff: 2,
    maxBackoff: 5,
    multiplier: 1,
  };
  return {
    primary: primary!,
    secondaries,
    shadows: others.filter(({ role }) => role === 'shadow'),
    callOptions: { waitForReady: true, retry: script.retries ? retry : undefined },
  };
}

async function send(client: Http2Client, path: string, { script, messages }: Observed): Promise<void> {
  const stream = client.open(path, { 'grpc-timeout': '300m' }, true);
  const response = collectResponse(stream);
  stream.on('wantTrailers', () => stream.sendTrailers({}));
  const bytes = Buffer.concat(messages);
  const isHalf = script.end === 'half a message' && bytes.length > 0;
  for (const chunk of cut(isHalf ? bytes.subarray(0, -1) : bytes, script.sizes)) {
    if (!stream.destroyed) stream.write(chunk);
    await turn();
  }
  if (script.end === 'cancel') stream.close(ErrorCode.CANCEL);
  else if (!stream.destroyed) stream.end();
  if (script.end === 'cancel behind it') {
    await after(MOMENT / 2);
    stream.close(ErrorCode.CANCEL);
  }
  await within(15_000, 'the call', response);
}

/** What must be true of a call that has ended, with all that belongs to it. */
function check({ script, messages, whole, outcomes, shadows, verdicts }: Observed): void {
  for (const { index, body } of whole) {
    const { isReplaced } = script.destinations[index]!;
    const expected = Buffer.concat(isReplaced ? [REPLACEMENT, ...messages.slice(1)] : messages);
    assert.ok(body.equals(expected), `destination ${index} got ${body.length} bytes, not ${expected.length}`);
    assert.notEqual(script.end, 'cancel');
    if (messages.length > 0) assert.notEqual(script.end, 'half a message');
  }
  const [outcome] = outcomes;
  assert.equal(outcomes.length, 1);
  const ends = [...outcome!.destinations, ...outcome!.shadows];
  assert.equal(verdicts.length, Math.max(0, ends.length - 1), 'verdicts');
  const later = outcome!.destinations.filter(({ isRunning }) => isRunning === true);
  assert.equal(shadows.length, outcome!.shadows.length + later.length, 'ends of shadows');
  const [primary] = outcome!.destinations;
  for (const verdict of verdicts) {
    const end = [...shadows, ...ends].find(
      ({ role, target }) => role === verdict.role && target === verdict.target,
    );
    const { failure } = primary!;
    const isCut = failure !== undefined && end?.failure?.error === failure.error;
    const areWhole = [failure, end?.failure].every(
      (one) => one === undefined || one.reason === 'backend_status',
    );
    if (isCut || !areWhole) assert.equal(verdict.result, 'inconclusive', JSON.stringify(verdict));
    else assert.notEqual(verdict.result, 'inconclusive', JSON.stringify(verdict));
    if (verdict.result === 'different') assert.ok(verdict.at === 'status' || verdict.at === 'messages');
  }
}

behaviour('whatever destinations do, everything ends once, and nothing stays held', async (t, world) => {
  const running = new Map<string, Observed>();
  const onRequest =
    (index: number): OnRequest =>
    (request) => {
      const { script, attempts, whole } = running.get(String(request.headers[':path']))!;
      const { ways } = script.destinations[index]!;
      const attempt = attempts[index] ?? 0;
      attempts[index] = attempt + 1;
      const body = async () => {
        const collected = await request.body();
        if (!collected.aborted) whole.push({ index, body: collected.data });
        return collected;
      };
      void WAYS[ways[Math.min(attempt, ways.length - 1)]!]!({ ...request, body });
    };
  const conns: ClientConn[] = [];
  for (let i = 0; i < DESTINATIONS; i++) {
    const { port } = await world.http2Backend(onRequest(i));
    conns.push(world.dial(port));
  }
  const memory = new ComparingMemory(2 ** 26);
  const settings = checkedSettings({
    onVerdict: (verdict) => running.get(verdict.method)!.verdicts.push(verdict),
  });
  const proxy = await world.proxy(
    (_ctx, method, peeker) => {
      const observed = running.get(method)!;
      const parameters = compareWithin(memory, parametersOf(observed, conns), settings);
      if (observed.script.director === 'at once') return parameters;
      const when = observed.script.director === 'peek' ? peeker.peek() : after(MOMENT / 4);
      return Promise.resolve(when).then(() => parameters);
    },
    {
      observer: {
        onCall: (outcome) => void running.get(outcome.method)!.outcomes.push(outcome),
        onShadow: (outcome) => void running.get(outcome.method)!.shadows.push(outcome),
      },
    },
  );
  const client = world.http2Client(proxy.port);
  let calls = 0;
  const property = fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 4 }), async (scripts) => {
    const all: Observed[] = [];
    await Promise.all(
      scripts.map((script) => {
        const messages = script.lengths.map((length, i) => encodeMessage(Buffer.alloc(length, `${i}, `)));
        const path = `/test.Service/Call${calls++}`;
        const observed = {
          script,
          messages,
          attempts: [],
          whole: [],
          outcomes: [],
          shadows: [],
          verdicts: [],
        };
        running.set(path, observed);
        all.push(observed);
        return send(client, path, observed);
      }),
    );
    await eventually(
      'all has ended',
      () =>
        heldBytes() === 0 &&
        shadowBytes() === 0 &&
        memory.held === 0 &&
        all.every(({ outcomes, shadows }) => {
          const [outcome] = outcomes;
          if (outcome === undefined) return false;
          const later = outcome.destinations.filter(({ isRunning }) => isRunning === true);
          return shadows.length >= outcome.shadows.length + later.length;
        }),
    );
    for (const observed of all) check(observed);
  });
  await t.resolves(fc.assert(property, { numRuns: 8, endOnFailure: true }));
});
