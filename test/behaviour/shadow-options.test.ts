import { Code, type ShadowDestination } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { mine, THROWN, throwing, untyped, withTrap } from '../support/hostile-values.js';
import { ProcessEvents } from '../support/process-events.js';
import { answer, listening, shadowed } from '../support/shadowed.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';

const NONSENSE: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ maxLagBytes: -1 }, /maxLagBytes must be a number from 0, not -1/],
  [{ maxLagBytes: Number.NaN }, /maxLagBytes must be a number from 0, not NaN/],
  [{ maxLagBytes: '1' }, /maxLagBytes must be a number, not string/],
  [{ graceMilliseconds: Infinity }, /graceMilliseconds must be a number from 0 to 2147483647, not Infinity/],
  [{ graceMilliseconds: null }, /graceMilliseconds must be a number, not null/],
  [{ percent: 101 }, /percent must be a number from 0 to 100, not 101/],
  [{ percent: 7n }, /percent must be a number, not bigint/],
  [{ sampleKey: 7 }, /sampleKey must be a string, not number/],
  [{ conn: undefined }, /a destination needs a conn/],
  [{ ctx: {} }, /a destination's ctx must be a CallContext/],
  [{ msg: 'text' }, /a message must be bytes/],
  [{ observer: null }, /null/],
];

behaviour(
  'nonsense in a shadow is told its error handler, or else all; the call goes on',
  async (t, world) => {
    const events = new ProcessEvents(t);
    const backend = await world.http2Backend(answer);
    const conn = world.dial(backend.port);
    let shadows: unknown;
    const { client, shadows: ended, calls } = await shadowed(world, () => ({ shadows: untyped(shadows) }));
    for (const [nonsense, text] of NONSENSE) {
      const { shadow, told } = listening(untyped<ShadowDestination>({ conn, ...nonsense }));
      shadows = [shadow];
      t.equal(status(await client.call(METHOD, MESSAGE)), '0');
      t.match(told, [{ code: Code.UNKNOWN, message: text }]);
      await events.settled();
      t.same(events.warnings, []);
      shadows = [{ conn, ...nonsense }];
      t.equal(status(await client.call(METHOD, MESSAGE)), '0');
      await events.settled();
      t.match(events.warnings, [text]);
      events.warnings.length = 0;
    }
    const lists: readonly unknown[] = [
      7,
      'shadows',
      null,
      {},
      mine(),
      [null],
      [undefined],
      [mine()],
      [{ conn, errHandler: 7 }],
      ...(['conn', 'percent', 'sampleKey', 'observer', 'errHandler'] as const).map((name) => [
        withTrap({ conn }, name),
      ]),
    ];
    for (shadows of lists) {
      t.equal(status(await client.call(METHOD, MESSAGE)), '0');
      await events.settled();
      t.equal(events.warnings.length, 1);
      events.warnings.length = 0;
    }
    // The others are not lost by it.
    shadows = [null, { conn }, mine(), { conn }];
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    await eventually('both have ended', () => ended.length === 2);
    t.equal(calls.at(-1)!.shadows.length, 2);
    t.ok(calls.every(({ failure }) => failure === undefined));
    t.same(events.fatal, []);
  },
);

behaviour('parameters whose shadows cannot be read', async (t, world) => {
  const events = new ProcessEvents(t);
  const primary = await world.http2Backend(answer);
  const conn = world.dial(primary.port);
  const proxy = await world.proxy(() => withTrap({ primary: { conn } }, 'shadows'));
  t.equal(status(await world.http2Client(proxy.port).call(METHOD, MESSAGE)), '0');
  await events.settled();
  t.same(events.warnings, ['a trap']);
});

behaviour('whatever a shadow’s error handler throws or returns means nothing', async (t, world) => {
  const events = new ProcessEvents(t);
  const gone = await world.http2Backend(() => {});
  gone.destroy();
  const conn = world.dial(gone.port);
  let errHandler: unknown;
  const { client } = await shadowed(world, () => ({ shadows: [{ conn, errHandler: untyped(errHandler) }] }));
  for (const [thrown, , text] of THROWN) {
    for (errHandler of [throwing(thrown), () => Promise.reject(thrown)]) {
      events.warnings.length = 0;
      t.equal(status(await client.call(METHOD, MESSAGE)), '0');
      await eventually('the warning', () => events.warnings.length === 1);
      t.same(events.warnings, [text]);
    }
  }
  events.warnings.length = 0;
  for (errHandler of [() => null, () => new Error('no'), () => 7, () => new Promise(() => {}), mine]) {
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
  }
  t.same(events.fatal, []);
});

behaviour('each shadow draws for itself; those with one key are all in, or all out', async (t, world) => {
  const backend = await world.http2Backend(answer);
  const conn = world.dial(backend.port);
  let shadows: readonly ShadowDestination[] = [];
  const draws: number[] = [];
  const { client, calls } = await shadowed(world, () => {
    // Only for the draws, which follow at once: others draw, too.
    const { random } = Math;
    Math.random = () => draws.shift() ?? random();
    queueMicrotask(() => {
      Math.random = random;
    });
    return { shadows };
  });
  const count = async (): Promise<number> => {
    t.equal(status(await client.call(METHOD, MESSAGE)), '0');
    return calls.at(-1)!.shadows.length;
  };
  shadows = [
    { conn, percent: 30 },
    { conn, percent: 30 },
    { conn, percent: 0 },
    { conn, percent: 100 },
  ];
  draws.push(0.29, 0.31, 0);
  t.equal(await count(), 2);
  draws.push(0.31, 0.29, 0);
  t.equal(await count(), 2);
  draws.push(0.1, 0.1, 0);
  t.equal(await count(), 3);
  const seen = new Set<number>();
  for (let key = 0; key < 20; key++) {
    const sampleKey = `tenant ${key}`;
    shadows = Array.from({ length: 3 }, () => ({ conn, percent: 50, sampleKey }));
    const first = await count();
    t.equal(await count(), first);
    seen.add(first);
  }
  t.same(seen, new Set([0, 3]));
});
