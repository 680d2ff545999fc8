import { once } from 'node:events';
import { type CallOutcome, Code, encodeMessage, type FailureReason } from '../../lib/index.js';
import { errorCodeName } from '../../lib/port/error-code.js';
import { behaviour, type World } from '../support/behaviour.js';
import { Countdown } from '../support/countdown.js';
import { deferred } from '../support/deferred.js';
import { RESPONSE, requestTo, TRAILERS } from '../support/fields.js';
import {
  CLIENT_PREFACE,
  data,
  dataOf,
  END,
  ErrorCode,
  errorCode,
  Flag,
  FrameType,
  headers,
  resetStream,
  Setting,
  settings,
  windowUpdate,
} from '../support/frame.js';
import { FrameLog } from '../support/frame-log.js';
import type { FramePeer } from '../support/frame-peer.js';
import { within } from '../support/within.js';

const MESSAGE = encodeMessage(Buffer.from('message'));
const HALF_A_MESSAGE = MESSAGE.subarray(0, 8);
const LARGE_WINDOW = 2 ** 30;
const NO_WINDOW = [Setting.INITIAL_WINDOW_SIZE, 0] as const;

/** What backends take of a request before they give more room. */
const BACKEND_WINDOW = 1000;

/** More than the proxy takes for a backend that gives no more room: it stops reading. */
const TOO_MUCH = Array<Buffer>(12).fill(encodeMessage(Buffer.alloc(16_000)));

/** A destination's end of the connection. */
class Backend {
  readonly #log = new FrameLog(CLIENT_PREFACE.length);

