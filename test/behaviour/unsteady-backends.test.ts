import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { Code } from '../../lib/index.js';
import { behaviour, type World, waitingBehaviour } from '../support/behaviour.js';
import { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import { echo, GrpcBackend } from '../support/grpc-backend.js';
import type { GrpcClient } from '../support/grpc-client.js';
import { collect } from '../support/grpc-client.js';
import { within } from '../support/within.js';

// Backends as they are in the field: gRPC servers that restart, stand still, or take few streams.

const METHOD = '/test.Service/Method';
const SCRIPT = fileURLToPath(new URL('../support/backend-process.js', import.meta.url));

/** A gRPC server in a process of its own. */
async function backendProcess(t: Test): Promise<{ child: Child; port: number }> {
  const child = Child.node(t, SCRIPT, '{}');
  const { port } = await child.line({ event: 'listening' });
  return { child, port: Number(port) };
}

/** Makes calls, so many at a time, until it is told to stop; what their codes were, counted. */
function load(client: GrpcClient, concurrency: number) {
  const codes = new Map<number, number>();
  let isStopped = false;
  const worker = async (): Promise<void> => {
    while (!isStopped) {
      const { code, messages } = await client.call(METHOD, ['message']);
      const seen = Number(code) === Code.OK && messages.length !== 1 ? Number.NaN : code;
      codes.set(seen, (codes.get(seen) ?? 0) + 1);
    }
  };
  const workers = Promise.all(Array.from({ length: concurrency }, worker));
  const total = (): number => [...codes.values()].reduce((sum, count) => sum + count, 0);
  return {
    codes,
    /** Resolves when so many more calls have ended. */
    async more(calls: number): Promise<void> {
      const until = total() + calls;
      await eventually(`${calls} more calls`, () => total() >= until, 20_000);
    },
    async stop(): Promise<Map<number, number>> {
      isStopped = true;
      await workers;
      return codes;
    },
  };
}

/** Lets a backend restart twice under load; the codes that the calls ended with, counted. */
async function underRestarts(
  world: World,
  stop: (backend: GrpcBackend) => void | Promise<void>,
): Promise<Map<number, number>> {
  let backend = await GrpcBackend.start({ [METHOD]: echo });
  const { port } = backend;
  const conn = world.dial(port);
  const proxy = await world.proxy(() => ({ primary: { conn }, callOptions: { waitForReady: true } }));
  const running = load(world.grpcClient(proxy.port), 8);
  for (let restart = 0; restart < 2; restart++) {
    await running.more(50);
    await stop(backend);
    backend = await GrpcBackend.start({ [METHOD]: echo }, {}, port);
  }
  await running.more(50);
  const codes = await running.stop();
  backend.destroy();
  return codes;
}

waitingBehaviour('a backend that restarts in order loses no call that waits for ready', async (t, world) => {
  const codes = await underRestarts(world, (backend) => backend.close());
  t.strictSame([...codes.keys()], [Code.OK]);
});

waitingBehaviour(
  'a backend that is cut down and comes back: OK or UNAVAILABLE, and OK again',
  async (t, world) => {
    const codes = await underRestarts(world, (backend) => backend.destroy());
    const { [Code.OK]: ok = 0, [Code.UNAVAILABLE]: lost = 0, ...others } = Object.fromEntries(codes);
    t.strictSame(others, {});
    t.ok(ok >= 150 - lost, `${ok} are OK`);
    t.ok(lost <= 2 * 8, `${lost} ran on a connection that was lost`);
  },
);

waitingBehaviour(
  'a backend that is stopped in the midst of a call: UNAVAILABLE, by keepalive',
  async (t, world) => {
    const { child, port } = await backendProcess(t);
    const conn = world.dial(port, {
      limits: { keepalive: { timeMilliseconds: 1000, timeoutMilliseconds: 1000 } },
    });
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const call = world.grpcClient(proxy.port).open(METHOD);
    const result = collect(call);
    call.write(Buffer.from('message'));
    await new Promise((resolve) => call.once('data', resolve));
    child.signal('SIGSTOP');
    const { code, details } = await within(15_000, 'the end of the call', result);
    t.equal(code, Code.UNAVAILABLE);
    t.match(details, /was lost: the peer is silent and does not answer a PING \(keepalive\)/);
    await child.kill();
  },
);

/** Fifty calls at once, of which the backend lets one run at a time, or refuses what it counts too many. */
async function fiftyAtOnce(t: Test, world: World, port: number): Promise<void> {
  const conn = world.dial(port, { limits: { maxConnections: 1 } });
  const proxy = await world.proxy(() => ({ primary: { conn } }));
  const client = world.grpcClient(proxy.port);
  const results = await Promise.all(Array.from({ length: 50 }, () => client.call(METHOD, ['message'])));
  t.strictSame(
    results.filter(({ code }) => Number(code) !== Code.OK).map(({ code, details }) => `${code} ${details}`),
    [],
  );
}

behaviour(
  'a backend that allows one stream at a time serves fifty calls that come at once',
  async (t, world) => {
    const backend = await GrpcBackend.start({ [METHOD]: echo }, { 'grpc.max_concurrent_streams': 1 });
    t.teardown(() => backend.destroy());
    await fiftyAtOnce(t, world, backend.port);
  },
);
