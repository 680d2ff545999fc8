import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { encodeMessage } from '../../lib/index.js';
import { collectAnswer } from '../support/answer.js';
import { TRANSPORTS, type Transports, World } from '../support/behaviour.js';
import { startEchoBackend } from '../support/echo-backend.js';
import type { FrameBackend } from '../support/frame-backend.js';
import type { StreamLog } from '../support/frame-log.js';
import { countHeld, FULL_RUNS, fuzz, IS_LONG, socketsClosed } from '../support/fuzz-runs.js';
import { HostileBackend } from '../support/hostile-backend.js';
import { HostileClient } from '../support/hostile-client.js';
import { messages } from '../support/hostile-frames.js';
import { fieldValue, type Http2Client, type Response } from '../support/http2-client.js';
import { judgeOutput } from '../support/judge-output.js';
import { ProcessEvents } from '../support/process-events.js';
import type { Random } from '../support/random.js';
import { CLEARTEXT, TLS, type Wire } from '../support/wire.js';
import { within } from '../support/within.js';

const METHOD = '/test.Service/Echo';
/** What an honest call may take on a machine that has other things to do. */
const BOUND_MILLISECONDS = 10_000;

/** Where calls are fuzzed. */
interface Setting extends Transports {
  readonly name: string;
  readonly wire: Wire;
  readonly runs: number;
}

const SETTINGS: readonly Setting[] = TRANSPORTS.flatMap(({ server, client }) => {
  const pair = `${server} to ${client}`;
  // The engine is what is to be tested; node:http2 and TLS show whether the rest minds.
  const all = server === 'frames' && client === 'frames';
  return [
    { server, client, name: pair, wire: CLEARTEXT, runs: all ? FULL_RUNS : FULL_RUNS / 4 },
    { server, client, name: `${pair}, TLS`, wire: TLS, runs: FULL_RUNS / 4 },
  ];
});

async function startEcho(t: Test, wire: Wire): Promise<FrameBackend> {
  const backend = await startEchoBackend(wire);
  t.teardown(() => backend.destroy());
  return backend;
}

/** A call that must succeed, whatever others do. */
async function callHonestly(random: Random, client: Http2Client): Promise<void> {
  const body = messages(random);
  const call = client.call(METHOD, body, { 'x-honest': '1' });
  const response = await within(BOUND_MILLISECONDS, 'an honest call', call);
  const { headers, data, trailers } = response;
  const status = fieldValue(trailers ?? headers, 'grpc-status');
  assert.equal(status, '0', describe([], response));
  assert.ok(data.equals(body), 'other bytes came back');
}

/**
 * Nothing of any call or hostile connection stays. Not so on node:http2: once a peer has broken the protocol, Node
 * leaves the session open and reads no more, so that it does not even see the peer go (lib/transport/http2/NODE-HTTP2.md, "Zombie sessions").
 * V8 takes half a second or more to look at the heap.
 */
async function assertNothingHeld(t: Test, hostile: keyof Transports, transports: Transports): Promise<void> {
  if (transports[hostile] === 'http2') return;
  // Both ends of the honest client's connection, and the backend's end of the proxy's, whose own is idle.
  await within(BOUND_MILLISECONDS, 'the end of hostile connections', socketsClosed(3));
  const expected = {
    heldBytes: 0,
    ProxyCall: 0,
    FrameStream: 0,
    ClientRole: transports.client === 'frames' ? 1 : 0,
    ServerRole: transports.server === 'frames' ? 1 : 0,
  };
  t.strictSame(await countHeld(expected, BOUND_MILLISECONDS), expected, 'nothing is held');
  const { heapUsed, external } = process.memoryUsage();
  t.comment(`${((heapUsed + external) / 2 ** 20).toFixed(1)} MiB of heap and buffers, with the test's own`);
}

/** An OK must have been earned: by a whole request, of which each byte has come back. */
function judgeEchoes({ sent, received }: HostileClient): number {
  assert.ok(!received.broken, 'the proxy sent a field block that cannot be decoded');
  let earned = 0;
  for (const { id, status, data } of received.streams.values()) {
    if (status !== '0') continue;
    const request = sent.streams.get(id);
    assert.ok(request?.ended, `stream ${id}: OK for a request without an end`);
    assert.ok(request.isWholeMessages, `stream ${id}: OK for half a message`);
    assert.ok(request.data.equals(data), `stream ${id}: OK with ${data.length} other bytes`);
    earned++;
  }
  return earned;
}

// Without limits of its own, since its tests may be made longer.
if (IS_LONG) t.setTimeout(0);

