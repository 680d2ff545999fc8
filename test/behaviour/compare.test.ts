import { AsyncLocalStorage } from 'node:async_hooks';
import { constants } from 'node:http2';
import type { Test } from 'tap';
import {
  Code,
  type CompareOptions,
  compareResponses,
  type Destination,
  encodeMessage,
  type ResponseObserver,
  type ResponseVerdict,
  type StreamParameters,
  VerdictCounts,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { untyped } from '../support/hostile-values.js';
import { type OnRequest, type Request, respond } from '../support/http2-backend.js';
import { ProcessEvents } from '../support/process-events.js';
import { METHOD, status } from '../support/unary.js';
import { within } from '../support/within.js';

const REQUEST = encodeMessage(Buffer.from('request'));

function messages(...payloads: (string | Buffer)[]): Buffer {
  return Buffer.concat(payloads.map((payload) => encodeMessage(Buffer.from(payload))));
}

/** Answers once the request is complete. */
function answers(body: Buffer, trailers = {}, headers = {}): OnRequest {
  return async ({ stream, body: request }) => {
    await request();
    respond(stream, body, { 'grpc-status': '0', ...trailers }, headers);
  };
}

type Parameters = Partial<StreamParameters>;

/** A proxy whose calls go to backends that answer so, the first of them as the primary, and are compared. */
class Compared {
  readonly verdicts: ResponseVerdict[] = [];
  readonly port: number;
  readonly #world: World;

  private constructor(world: World, verdicts: ResponseVerdict[], port: number) {
    this.#world = world;
    this.verdicts = verdicts;
    this.port = port;
  }

  static async start(
    world: World,
    onRequests: readonly OnRequest[],
    options: Partial<CompareOptions> = {},
    parametersOf: (destinations: Destination[]) => Parameters = () => ({}),
  ): Promise<Compared> {
    const conns = [];
    for (const onRequest of onRequests) {
      const backend = await world.http2Backend(onRequest);
      conns.push(world.dial(backend.port));
    }
    return Compared.over(
      world,
      conns.map((conn) => ({ conn })),
      options,
      parametersOf,
    );
  }

  static async over(
    world: World,
    destinations: Destination[],
    options: Partial<CompareOptions> = {},
    parametersOf: (destinations: Destination[]) => Parameters = () => ({}),
  ): Promise<Compared> {
    const verdicts: ResponseVerdict[] = [];
    const all = { onVerdict: (verdict: ResponseVerdict) => verdicts.push(verdict), ...options };
    const proxy = await world.proxy(() => {
      const [primary, ...rest] = destinations;
      // What a secondary fails with is not the call's.
      const secondaries = rest.map((each) => ({ ...each, errHandler: () => null }));
      return compareResponses({ primary: primary!, secondaries, ...parametersOf(destinations) }, all);
    });
    return new Compared(world, verdicts, proxy.port);
  }

  /** One call, and its only verdict. */
  async verdict(): Promise<ResponseVerdict> {
    await within(15_000, 'the call', this.#world.http2Client(this.port).call(METHOD, REQUEST));
    await eventually('a verdict', () => this.verdicts.length > 0);
    if (this.verdicts.length > 1) throw new Error(`${this.verdicts.length} verdicts`);
    return this.verdicts.shift()!;
  }
}

behaviour('two backends that answer the same get the verdict that they do', async (t, world) => {
  const large = Buffer.alloc(3_000_000, 'x');
  for (const body of [messages(), messages('one'), messages('one', '', large, 'end')]) {
    const compared = await Compared.start(world, [answers(body), answers(body)]);
    const verdict = await compared.verdict();
    t.match(verdict, { method: METHOD, role: 'secondary', result: 'same' });
    t.match(verdict.target, /^127\.0\.0\.1:/);
  }
});

behaviour('two backends that fail in the same way do, too', async (t, world) => {
  const fails = answers(messages('one'), { 'grpc-status': '9', 'grpc-message': 'not%20yet' });
  const trailersOnly: OnRequest = ({ stream }) =>
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '9' },
      { endStream: true },
    );
  for (const [onRequest, other, expected] of [
    [fails, fails, { result: 'same' }],
    [trailersOnly, trailersOnly, { result: 'same' }],
    [fails, trailersOnly, { result: 'different', at: 'messages', index: 0 }],
  ] as const) {
    const compared: Compared = await Compared.start(world, [onRequest, other], {}, ([primary]) => ({
      primary: {
        ...primary!,
        // Else its error ends the call before the secondary has answered.
        errHandler: async (error) => {
          await eventually('the verdict', () => compared.verdicts.length > 0);
          return error;
        },
      },
    }));
    t.match(await compared.verdict(), expected);
  }
});

