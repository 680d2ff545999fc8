import fc from 'fast-check';
import t from 'tap';
import { LOAD_BALANCING } from '../../lib/client/channel/load-balancing.js';
import { ChannelWorld, mockLookup, mockRandom, type Step } from './channel-model.js';
import { TestClock } from './fake-backend.js';

const SEED = 20261126;

const which = fc.nat(7);
const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('call' as const), client: fc.nat(1), waitForReady: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end' as const), which, isFailure: fc.boolean() }) },
  fc.record({ do: fc.constantFrom('refuse' as const, 'cancel' as const, 'go away' as const), which }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('refuse dial' as const), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('accept dial' as const),
      which,
      room: fc.constantFrom(0, 1, 2, Infinity),
    }),
  },
  fc.record({ do: fc.constant('lose' as const), which, hasAnswered: fc.boolean() }),
  // The tenth address stands for a name server that is silent.
  fc.record({
    do: fc.constant('resolve' as const),
    hosts: fc.oneof(fc.uniqueArray(fc.nat(3)), fc.constant([9])),
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      milliseconds: fc.constantFrom(50, 250, 1100, 5000),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'tick' as const }) },
  fc.constant({ do: 'connect' as const }),
);

for (const loadBalancing of LOAD_BALANCING) {
  t.test(
    `${loadBalancing}: no call waits beside room, or for ever, whatever happens in which order`,
    async (t) => {
      const clock = new TestClock(t);
      let world: ChannelWorld;
      t.teardown(mockLookup(() => world.lookup()));
      let runs = 0;
      const property = fc.asyncProperty(fc.array(steps, { maxLength: 60 }), fc.nat(3), async (run, good) => {
        const restoreRandom = mockRandom(good);
        try {
          world = new ChannelWorld(clock, loadBalancing, `backend${++runs}`);
          for (const step of run) await world.do(step);
          await world.settle();
          await world.endWell(`10.0.0.${good + 1}`);
          await world.close();
        } finally {
          restoreRandom();
        }
      });
      const options = { seed: SEED, numRuns: Number(process.env.CHANNEL_MODEL_RUNS ?? 60) };
      await t.resolves(fc.assert(property, options));
    },
  );
}
