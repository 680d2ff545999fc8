import type { ClientHttp2Stream } from 'node:http2';
import type { Test } from 'tap';
import {
  type CallOutcome,
  Code,
  encodeMessage,
  type ServerLimits,
  type StreamDirector,
  transparentHandler,
} from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import { END, ErrorCode, FrameType, headers, Setting } from '../support/frame.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import { collectResponse, type Http2Client, type Response } from '../support/http2-client.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';
import { Victim } from '../support/victim.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Nothing is read of it, and it is not answered. */
const HOLD = '/test.Service/Hold';
const DOWNLOAD = '/test.Service/Download';
const TRAILERS = '/test.Service/Trailers';

/** What is received for one call while it waits: a stream's whole window. */
const WINDOW = encodeMessage(Buffer.alloc(256 * KIB - 5));
const CALLS = 12;

/** The one that no peer here exceeds makes the looks frequent by which node:http2's streams are counted. */
const LOOKS: Partial<ServerLimits> = { settingsTimeoutMilliseconds: 100 };
const LIMITS: Partial<ServerLimits> = { ...LOOKS, maxHeldBytesPerConnection: MIB };

const answer: OnRequest = ({ stream, headers }) => {
  switch (headers[':path']) {
    case HOLD:
      break;
    case DOWNLOAD:
      respond(stream, WINDOW);
      break;
    case TRAILERS:
      respond(stream, MESSAGE, { 'grpc-status': '0', 'x-large': 'x'.repeat(60_000) });
      break;
    default:
      respond(stream, MESSAGE);
  }
};

/** A proxy to a backend that answers by the method, and what has become of the calls. */
async function limited(world: World, limits = LIMITS, direct?: StreamDirector) {
  const backend = await world.http2Backend(answer, { maxSendHeaderBlockLength: 100_000 });
  const conn = world.dial(backend.port, { limits: { settingsTimeoutMilliseconds: 100 } });
  const outcomes: CallOutcome[] = [];
  const observer = { onCall: (outcome: CallOutcome) => void outcomes.push(outcome) };
  const director = direct ?? (() => ({ primary: { conn } }));
  const { port } = await world.proxy(
    (ctx, method, peeker) => (method === METHOD ? { primary: { conn } } : director(ctx, method, peeker)),
    { limits, observer },
  );
  return { port, outcomes };
}

function upload(
  client: Http2Client,
  body = WINDOW,
): { stream: ClientHttp2Stream; response: Promise<Response> } {
  const stream = client.open(HOLD);
  const response = collectResponse(stream);
  stream.write(body);
  return { stream, response };
}

/** Whether a call was ended for what it held: by its status, or by a reset where no status would get through. */
function wasExhausted(response: Response): boolean {
  return (
    status(response) === String(Code.RESOURCE_EXHAUSTED) || response.resetCode === ErrorCode.ENHANCE_YOUR_CALM
  );
}

async function nothingIsHeld(): Promise<void> {
  await eventually(`0 of ${heldBytes()} bytes are held`, () => heldBytes() === 0);
}

/** Calls that hold too much all together: those that are above the share end, and the victim's go on. */
async function greedyUploads(
  t: Test,
  world: World,
  { port, outcomes }: Awaited<ReturnType<typeof limited>>,
  body?: Buffer,
): Promise<void> {
  const victim = new Victim(world, port);
  const client = world.http2Client(port);
  const uploads = Array.from({ length: CALLS }, () => upload(client, body));
  let exhausted = 0;
  for (const { response } of uploads) {
    void response.then((ended) => {
      if (wasExhausted(ended)) exhausted++;
    });
  }
  await eventually('the share is kept', () => exhausted > 0 && heldBytes() <= MIB);
  t.same(await victim.stop(), []);
  const limits = (): number => outcomes.filter(({ failure }) => failure?.reason === 'limit').length;
  await eventually('all hear of it', () => exhausted === limits());
  t.ok(exhausted < CALLS, 'those within the share go on');
  client.destroy();
  await eventually('nothing is held', () => heldBytes() === 0);
}

behaviour("uploads that a backend doesn't read end above the connection's share", async (t, world) => {
  await greedyUploads(t, world, await limited(world));
});

