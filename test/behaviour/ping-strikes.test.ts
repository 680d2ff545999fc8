import { type CallOutcome, encodeMessage, type ServerOptions } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { requestTo } from '../support/fields.js';
import {
  data,
  ErrorCode,
  errorCode,
  FrameType,
  headers,
  PING,
  Setting,
  windowUpdate,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { echo } from '../support/grpc-backend.js';
import { METHOD } from '../support/unary.js';
import { within } from '../support/within.js';

const MESSAGE = encodeMessage(Buffer.from('hello'));

/** A proxy to a backend that sends back what it gets, as it comes. */
async function proxyToEcho(world: World, limits: ServerOptions['limits']) {
  const backend = await world.grpcBackend({ [METHOD]: echo });
  const conn = world.dial(backend.port);
  const outcomes: CallOutcome[] = [];
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    limits,
    observer: { onCall: (outcome) => void outcomes.push(outcome) },
  });
  return { port, outcomes };
}

/** Sends a message, and waits until it has come back. */
async function exchange(client: FramePeer, id: number): Promise<void> {
  const before = client.of(id, FrameType.DATA).length;
  client.send(data(id, MESSAGE));
  await client.until(() => client.of(id, FrameType.DATA).length > before);
}

async function pings(client: FramePeer, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await client.roundTrip();
}

/** Waits until a connection has been ended for its PINGs, as gRPC clients know it. */
async function endForPings(client: FramePeer): Promise<void> {
  await within(3000, 'the end', client.closed);
  const goaway = client.of(0, FrameType.GOAWAY)[0]!;
  const said = [errorCode(goaway), goaway.payload.toString('latin1', 8)].join();
  const expected = [ErrorCode.ENHANCE_YOUR_CALM, 'too_many_pings'].join();
  if (said !== expected) throw new Error(`GOAWAY said ${said}`);
}

/** Waits: the time is what the test is about. */
function pass(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

behaviour('by default a client may send PINGs as it likes', async (t, world) => {
  const { port } = await proxyToEcho(world, undefined);
  const client = await world.frameClient(port);
  await pings(client, 100);
  t.same(client.of(0, FrameType.GOAWAY), []);
});

behaviour('the third PING too soon ends the connection and its calls: too_many_pings', async (t, world) => {
  const { port, outcomes } = await proxyToEcho(world, { permitKeepalive: { timeMilliseconds: 60_000 } });
  const client = await world.frameClient(port);
  client.send(headers(1, requestTo(METHOD)));
  await exchange(client, 1);
  await pings(client, 3);
  t.same(client.of(0, FrameType.GOAWAY), [], 'one that is permitted, and two strikes');
  client.send(...Array.from({ length: 500 }, () => PING));
  await endForPings(client);
  await eventually('the outcome', () => outcomes.length === 1);
  const { failure } = outcomes[0]!;
  t.equal(failure?.reason, 'client_gone');
  t.match(failure?.error.message, /ENHANCE_YOUR_CALM: too_many_pings$/);
});

behaviour('HEADERS or DATA that a client is sent pay for its PINGs', async (t, world) => {
  const { port } = await proxyToEcho(world, { permitKeepalive: { timeMilliseconds: 60_000 } });
  const client = await world.frameClient(port);
  client.send(headers(1, requestTo(METHOD)));
  for (let i = 0; i < 4; i++) {
    await exchange(client, 1);
    await pings(client, 3);
  }
  t.same(client.of(0, FrameType.GOAWAY), []);
  client.send(PING);
  await endForPings(client);
});

behaviour('DATA that has waited for a window pays for PINGs when it goes out', async (t, world) => {
  const STEP = 1000;
  const { port } = await proxyToEcho(world, { permitKeepalive: { timeMilliseconds: 60_000 } });
  const client = await world.frameClient(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
  const body = encodeMessage(Buffer.alloc(20 * STEP));
  client.send(
    headers(1, requestTo(METHOD)),
    data(1, body.subarray(0, 16_000)),
    data(1, body.subarray(16_000)),
  );
  await client.first(1, FrameType.HEADERS);
  for (let given = STEP; given <= 20 * STEP; given += STEP) {
    client.send(windowUpdate(1, STEP));
    const received = () => client.of(1, FrameType.DATA).reduce((sum, { payload }) => sum + payload.length, 0);
    await client.until(() => received() === given);
    await client.roundTrip();
  }
  t.same(client.of(0, FrameType.GOAWAY), []);
});

behaviour('a client without calls may send a PING every two hours', async (_t, world) => {
  const { port } = await proxyToEcho(world, { permitKeepalive: { timeMilliseconds: 1 } });
  const client = await world.frameClient(port);
  for (let i = 0; i < 3; i++) {
    await client.roundTrip();
    await pass(3);
  }
  client.send(PING);
  await endForPings(client);
});

for (const [whose, withoutCalls] of [
  ['a client with a call', false],
  ['also a client without calls, if that is permitted,', true],
] as const) {
  behaviour(`${whose} may send PINGs as often as is permitted`, async (t, world) => {
    const { port } = await proxyToEcho(world, { permitKeepalive: { timeMilliseconds: 1, withoutCalls } });
    const client = await world.frameClient(port);
    if (!withoutCalls) {
      client.send(headers(1, requestTo(METHOD)));
      await exchange(client, 1);
    }
    for (let i = 0; i < 8; i++) {
      await client.roundTrip();
      await pass(3);
    }
    t.same(client.of(0, FrameType.GOAWAY), []);
  });
}
