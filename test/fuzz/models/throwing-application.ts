import { getEventListeners } from 'node:events';
import {
  type CallContext,
  type CallOutcome,
  type Destination,
  type ResponseObserver,
  StatusError,
  type StreamInterceptor,
} from '../../../lib/index.js';
import { RESPONSE } from '../../support/fields.js';
import { shortMessages } from '../../support/hostile-frames.js';
import { fieldValue, type Http2Client, type Response } from '../../support/http2-client.js';
import type { Random } from '../../support/random.js';
import { Arena, ended } from '../arena.js';
import { callHonestlyMoreThanOnce, ECHO, statusOf } from '../honest.js';
import type { Model } from '../model.js';
import { violated } from '../violated.js';

/** Where the application's code runs in a call. */
const PLACES = [
  'outer interceptor',
  'outer interceptor, after',
  'inner interceptor',
  'inner interceptor, after',
  'director',
  'credentials',
  'onHeaders',
  'onTrailers',
  'onFinish',
  'observer.onHeaders',
  'observer.onMessage',
  'observer.onStatus',
  'errHandler',
  'secondary’s errHandler',
  'requestFinalizer',
  'onCall',
] as const;
type Place = (typeof PLACES)[number];

/** Those that only look on: what they throw is a warning. */
const ONLOOKERS: ReadonlySet<Place> = new Set([
  'onHeaders',
  'onTrailers',
  'onFinish',
  'observer.onHeaders',
  'observer.onMessage',
  'observer.onStatus',
  'onCall',
]);

/** What it does there. */
type Deed = 'throw' | 'reject' | 'late' | 'hang' | 'nonsense';

/** What the application does in one call. */
interface Plan {
  readonly deeds: ReadonlyMap<Place, Deed>;
  readonly thrown: ReadonlyMap<Place, unknown>;
  readonly fails: boolean;
  readonly copies: boolean;
}

/**
 * Applications whose call-backs throw anything, reject, answer late, with nonsense, or not before the deadline: calls
 * end with the status of what failed first, and others don't notice.
 */
export const throwingApplication: Model = {
  name: 'throwing-application',
  async run(random, setting) {
    await Arena.run(setting, {}, async (arena) => {
      const echo = await arena.echo();
      const failing = await arena.backend(() => ({
        onStream: (stream, connection) => {
          connection.sendHeaders(stream, [...RESPONSE, 'grpc-status', '10'], true);
          connection.reset(stream, 0);
        },
      }));
      const failed = arena.dial(failing.port);
      const plans = new Map<string, Plan>();
      const shared = new AbortController();
      const planOf = (ctx: CallContext) => plans.get(fieldValue(ctx.headers, 'x-call') ?? '') ?? NOTHING;
      const port = await arena.proxy(
        (ctx) => {
          const plan = planOf(ctx);
          return act(plan, 'director', ctx, () => {
            const conn = plan.fails ? failed : echo;
            const primary: Destination = {
              conn,
              ctx: ctx.withSignal(shared.signal),
              observer: observerOf(plan, ctx),
              errHandler: (error) => act(plan, 'errHandler', ctx, () => error),
            };
            const secondary: Destination = {
              ...primary,
              observer: undefined,
              errHandler: () => act(plan, 'secondary’s errHandler', ctx, () => null),
            };
            return {
              primary,
              secondaries: plan.copies ? [secondary] : [],
              requestFinalizer: () => act(plan, 'requestFinalizer', ctx, () => undefined),
              callOptions: {
                credentials: plan.deeds.has('credentials')
                  ? () => act(plan, 'credentials', ctx, () => ctx.metadata)
                  : undefined,
                onHeaders: () => act(plan, 'onHeaders', ctx, () => undefined),
                onTrailers: () => act(plan, 'onTrailers', ctx, () => undefined),
                onFinish: () => act(plan, 'onFinish', ctx, () => undefined),
              },
            };
          });
        },
        {
          interceptors: [intercept(planOf, 'outer interceptor'), intercept(planOf, 'inner interceptor')],
          observer: {
            onCall(outcome: CallOutcome) {
              arena.outcomes.push(outcome);
              return act(planOf(outcome.context), 'onCall', outcome.context, () => undefined);
            },
          },
        },
      );
      const honest = arena.client(port);
      const client = arena.client(port);
      const calls = Array.from({ length: random.int(1, 8) }, (_, i) => {
        const plan = makePlan(random);
        plans.set(`${i}`, plan);
        return call(random.fork(), client, `${i}`, plan);
      });
      await Promise.all([...calls, callHonestlyMoreThanOnce(random.fork(), honest)]);
      const listeners = getEventListeners(shared.signal, 'abort').length;
      if (listeners > 0) violated(`${listeners} listeners are left on a signal that calls shared`);
    });
  },
};