behaviour('each kind of difference is found, and where it is', async (t, world) => {
  const large = Buffer.alloc(200_000, 'x');
  const changed = Buffer.from(large);
  changed[150_000] = 0;
  const primary = answers(messages('a', 'b', large), { 'x-end': '1' }, { 'x-begin': '1' });
  const metadata = ['x-begin', 'x-end'];
  for (const [other, expected] of [
    [
      answers(messages('a', 'x', large), { 'x-end': '1' }, { 'x-begin': '1' }),
      { at: 'message', index: 1, offset: 0 },
    ],
    [answers(messages('a', 'b', changed), { 'x-end': '1' }, { 'x-begin': '1' }), { at: 'message', index: 2 }],
    [
      answers(messages('a', 'b'), { 'x-end': '1' }, { 'x-begin': '1' }),
      { at: 'messages', index: 2, primary: 3, other: 2 },
    ],
    [
      answers(messages('a', 'b', large), { 'x-end': '1', 'grpc-status': '9' }, { 'x-begin': '1' }),
      { at: 'status', primary: Code.OK, other: Code.FAILED_PRECONDITION },
    ],
    [
      answers(messages('a', 'b', large), { 'x-end': '2' }, { 'x-begin': '1' }),
      { at: 'trailers', name: 'x-end', primary: ['1'], other: ['2'] },
    ],
    [
      answers(messages('x'), { 'x-end': '2' }, { 'x-begin': ['1', '2'] }),
      { at: 'headers', name: 'x-begin', primary: ['1'], other: ['1', '2'] },
    ],
  ] as const) {
    const compared = await Compared.start(world, [primary, other], { metadata });
    t.match(await compared.verdict(), { result: 'different', ...expected });
  }
});

/** Sends the messages when it is told to, each in a frame of its own. */
function stepwise(): { onRequest: OnRequest; send: (payload: string) => Promise<void>; end: () => void } {
  const arrived = deferred<Request>();
  return {
    onRequest: (request) => {
      request.stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      request.stream.on('wantTrailers', () => request.stream.sendTrailers({ 'grpc-status': '0' }));
      arrived.resolve(request);
    },
    send: async (payload) => {
      const { stream } = await arrived.promise;
      await new Promise((resolve) => stream.write(encodeMessage(Buffer.from(payload)), resolve));
    },
    end: () => void arrived.promise.then(({ stream }) => stream.end()),
  };
}

behaviour(
  'whichever is first: a message that differs is told when both answers have ended',
  async (t, world) => {
    for (const first of [0, 1]) {
      const backends = [stepwise(), stepwise()];
      const compared = await Compared.start(
        world,
        backends.map(({ onRequest }) => onRequest),
      );
      const call = world.http2Client(compared.port).call(METHOD, REQUEST);
      for (const payload of ['a', 'b', 'c']) await backends[first]!.send(payload);
      backends[first]!.end();
      await backends[1 - first]!.send('a');
      await backends[1 - first]!.send('x');
      t.strictSame(compared.verdicts, []);
      backends[1 - first]!.end();
      t.equal(status(await within(15_000, 'the call', call)), '0');
      await eventually('the verdict', () => compared.verdicts.length > 0);
      t.match(compared.verdicts, [{ result: 'different', at: 'message', index: 1 }]);
    }
  },
);

