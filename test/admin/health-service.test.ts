import { status } from '@grpc/grpc-js';
import { healthService } from '../../lib/admin/health-service.js';
import {
  decodeHealthCheckResponse,
  encodeHealthCheckRequest,
  encodeHealthCheckResponse,
  encodeHealthListResponse,
} from '../../lib/grpc/health.js';
import { type CallOutcome, dial, transparentHandler } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { collect } from '../support/grpc-client.js';

const CHECK = '/grpc.health.v1.Health/Check';
const WATCH = '/grpc.health.v1.Health/Watch';
const LIST = '/grpc.health.v1.Health/List';
const WHOLE = encodeHealthCheckRequest('');

const statusesOf = (messages: readonly Buffer[]): string[] => messages.map(decodeHealthCheckResponse);

/** A proxy that answers health itself, before a backend whose every service is NOT_SERVING. */
async function healthy(world: World, isForwarding = true) {
  const outcomes: CallOutcome[] = [];
  let started = 0;
  const backend = await world.grpcBackend({
    [CHECK]: (call) => {
      call.write(encodeHealthCheckResponse('NOT_SERVING'));
      call.end();
    },
    [WATCH]: (call) => void call.write(encodeHealthCheckResponse('NOT_SERVING')),
  });
  const conn = world.dial(backend.port);
  const forward = transparentHandler(() => ({ primary: { conn } }));
  const observer = {
    onCallStarted: () => {
      started++;
      return undefined;
    },
    onCall: (outcome: CallOutcome) => void outcomes.push(outcome),
  };
  const options = { unknownServiceHandler: forward, observer };
  const { port, server } = await world.serve(options);
  let answered = 0;
  const onAnswered = () => void answered++;
  const health = healthService(server, { onAnswered, ...(isForwarding && { forward }) });
  return {
    server,
    health,
    answered: () => answered,
    outcomes,
    client: world.grpcClient(port),
    started: () => started,
    port,
  };
}

behaviour(
  'health of the server as a whole is answered here: SERVING, by Check, Watch and List',
  async (t, world) => {
    const { client, health, answered, outcomes, started, server } = await healthy(world);
    const check = await client.call(CHECK, [WHOLE]);
    t.strictSame([check.code, statusesOf(check.messages)], [status.OK, ['SERVING']]);
    const list = await client.call(LIST, ['']);
    t.strictSame([list.code, list.messages], [status.OK, [encodeHealthListResponse('SERVING')]]);
    const watch = client.open(WATCH);
    watch.end(WHOLE);
    const watched = collect(watch);
    await eventually('all three are answered', () => answered() === 3);
    t.equal(server.runningCalls.length, 0, 'the one that runs is in no list');
    health.stopServing();
    const told = await watched;
    t.strictSame([told.code, statusesOf(told.messages)], [status.OK, ['SERVING', 'NOT_SERVING']]);
    t.strictSame(statusesOf((await client.call(CHECK, [WHOLE])).messages), ['NOT_SERVING']);
    t.strictSame(statusesOf((await client.call(WATCH, [WHOLE])).messages), ['NOT_SERVING']);
    t.strictSame([outcomes, started()], [[], 0], 'observers hear of none');
  },
);

behaviour('health of a named service is forwarded like any call', async (t, world) => {
  const { client, answered, outcomes, started } = await healthy(world);
  const check = await client.call(CHECK, [encodeHealthCheckRequest('a.Service')]);
  t.strictSame([check.code, statusesOf(check.messages)], [status.OK, ['NOT_SERVING']]);
  await eventually('the observer hears', () => outcomes.length === 1);
  t.equal(outcomes[0]?.destinations.length, 1);
  t.strictSame([started(), answered()], [1, 0]);
  const watch = client.open(WATCH);
  watch.end(encodeHealthCheckRequest('a.Service'));
  const [first] = await new Promise<Buffer[]>((resolve) => watch.once('data', (data) => resolve([data])));
  t.equal(decodeHealthCheckResponse(first!), 'NOT_SERVING');
  watch.on('error', () => {});
  watch.cancel();
});

behaviour('closing the server tells Watch streams NOT_SERVING, and ends them', async (t, world) => {
  const { client, server, answered } = await healthy(world);
  const watch = client.open(WATCH);
  watch.end(WHOLE);
  const watched = collect(watch);
  await eventually('it is answered', () => answered() === 1);
  const closed = server.close();
  const { code, messages } = await watched;
  t.strictSame([code, statusesOf(messages)], [status.OK, ['SERVING', 'NOT_SERVING']]);
  t.equal(await closed, 0);
});

behaviour(
  'without a way to forward, named services are unknown: Check fails, Watch says so and stays',
  async (t, world) => {
    const { client, health, answered } = await healthy(world, false);
    const check = await client.call(CHECK, [encodeHealthCheckRequest('a.Service')]);
    t.equal(check.code, status.NOT_FOUND);
    const watch = client.open(WATCH);
    watch.end(encodeHealthCheckRequest('a.Service'));
    const watched = collect(watch);
    await eventually('it is answered', () => answered() === 2);
    health.stopServing();
    t.strictSame(statusesOf((await watched).messages), ['SERVICE_UNKNOWN']);
  },
);

behaviour(
  'what is no health request is refused, and a Watch that is cancelled leaves nothing behind',
  async (t, world) => {
    const { client, answered, server } = await healthy(world);
    t.equal((await client.call(CHECK, [Buffer.from([0x0a, 0xff])])).code, status.INTERNAL);
    t.equal((await client.call(CHECK, [])).code, status.INTERNAL);
    const watch = client.open(WATCH);
    watch.end(WHOLE);
    watch.on('error', () => {});
    await eventually('it is answered', () => answered() === 1);
    watch.cancel();
    t.equal(await server.close(), 0, 'nothing is waited for');
  },
);

behaviour('a client of this package sees an address as healthy by it', async (t, world) => {
  const { port } = await healthy(world);
  const conn = dial(`127.0.0.1:${port}`, {
    transport: world.transports.client,
    healthCheck: { service: '' },
  });
  t.teardown(() => conn.destroy());
  conn.connect();
  await eventually('it is READY', () => conn.state.name === 'READY');
  t.pass();
});
