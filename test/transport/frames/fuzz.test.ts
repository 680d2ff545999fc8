import fc from 'fast-check';
import t from 'tap';
import { startServer } from './fixtures.js';
import {
  assertNothingHeld,
  attack,
  captureWith,
  frameSequences,
  JudgingAcceptor,
  mutatedCaptures,
} from './fuzz.js';

/** `FUZZ_RUNS` makes it longer. */
const numRuns = Number(process.env.FUZZ_RUNS ?? 300);

t.test('whatever frames come in, calls keep their order and output keeps the rules', async (t) => {
  const acceptor = new JudgingAcceptor();
  const { address } = await startServer(t, acceptor);
  await t.resolves(
    fc.assert(
      fc.asyncProperty(frameSequences, async ({ frames, cuts }) => {
        const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        await attack(address, Buffer.concat([settings, ...frames]), cuts);
      }),
      { numRuns },
    ),
  );
  t.ok(acceptor.streams > numRuns / 10, 'requests did get through');
  assertNothingHeld();
});

t.test('changed octets of an honest connection do no harm', async (t) => {
  const acceptor = new JudgingAcceptor();
  const { address } = await startServer(t, acceptor);
  await t.resolves(
    fc.assert(
      fc.asyncProperty(mutatedCaptures, async ({ requests, changes, cuts }) => {
        await attack(address, captureWith(requests, changes), cuts);
      }),
      { numRuns },
    ),
  );
  t.ok(acceptor.streams > numRuns / 10, 'requests did get through');
  assertNothingHeld();
});