behaviour('a backend that gave no whole answer is inconclusive, never different', async (t, world) => {
  const resets: OnRequest = ({ stream }) => {
    // Else node:http2 sends END_STREAM before it.
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.write(messages('a'), () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
  };
  const lost: OnRequest = ({ stream }) => stream.session?.destroy();
  const noTrailers: OnRequest = ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.end(messages('x'.repeat(10)));
  };
  const noGrpc: OnRequest = ({ stream }) => stream.respond({ ':status': 404 }, { endStream: true });
  const noStatus: OnRequest = ({ stream }) => respond(stream, messages('a'), { 'x-end': '1' });
  const primary = answers(messages('a', 'b'));
  for (const [onRequest, reason] of [
    [resets, /backend_reset/],
    [lost, /backend_connection_lost|backend_reset/],
    [noGrpc, /backend_protocol/],
    [noStatus, /backend_protocol/],
  ] as const) {
    const compared = await Compared.start(world, [primary, onRequest]);
    const verdict = await compared.verdict();
    t.match(verdict, { result: 'inconclusive', reason });
  }
  const early = await Compared.start(world, [primary, noTrailers]);
  t.match(await early.verdict(), { result: 'inconclusive', reason: /without trailers/ }, 'though it differs');

  const backend = await world.http2Backend(primary);
  const nowhere = { conn: world.dial(await freePort()) };
  const unreachable = await Compared.over(world, [{ conn: world.dial(backend.port) }, nowhere]);
  t.match(await unreachable.verdict(), { result: 'inconclusive', reason: /backend_connect/ });
  const noPrimary = await Compared.over(world, [nowhere, { conn: world.dial(backend.port) }]);
  t.match(await noPrimary.verdict(), {
    result: 'inconclusive',
    reason: /^the primary’s answer was cut off: backend_connect/,
  });
});

behaviour('a call that is cancelled, or whose time is over, is inconclusive', async (t, world) => {
  for (const ends of ['cancel', 'deadline', 'primary']) {
    const backends = [stepwise(), stepwise()];
    const compared = await Compared.start(
      world,
      backends.map(({ onRequest }) => onRequest),
    );
    const client = world.http2Client(compared.port);
    const stream = client.open(METHOD, ends === 'deadline' ? { 'grpc-timeout': '1S' } : {}, true);
    stream.resume();
    stream.write(REQUEST);
    await backends[0]!.send('a');
    await backends[1]!.send('a');
    await backends[1]!.send('b');
    if (ends === 'cancel') stream.close(constants.NGHTTP2_CANCEL);
    if (ends === 'primary') backends[0]!.end();
    if (ends === 'primary') backends[1]!.end();
    await eventually('the verdict', () => compared.verdicts.length > 0);
    if (ends === 'primary') t.match(compared.verdicts, [{ result: 'different', at: 'messages' }]);
    else
      t.match(compared.verdicts, [
        { result: 'inconclusive', reason: ends === 'cancel' ? /client_/ : /deadline/ },
      ]);
    stream.close();
  }
});

behaviour('a primary that fails leaves those that have not answered inconclusive', async (t, world) => {
  const slow = stepwise();
  const compared = await Compared.start(world, [answers(messages(), { 'grpc-status': '5' }), slow.onRequest]);
  t.match(await compared.verdict(), { result: 'inconclusive', reason: /destination’s answer was cut off/ });
});

behaviour('observers that destinations have see what they saw without', async (t, world) => {
  const seen: string[][] = [[], []];
  const observer = (index: number): ResponseObserver => ({
    onHeaders: (metadata) => seen[index]!.push(`headers ${metadata.get('x-begin')}`),
    onMessage: (payload) => {
      seen[index]!.push(`message ${payload}`);
      // It must not, but may.
      payload.fill(0);
    },
    onStatus: (error, trailers) => seen[index]!.push(`status ${error?.code} ${trailers.get('x-end')}`),
  });
  const onRequest = answers(messages('a', 'b'), { 'x-end': '2' }, { 'x-begin': '1' });
  const twice: ResponseVerdict[] = [];
  const compared = await Compared.start(world, [onRequest, onRequest], {}, ([primary, other]) =>
    compareResponses(
      {
        primary: { ...primary!, observer: observer(0) },
        secondaries: [{ ...other!, observer: observer(1) }],
      },
      { onVerdict: (verdict) => twice.push(verdict) },
    ),
  );
  t.match(await compared.verdict(), { result: 'same' });
  t.match(twice, [{ result: 'same' }], 'and so does another comparison');
  for (const each of seen) t.strictSame(each, ['headers 1', 'message a', 'message b', 'status undefined 2']);
});