behaviour("calls that wait for a connection end above the connection's share", async (t, world) => {
  const silent = await world.frameBackend();
  const conn = world.dial(silent.port);
  await greedyUploads(t, world, await limited(world, LIMITS, () => ({ primary: { conn } })));
});

behaviour("calls whose director looks at them end above the connection's share", async (t, world) => {
  const proxy = await limited(world, LIMITS, async (_ctx, _method, peeker) => {
    await peeker.peek();
    throw new Error('the message is never complete');
  });
  await greedyUploads(t, world, proxy, encodeMessage(Buffer.alloc(400 * KIB)).subarray(0, -1));
});

behaviour("calls whose director takes its time end above the connection's share", async (t, world) => {
  await greedyUploads(t, world, await limited(world, LIMITS, () => new Promise(() => {})));
});

for (const [method, calls] of [
  [DOWNLOAD, CALLS],
  [TRAILERS, 60],
] as const) {
  behaviour(`${method} by a client that gives no window ends above its share`, async (t, world) => {
    const { port } = await limited(world);
    const victim = new Victim(world, port);
    const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
    for (let i = 0; i < calls; i++) client.send(headers(2 * i + 1, requestTo(method), END));
    const resets = () =>
      client.frames.filter(
        ({ type, payload }) =>
          type === FrameType.RST_STREAM && payload.readUInt32BE() === ErrorCode.ENHANCE_YOUR_CALM,
      ).length;
    await eventually('the share is kept', () => resets() > 0 && heldBytes() <= MIB);
    t.ok(resets() < calls, 'those within the share go on');
    t.same(await victim.stop(), []);
    client.destroy();
    await nothingIsHeld();
  });
}

behaviour('calls whose handler waits for the rest of a message end above the share', async (t, world) => {
  const outcomes: CallOutcome[] = [];
  const backend = await world.http2Backend(answer);
  const conn = world.dial(backend.port);
  const proxied = transparentHandler(() => ({ primary: { conn } }));
  const { port } = await world.serve({
    limits: LIMITS,
    observer: { onCall: (outcome) => void outcomes.push(outcome) },
    unknownServiceHandler: async (stream) => {
      if (stream.method === METHOD) return proxied(stream);
      for await (const message of stream) await stream.sendMessage(message);
    },
  });
  const unfinished = encodeMessage(Buffer.alloc(400 * KIB)).subarray(0, -1);
  await greedyUploads(t, world, { port, outcomes }, unfinished);
});

behaviour('calls with large metadata whose director takes its time end above the share', async (t, world) => {
  const proxy = await limited(world, LIMITS, () => new Promise(() => {}));
  const victim = new Victim(world, proxy.port);
  const client = world.http2Client(proxy.port);
  let exhausted = 0;
  for (let i = 0; i < 60; i++) {
    const stream = client.open(HOLD, { 'x-large': 'x'.repeat(50_000) });
    void collectResponse(stream).then((response) => wasExhausted(response) && exhausted++);
  }
  await eventually('the share is kept', () => exhausted > 0 && heldBytes() <= MIB);
  t.same(await victim.stop(), []);
  client.destroy();
  await nothingIsHeld();
});

behaviour(
  'above the bound of the process the client that holds most is cut, and no other',
  async (t, world) => {
    const limits = { ...LOOKS, maxHeldBytes: 2 * MIB, maxHeldBytesPerConnection: Infinity };
    const { port } = await limited(world, limits);
    const modest = world.http2Client(port);
    const kept = upload(modest);
    let hasEnded = false;
    void kept.response.then(() => {
      hasEnded = true;
    });
    const client = world.http2Client(port);
    const responses = Array.from({ length: CALLS }, () => upload(client).response);
    let exhausted = 0;
    for (const response of responses) void response.then((ended) => wasExhausted(ended) && exhausted++);
    await eventually('the bound is kept', () => exhausted > 0 && heldBytes() <= 2 * MIB);
    t.equal(hasEnded, false);
    t.ok(exhausted < CALLS);
    client.destroy();
    modest.destroy();
    await nothingIsHeld();
  },
);