function fuzzClients({ server, client, name, wire, runs }: Setting): void {
  t.test(`hostile clients harm nobody but themselves [${name}]`, async (t) => {
    const world = new World(t, { server, client });
    const events = new ProcessEvents(t);
    const backend = await startEcho(t, wire);
    const conn = world.dial(wire.target(backend.port), wire.dialOptions);
    const { port } = await world.proxy(async (_ctx, method, peeker) => {
      if (method.endsWith('Peek')) await peeker.peek(2);
      return { primary: { conn }, secondaries: method.endsWith('Copy') ? [{ conn }] : [] };
    }, wire.serverOptions);
    const honest = world.http2Client(port, wire);
    let earned = 0;
    const done = await fuzz(t, runs, 4, async (random) => {
      const attacks = Array.from({ length: random.int(1, 3) }, () =>
        HostileClient.attack(port, random.fork(), wire),
      );
      const calls = [callHonestly(random.fork(), honest), callHonestly(random.fork(), honest)];
      const [attackers] = await Promise.all([Promise.all(attacks), Promise.all(calls)]);
      for (const attacker of attackers) {
        earned += judgeEchoes(attacker);
        if (server === 'frames') judgeOutput(attacker.received);
      }
      assert.deepEqual(events.fatal, []);
    });
    t.ok(earned > 0, `${earned} calls of hostile clients were right, in ${done} runs`);
    if (IS_LONG || runs === FULL_RUNS) await assertNothingHeld(t, 'server', world.transports);
  });
}

/** A response that is what the backend said, if it claims to be one. */
function judgeAnswer(answers: readonly StreamLog[], response: Response): void {
  const { headers, data, trailers } = response;
  const status = fieldValue(trailers ?? headers, 'grpc-status');
  assert.ok(status !== undefined, `no status, ${describe(answers, response)}`);
  if (status === '0') {
    const earned = answers.some(
      (answer) => answer.status === '0' && answer.isWholeMessages && answer.data.equals(data),
    );
    assert.ok(earned, `an OK that the backend never gave, ${describe(answers, response)}`);
  } else {
    const begun = answers.some((answer) => answer.begun.subarray(0, data.length).equals(data));
    assert.ok(
      data.length === 0 || begun,
      `bytes that the backend never sent, ${describe(answers, response)}`,
    );
  }
}

function describe(answers: readonly StreamLog[], { headers, data, trailers, resetCode }: Response): string {
  const got = { headers, bytes: data.length, trailers, resetCode };
  const sent = answers.map(({ lists, begun, ended, reset }) => ({
    lists,
    bytes: begun.length,
    ended,
    reset,
  }));
  return JSON.stringify({ got, sent }, (_key, value: unknown) =>
    typeof value === 'string' && value.length > 100 ? `${value.length} characters` : value,
  );
}

let calls = 0;

/**
 * A call to a hostile backend; its client reads slowly at times, so that the proxy must hold things back.
 *
 * @param endless how probably it has no deadline to speak of
 */
async function callHostile(
  random: Random,
  client: Http2Client,
  lane: number,
  backend: HostileBackend,
  endless: number,
): Promise<boolean> {
  const name = `${++calls}`;
  const timeout = random.chance(endless) ? '1H' : `${random.pick([20, 100, 100, 200])}m`;
  const stream = client.open(METHOD, { 'x-lane': lane, 'x-call': name, 'grpc-timeout': timeout });
  const response = collectAnswer(stream);
  stream.write(messages(random));
  if (random.chance(0.2)) await sleep(random.int(0, 10));
  stream.end(messages(random));
  if (random.chance(0.5)) {
    stream.pause();
    setTimeout(() => stream.resume(), random.int(0, 40));
  }
  const result = await within(BOUND_MILLISECONDS, `call ${name} to a hostile backend`, response);
  judgeAnswer(backend.answers.get(name) ?? [], result);
  backend.answers.delete(name);
  return fieldValue(result.trailers ?? result.headers, 'grpc-status') === '0';
}

/** A call to an honest backend of which a hostile one gets a copy. */
async function callWithCopy(random: Random, client: Http2Client, lane: number): Promise<void> {
  const body = messages(random);
  const headers = { 'x-lane': lane, 'x-call': 'copy', 'x-copy': '1', 'grpc-timeout': '150m' };
  const call = client.call(METHOD, body, headers);
  const response = await within(BOUND_MILLISECONDS, 'a copied call', call);
  const { headers: received, data, trailers } = response;
  const status = fieldValue(trailers ?? received, 'grpc-status');
  // The copy holds it back for as long as its backend likes; or no connection is to be had.
  assert.ok(status === '0' || status === '4' || status === '14', `status ${status}`);
  assert.ok(data.equals(status === '0' ? body : body.subarray(0, data.length)), 'other bytes came back');
}