const NOTHING: Plan = { deeds: new Map(), thrown: new Map(), fails: false, copies: false };

function makePlan(random: Random): Plan {
  const deeds = new Map<Place, Deed>();
  const thrown = new Map<Place, unknown>();
  do {
    const place = random.pick(PLACES);
    deeds.set(place, random.pick(['throw', 'throw', 'reject', 'late', 'hang', 'nonsense']));
    thrown.set(place, anything(random));
  } while (random.chance(0.3));
  return { deeds, thrown, fails: random.chance(0.4), copies: random.chance(0.3) };
}

/** Things that JavaScript lets be thrown. */
function anything(random: Random): unknown {
  return random.pick<() => unknown>([
    () => new Error('an error'),
    () => new StatusError(random.int(1, 16), 'a status'),
    () => Object.create(new StatusError(5, 'a descendant')),
    () => 'a string',
    () => undefined,
    () => null,
    () => 0,
    () => Symbol('s'),
    () => Object.create(null),
    () => Object.defineProperty(new Error(), 'message', { get: throwIt }),
    () => Object.defineProperty(new Error('a stack'), 'stack', { get: throwIt }),
    () => new Proxy({}, { get: throwIt, has: throwIt, getPrototypeOf: throwIt }),
  ])();
}

function throwIt(): never {
  throw new Error('a trap');
}

/** Does what the plan says at a place. */
function act<T>(plan: Plan, place: Place, ctx: CallContext, otherwise: () => T): T {
  const thrown = plan.thrown.get(place);
  switch (plan.deeds.get(place)) {
    case 'throw':
      throw thrown;
    case 'reject':
      return untyped(Promise.reject(thrown));
    case 'late':
      return untyped(new Promise((resolve) => setImmediate(() => resolve(otherwise()))));
    case 'hang':
      return untyped(aborted(ctx.signal));
    case 'nonsense':
      return untyped(thrown);
    default:
      return otherwise();
  }
}

/** A value that the types forbid. */
function untyped<T>(value: unknown): T {
  return value as T;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function observerOf(plan: Plan, ctx: CallContext): ResponseObserver {
  return {
    onHeaders: () => act(plan, 'observer.onHeaders', ctx, () => undefined),
    onMessage: () => act(plan, 'observer.onMessage', ctx, () => undefined),
    onStatus: () => act(plan, 'observer.onStatus', ctx, () => undefined),
  };
}

function intercept(
  planOf: (ctx: CallContext) => Plan,
  place: 'outer interceptor' | 'inner interceptor',
): StreamInterceptor {
  return async (stream, next) => {
    const plan = planOf(stream.context);
    await act(plan, place, stream.context, () => undefined);
    await next();
    await act(plan, `${place}, after`, stream.context, () => undefined);
  };
}

/** Calls, and judges what comes of it. */
async function call(random: Random, client: Http2Client, name: string, plan: Plan): Promise<void> {
  const hangs = [...plan.deeds.values()].includes('hang');
  const headers = { 'x-call': name, ...(hangs ? { 'grpc-timeout': '30m' } : {}) };
  const body = shortMessages(random);
  const answer = await ended(`call ${name}`, client.call(ECHO, body, headers));
  judge(plan, body, answer, hangs);
}

function judge(plan: Plan, body: Buffer, answer: Response, hangs: boolean): void {
  const status = statusOf(answer);
  const told = [...plan.deeds].map(([place, deed]) => `${place}: ${deed}`);
  const tell = (what: string) => violated(what, told, { fails: plan.fails, copies: plan.copies }, answer);
  if (status === undefined) tell('a call without a status');
  if (!body.subarray(0, answer.data.length).equals(answer.data)) tell('other bytes came back');
  // Time may be over before anything else is.
  if (hangs && status === '4') return;
  const decisive = [...plan.deeds].filter(([place, deed]) => !ONLOOKERS.has(place) && deed !== 'late');
  if (decisive.length === 0 && !hangs) {
    const expected = plan.fails ? ['10'] : ['0'];
    // A secondary that fails, too, is swallowed by its handler.
    if (!expected.includes(status!)) tell('onlookers changed a status');
  }
  if (status === '0' && plan.fails && !plan.deeds.has('errHandler')) tell('an OK that no backend gave');
  if (status === '0' && plan.deeds.get('director') === 'throw') tell('an OK without a director');
  if (status === '0' && !plan.fails && !answer.data.equals(body)) tell('an OK without all bytes');
}