  constructor(readonly peer: FramePeer) {
    peer.socket.on('data', (chunk: Buffer) => this.#log.push(chunk));
    peer.send(settings([Setting.INITIAL_WINDOW_SIZE, BACKEND_WINDOW]), windowUpdate(0, LARGE_WINDOW));
  }

  /** The identifier of the stream that a path was requested on; 0 if none was. */
  find(path: string): number {
    return [...this.#log.streams.values()].find(({ lists }) => lists[0]?.includes(path))?.id ?? 0;
  }

  /** The stream of a call, once so many octets of its request have come. */
  async take(path: string, length: number): Promise<number> {
    const { peer } = this;
    await peer.until(() => this.find(path) !== 0);
    const id = this.find(path);
    await peer.until(() => dataOf(peer.of(id, FrameType.DATA)).length >= length);
    return id;
  }

  /** How a call that is over has ended here: each END_STREAM and RST_STREAM. */
  async endOf(path: string): Promise<string[]> {
    if (this.find(path) === 0) await this.peer.roundTrip();
    const id = this.find(path);
    // Its client had gone before it was sent here.
    if (id === 0) return ['RST_STREAM 8'];
    await this.peer.first(id, FrameType.RST_STREAM);
    return this.peer.of(id).flatMap((frame) => {
      if (frame.type === FrameType.RST_STREAM) return [`RST_STREAM ${errorCode(frame)}`];
      return (frame.flags & Flag.END_STREAM) !== 0 ? ['END_STREAM'] : [];
    });
  }
}

/** A call that its client is about to leave. */
interface Call {
  readonly client: FramePeer;
  readonly id: number;
  readonly path: string;
  /** The primary and a secondary. */
  readonly backends: readonly Backend[];
}

interface Moment {
  readonly name: string;
  /** The client gives no room for the response. */
  readonly hasNoWindow?: boolean;
  readonly isHalfClosed?: boolean;
  /** Nobody has seen the call yet. */
  readonly isAtOnce?: boolean;
  reach(call: Call): Promise<void>;
}

function sendHeaders({ client, id, path }: Call): void {
  client.send(headers(id, requestTo(path)));
}

/** Runs this for the stream of a call at each destination, once so many octets of its request have come. */
async function everywhere(
  { backends, path }: Call,
  run: (backend: Backend, id: number) => Promise<void>,
  length = 0,
): Promise<void> {
  await Promise.all(backends.map(async (backend) => run(backend, await backend.take(path, length))));
}

/** The destinations have the call, and so much of its request. */
async function send(call: Call, ...body: readonly Buffer[]): Promise<void> {
  sendHeaders(call);
  for (const chunk of body) call.client.send(data(call.id, chunk));
  await everywhere(call, async () => {}, Math.min(BACKEND_WINDOW, Buffer.concat(body).length));
}

async function halfClose(call: Call): Promise<void> {
  call.client.send(data(call.id, '', Flag.END_STREAM));
  await everywhere(call, ({ peer }, id) => peer.until(() => peer.hasEnded(id)));
}

/** The destinations have answered with headers and this, and the proxy has read it. */
async function answer(call: Call, ...body: readonly Buffer[]): Promise<void> {
  await everywhere(call, async ({ peer }, id) => {
    peer.send(headers(id, RESPONSE), ...body.map((chunk) => data(id, chunk)));
    await peer.roundTrip();
  });
  await call.client.first(call.id, FrameType.HEADERS);
}

const BEFORE_ANSWERS: readonly Moment[] = [
  {
    name: 'at once',
    isAtOnce: true,
    async reach(call) {
      const { socket } = call.client;
      socket.cork();
      setImmediate(() => socket.uncork());
      sendHeaders(call);
    },
  },
  { name: 'after HEADERS', reach: (call) => send(call) },
  { name: 'after half a message', reach: (call) => send(call, HALF_A_MESSAGE) },
  { name: 'after a message', reach: (call) => send(call, MESSAGE) },
  {
    name: 'while a backend holds it back',
    async reach(call) {
      await send(call, ...TOO_MUCH);
      // All has been read that will be.
      await call.client.roundTrip();
    },
  },
  {
    name: 'after END_STREAM',
    isHalfClosed: true,
    async reach(call) {
      await send(call, MESSAGE);
      await halfClose(call);
    },
  },
];

/** Each is reached before the request's end, and after it. */
const WITH_ANSWERS: readonly Moment[] = [
  { name: 'after response headers', reach: (call) => answer(call) },
  {
    name: 'inside a response',
    async reach(call) {
      await answer(call, MESSAGE);
      await call.client.first(call.id, FrameType.DATA);
    },
  },
  {
    name: 'while it gives no room for a response',
    hasNoWindow: true,
    reach: (call) => answer(call, MESSAGE, MESSAGE),
  },
  {
    name: 'while it gives no room for a long response',
    hasNoWindow: true,
    reach: (call) => answer(call, ...TOO_MUCH),
  },
];

const MOMENTS: readonly Moment[] = [
  ...BEFORE_ANSWERS,
  ...WITH_ANSWERS.flatMap((moment): Moment[] => [
    {
      ...moment,
      async reach(call) {
        await send(call, MESSAGE);
        await moment.reach(call);
      },
    },
    {
      ...moment,
      name: `${moment.name}, after END_STREAM`,
      isHalfClosed: true,
      async reach(call) {
        await send(call, MESSAGE);
        await halfClose(call);
        await moment.reach(call);
      },
    },
  ]),
];

/** The codes that a client resets with; the last one is unknown. */
const CODES = [0, 1, 2, 3, 5, 7, 8, 11, 13, 0xdead];

/** A proxy to a primary and a secondary, both connected, and how its calls ended. */
class Stage {
  readonly #world: World;
  readonly #port: number;
  readonly #outcomes: CallOutcome[] = [];
  readonly #backends: Backend[] = [];
  #waiting: (() => void)[] = [];
  #calls = 0;

  private constructor(world: World, port: number) {
    this.#world = world;
    this.#port = port;
  }

  static async set(world: World): Promise<Stage> {
    const both = new Countdown(2);
    const onConnection = (peer: FramePeer) => {
      stage.#backends.push(new Backend(peer));
      both.tick();
    };
    const [first, second] = [await world.frameBackend(onConnection), await world.frameBackend(onConnection)];
    const [primary, secondary] = [{ conn: world.dial(first.port) }, { conn: world.dial(second.port) }];
    const observer = { onCall: (outcome: CallOutcome) => stage.#onCall(outcome) };
    const proxy = await world.proxy(() => ({ primary, secondaries: [secondary] }), { observer });
    const stage = new Stage(world, proxy.port);
    primary.conn.connect();
    secondary.conn.connect();
    await both.done;
    return stage;
  }

  async client(hasNoWindow = false): Promise<FramePeer> {
    const client = await this.#world.frameClient(this.#port, ...(hasNoWindow ? [NO_WINDOW] : []));
    // Until it has acknowledged the proxy's, a stream's window is 64 KiB.
    await client.first(0, FrameType.SETTINGS);
    return client;
  }

  /** A call that is yet to be begun. */
  nextCall(client: FramePeer): Call {
    const count = this.#calls++;
    return { client, id: 2 * count + 1, path: `/test.Service/Call${count}`, backends: this.#backends };
  }

  /** Does with a call what is to be done, and says how that ended. */
  async end(call: Call, moment: Moment, leave: () => void): Promise<object> {
    await moment.reach(call);
    leave();
    const outcome = await this.#outcomeOf(call.path);
    const [primary, secondary] = await Promise.all(call.backends.map((backend) => backend.endOf(call.path)));
    return { ...outcome, primary, secondary };
  }

  /** A call that both destinations answer; true if all was done on the connections that they had. */
  async completes(client: FramePeer): Promise<boolean> {
    const call = this.nextCall(client);
    await send(call, MESSAGE);
    await halfClose(call);
    // Without any room, node:http2 sends no trailers either.
    client.send(windowUpdate(call.id, 1));
    await everywhere(call, async ({ peer }, id) => {
      peer.send(headers(id, RESPONSE), headers(id, TRAILERS, END));
    });
    await client.until(() => client.hasEnded(call.id));
    return this.#backends.length === 2;
  }

  /** How many calls have ended, as the observer was told. */
  get ended(): number {
    return this.#outcomes.length;
  }

  async #outcomeOf(path: string): Promise<object> {
    for (;;) {
      const outcome = this.#outcomes.find(({ method }) => method === path);
      if (outcome !== undefined) {
        const { failure, context } = outcome;
        const hasPeer = /^127.0.0.1:\d+$/.test(context.peer);
        return { code: failure?.error.code, reason: failure?.reason, hasPeer };
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #onCall(outcome: CallOutcome): void {
    this.#outcomes.push(outcome);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** How a call that its client leaves must end. */
function expected({ isHalfClosed = false }: Moment, reason: FailureReason): object {
  const end = [...(isHalfClosed ? ['END_STREAM'] : []), 'RST_STREAM 8'];
  return { code: Code.CANCELLED, reason, hasPeer: true, primary: end, secondary: end };
}

behaviour('a client resets a stream, at any time, with any code', async (t, world) => {
  const stage = await Stage.set(world);
  const [client, mute] = [await stage.client(), await stage.client(true)];
  const cases = MOMENTS.flatMap((moment) => CODES.map((code) => ({ moment, code })));
  await Promise.all(
    cases.map(async ({ moment, code }) => {
      const what = `${errorCodeName(code)} ${moment.name}`;
      const call = stage.nextCall(moment.hasNoWindow === true ? mute : client);
      const leave = () => call.client.send(resetStream(call.id, code));
      const end = await within(15_000, what, stage.end(call, moment, leave));
      t.same(end, expected(moment, 'client_cancelled'), what);
    }),
  );
  for (const peer of [client, mute]) {
    t.ok(await stage.completes(peer), 'the connections go on');
    t.same(peer.objections, []);
  }
  t.equal(stage.ended, cases.length + 2, 'each has one outcome');
});

const CUTS = {
  FIN: ({ socket }: FramePeer) => socket.end(),
  RST: ({ socket }: FramePeer) => socket.resetAndDestroy(),
};

for (const [how, cut] of Object.entries(CUTS)) {
  // What was sent in the same tick is lost with a connection that is reset.
  const moments = MOMENTS.filter(({ isAtOnce = false }) => !isAtOnce || how === 'FIN');
  behaviour(`a client's connection ends (${how}), at any time`, async (t, world) => {
    const stage = await Stage.set(world);
    await Promise.all(
      moments.map(async (moment) => {
        const call = stage.nextCall(await stage.client(moment.hasNoWindow));
        const leave = () => cut(call.client);
        const end = await within(15_000, moment.name, stage.end(call, moment, leave));
        t.same(end, expected(moment, 'client_gone'), moment.name);
      }),
    );
    t.ok(await stage.completes(await stage.client()), 'the connections go on');
    t.equal(stage.ended, moments.length + 1, 'each has one outcome');
  });
}

for (const [how, cut] of Object.entries(CUTS)) {
  behaviour(`the address of a client that has gone (${how}) is still known`, async (t, world) => {
    const peer = deferred<string>();
    const called = deferred();
    const proxy = await world.serve({
      unknownServiceHandler: async ({ context }) => {
        called.resolve();
        await once(context.signal, 'abort');
        peer.resolve(context.peer);
      },
    });
    const client = await world.frameClient(proxy.port);
    client.send(headers(1, requestTo('/test.Service/Method')));
    await called.promise;
    const { localPort } = client.socket;
    cut(client);
    t.equal(await peer.promise, `127.0.0.1:${localPort}`);
  });
}

/** How a client ends a stream whose answer, which is complete, it has not taken. */
const ENDINGS: Record<string, (client: FramePeer, id: number) => void> = {
  'resets with NO_ERROR': (client, id) => client.send(resetStream(id, ErrorCode.NO_ERROR)),
  'resets with CANCEL': (client, id) => client.send(resetStream(id, ErrorCode.CANCEL)),
  'half-closes, and takes it': (client, id) => {
    client.send(data(id, MESSAGE, Flag.END_STREAM), windowUpdate(id, LARGE_WINDOW));
  },
};

for (const [ending, end] of Object.entries(ENDINGS)) {
  behaviour(`nothing stays of a call that has ended, whose client ${ending}`, async (t, world) => {
    const ended = deferred();
    const proxy = await world.serve({
      unknownServiceHandler: async (stream) => {
        await stream[Symbol.asyncIterator]().next();
        void stream.sendMessage(Buffer.from('answer'));
      },
      observer: { onCall: () => ended.resolve() },
    });
    const client = await world.frameClient(proxy.port, NO_WINDOW);
    await client.first(0, FrameType.SETTINGS);
    client.send(headers(1, requestTo('/test.Service/Method')), data(1, MESSAGE));
    await client.first(1, FrameType.HEADERS);
    await ended.promise;
    // What comes now is read by nobody.
    client.send(data(1, MESSAGE));
    await client.roundTrip();
    end(client, 1);
    // It waits for streams.
    await within(15_000, 'closing', proxy.server.close());
    t.equal(client.hasEnded(1), ending.startsWith('half-closes'));
  });
}