const LANES = 6;

function fuzzBackends({ server, client, name, wire, runs }: Setting): void {
  t.test(`hostile backends harm no calls but those to them [${name}]`, async (t) => {
    const world = new World(t, { server, client });
    const events = new ProcessEvents(t);
    const echo = await startEcho(t, wire);
    const honestConn = world.dial(wire.target(echo.port), wire.dialOptions);
    const hostile: { backend: HostileBackend; conn: ReturnType<World['dial']> }[] = [];
    const { port } = await world.proxy((ctx) => {
      const lane = ctx.metadata.get('x-lane');
      if (lane === undefined) return { primary: { conn: honestConn } };
      const { conn } = hostile[Number(lane)]!;
      const callOptions = { waitForReady: ctx.metadata.get('x-call') === 'last' };
      if (!ctx.metadata.has('x-copy')) return { primary: { conn }, callOptions };
      return { primary: { conn: honestConn }, secondaries: [{ conn, errHandler: () => null }] };
    }, wire.serverOptions);
    const dialHostile = ({ port }: HostileBackend) =>
      world.dial(wire.target(port), { ...wire.dialOptions, limits: { connectTimeoutMilliseconds: 100 } });
    const honest = world.http2Client(port, wire);
    // So little that the proxy must hold responses back.
    honest.session.settings({ initialWindowSize: 2000 });
    // On node:http2 a zombie is found out only after 20 s.
    const endless = client === 'frames' ? 0.3 : 0;
    let earned = 0;
    const done = await fuzz(t, runs, LANES, async (random, lane) => {
      if (hostile[lane] === undefined) {
        const backend = await HostileBackend.start(random, wire);
        t.teardown(() => backend.destroy());
        hostile[lane] = { backend, conn: dialHostile(backend) };
      }
      const { backend, conn } = hostile[lane];
      // It would not be dialled again before its backoff is over.
      if (conn.state.name === 'TRANSIENT_FAILURE') {
        conn.destroy();
        hostile[lane] = { backend, conn: dialHostile(backend) };
      }
      backend.random = random.fork();
      const calls = Array.from({ length: random.int(1, 8) }, () =>
        callHostile(random.fork(), honest, lane, backend, endless),
      );
      // What a connection has left undone is over when the connection is.
      const cutting = setInterval(() => void backend.cut(), 250);
      const [oks] = await Promise.all([
        Promise.all(calls),
        callHonestly(random.fork(), honest),
        callWithCopy(random.fork(), honest, lane),
      ]).finally(() => clearInterval(cutting));
      backend.answers.delete('copy');
      earned += oks.filter((ok) => ok).length;
      await backend.cut();
      assert.deepEqual(events.fatal, []);
    });
    t.ok(earned > 0, `${earned} calls to hostile backends were right, in ${done} runs`);
    for (const { backend } of hostile) {
      backend.behaves = true;
      await backend.cut();
    }
    if (IS_LONG || runs === FULL_RUNS) await assertNothingHeld(t, 'client', world.transports);
    // The zombies get calls until they are found out, after 20 s.
    if (client === 'http2') return;
    for (const [lane, { backend, conn }] of hostile.entries()) {
      // A call on a connection that is cut, and not known to be, fails rightly: its request may have been served.
      if (conn.state.name === 'READY') await conn.waitForStateChange('READY');
      const request = encodeMessage(Buffer.from('hi'));
      const call = honest.call(METHOD, request, { 'x-lane': lane, 'x-call': 'last' });
      const response = await within(BOUND_MILLISECONDS, 'a call to a backend that has mended', call);
      const status = fieldValue(response.trailers ?? response.headers, 'grpc-status');
      t.equal(status, '0', 'a backend that has mended is used again');
      if (status !== '0') t.comment(describe(backend.answers.get('last') ?? [], response));
    }
  });
}

// Node's zombies stay when their test is over, and sockets are counted in the whole process: they come last.
for (const transport of ['frames', 'http2']) {
  for (const setting of SETTINGS) if (setting.server === transport) fuzzClients(setting);
  for (const setting of SETTINGS) if (setting.client === transport) fuzzBackends(setting);
}

t.test('no socket is left when all proxies are gone', async (t) => {
  // Each would be a file descriptor that is lost.
  await within(BOUND_MILLISECONDS, 'the end of all sockets', socketsClosed(0));
  t.pass();
});