behaviour('what a hook throws harms neither the call nor the next verdict', async (t, world) => {
  const events = new ProcessEvents(t);
  for (const fail of [
    () => {
      throw new Error('no verdicts');
    },
    () => untyped<void>(Promise.reject(new Error('no verdicts'))),
  ]) {
    let told = 0;
    const onVerdict = () => {
      told++;
      return fail();
    };
    const decode = () => {
      throw new Error('no values');
    };
    const onRequest = answers(messages('a'));
    const other = answers(messages('b'));
    const compared = await Compared.start(world, [onRequest, other, other], { onVerdict, decode });
    const response = await world.http2Client(compared.port).call(METHOD, REQUEST);
    t.equal(status(response), '0');
    t.strictSame(response.data, messages('a'));
    t.equal(told, 2);
    await events.settled();
    t.strictSame(events.warnings.splice(0), ['no verdicts', 'no verdicts']);
  }
  t.strictSame(events.fatal, []);
});

behaviour('hooks run in the async context of their call', async (t, world) => {
  const calls = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const backends = [];
  for (const body of [messages('a'), messages('b')]) backends.push(await world.http2Backend(answers(body)));
  const [primary, other] = backends.map(({ port }) => ({ conn: world.dial(port) }));
  const options: CompareOptions = {
    onVerdict: () => seen.push(calls.getStore()),
    decode: (payload) => {
      seen.push(calls.getStore());
      return payload.toString();
    },
  };
  const proxy = await world.proxy((ctx) => {
    calls.enterWith(String(ctx.metadata.get('x-name')));
    return compareResponses({ primary: primary!, secondaries: [other!] }, options);
  });
  const client = world.http2Client(proxy.port);
  await Promise.all(['1', '2'].map((name) => client.call(METHOD, REQUEST, { 'x-name': name })));
  await eventually('the verdicts', () => seen.length === 6);
  t.strictSame(seen.toSorted(), ['1', '1', '1', '2', '2', '2']);
});

async function counted(t: Test, world: World, isShared: boolean): Promise<void> {
  const counts = new VerdictCounts();
  let calls = 0;
  const conns = [];
  for (const name of ['primary', 'baseline', 'candidate']) {
    const backend = await world.http2Backend(async ({ stream, headers, body }) => {
      await body();
      const answer = { id: calls++, name: 'n' };
      if (headers[':path'] === '/s/Broken' && name === 'candidate') answer.name = 'x';
      if (headers[':path'] === '/s/Quiet') answer.id = 0;
      respond(stream, messages(JSON.stringify(answer)));
    });
    conns.push(world.dial(backend.port));
  }
  const [primary, ...secondaries] = conns.map((conn) => ({ conn }));
  const options: CompareOptions = {
    onVerdict: (verdict) => counts.add(verdict),
    baseline: conns[1],
    decode: (payload) => JSON.parse(payload.toString()),
  };
  const parameters = { primary: primary!, secondaries };
  const shared = compareResponses(parameters, options);
  const proxy = await world.proxy(() => (isShared ? shared : compareResponses(parameters, options)));
  const client = world.http2Client(proxy.port);
  const paths = ['/s/Noisy', '/s/Broken', '/s/Quiet'].flatMap((path) => Array<string>(20).fill(path));
  await Promise.all(paths.map((path) => client.call(path, REQUEST)));
  const none = { same: 0, different: 0, noise: 0, inconclusive: 0 };
  t.strictSame(Object.fromEntries(counts.methods), {
    '/s/Noisy': { compared: { ...none, noise: 20 }, baseline: { ...none, different: 20 } },
    '/s/Broken': { compared: { ...none, different: 20 }, baseline: { ...none, different: 20 } },
    '/s/Quiet': { compared: { ...none, same: 20 }, baseline: { ...none, same: 20 } },
  });
}

behaviour(
  'a baseline tells noise from real differences, and both are counted by method',
  async (t, world) => {
    await counted(t, world, false);
  },
);

behaviour('parameters that were made once serve any number of calls at once', async (t, world) => {
  await counted(t, world, true);
});
