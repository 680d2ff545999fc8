import {
  compareResponses,
  type Destination,
  type ResponseVerdict,
  type ShadowDestination,
} from '../../lib/index.js';
import { ComparingMemory } from '../../lib/proxy/compare/allowance.js';
import { compareWithin } from '../../lib/proxy/compare/compare-responses.js';
import { checkedSettings } from '../../lib/proxy/compare/settings.js';
import { behaviour, type World } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { untyped } from '../support/hostile-values.js';
import { answer, answerOn, rawShadow, requestOn } from '../support/shadowed.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';

const trap = (name: string): object =>
  Object.defineProperty({}, name, {
    get() {
      throw new Error('a trap');
    },
  });

/** A proxy that compares a primary with these shadows, in memory of its own. */
async function compared(world: World, shadowsOf: (conn: Destination['conn']) => ShadowDestination[]) {
  const backend = await world.http2Backend(answer);
  const conn = world.dial(backend.port);
  const memory = new ComparingMemory(2 ** 26);
  const verdicts: ResponseVerdict[] = [];
  const settings = checkedSettings({ onVerdict: (verdict) => void verdicts.push(verdict) });
  const { server, port } = await world.proxy(() =>
    compareWithin(memory, { primary: { conn }, shadows: shadowsOf(conn) }, settings),
  );
  return { server, client: world.http2Client(port), memory, verdicts };
}

behaviour('a shadow that cannot be read harms no call, and no other verdict', async (t, world) => {
  const { client, verdicts } = await compared(world, (conn) => [
    untyped<ShadowDestination>(trap('conn')),
    { conn },
  ]);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  await eventually('a verdict', () => verdicts.length > 0);
  t.match(verdicts, [{ role: 'shadow', result: 'same' }]);
});

behaviour('parameters whose shadows cannot be read are those of a call without', async (t, world) => {
  const backend = await world.http2Backend(answer);
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() =>
    compareResponses(Object.assign(trap('shadows'), { primary: { conn } }), { onVerdict: () => {} }),
  );
  t.equal(status(await world.http2Client(port).call(METHOD, MESSAGE)), '0');
});

behaviour(
  'a shadow that is left out, or not drawn, is not compared, and nothing is held',
  async (t, world) => {
    for (const nonsense of [
      { ctx: 7 },
      { msg: 7 },
      { observer: null },
      { observer: trap('onMessage') },
      { percent: 0 },
    ]) {
      const { client, memory, verdicts } = await compared(world, (conn) => [
        untyped<ShadowDestination>({ conn, errHandler: () => null, ...nonsense }),
      ]);
      t.equal(status(await client.call(METHOD, MESSAGE)), '0');
      t.equal(memory.held, 0);
      t.same(verdicts, []);
    }
  },
);

behaviour('a shadow that goes on after its call is compared once it has answered', async (t, world) => {
  const { backend, shadow } = await rawShadow(world);
  const { client, memory, verdicts } = await compared(world, () => [shadow]);
  t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  const connection = await backend.accept();
  await requestOn(connection);
  t.same(verdicts, []);
  t.ok(memory.held > 0);
  answerOn(connection);
  await eventually('a verdict', () => verdicts.length > 0);
  t.match(verdicts, [{ role: 'shadow', result: 'same' }]);
  t.equal(memory.held, 0);
});

behaviour('a shadow that is cut, by its lag, its grace or the server, is inconclusive', async (t, world) => {
  for (const [more, reason] of [
    [{ maxLagBytes: 0 }, 'limit'],
    [{ graceMilliseconds: 20 }, 'deadline'],
    [{}, 'draining'],
  ] as const) {
    const { shadow } = await rawShadow(world, 0, more);
    const { server, client, memory, verdicts } = await compared(world, () => [shadow]);
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    if (reason === 'draining') server.destroy();
    await eventually('a verdict', () => verdicts.length > 0);
    t.match(verdicts, [{ result: 'inconclusive', reason: new RegExp(`cut off: ${reason}: `) }]);
    t.equal(memory.held, 0);
  }
});
