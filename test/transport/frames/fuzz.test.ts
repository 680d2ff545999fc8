import fc, { type Arbitrary, type Parameters } from 'fast-check';
import t, { type Test } from 'tap';
import { Call, startBackend, startClient, startServer } from './fixtures.js';
import {
  assertNothingHeld,
  attack,
  captureWith,
  frameSequences,
  JudgingAcceptor,
  mutatedCaptures,
  responseSequences,
  sendInPieces,
} from './fuzz.js';

/** `FUZZ_RUNS`, or `FUZZ_SECONDS` for each test, make it longer; `FUZZ_SEED` and `FUZZ_PATH` do a failure once more. */
const { FUZZ_RUNS, FUZZ_SECONDS, FUZZ_SEED, FUZZ_PATH } = process.env;
const isLong = FUZZ_RUNS !== undefined || FUZZ_SECONDS !== undefined;

const parameters: Parameters<[unknown]> = {
  numRuns: Number(FUZZ_RUNS ?? (FUZZ_SECONDS === undefined ? 300 : 2 ** 31)),
  ...(FUZZ_SECONDS === undefined ? {} : { interruptAfterTimeLimit: Number(FUZZ_SECONDS) * 1000 }),
  ...(FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED) }),
  ...(FUZZ_PATH === undefined ? {} : { path: FUZZ_PATH }),
};

if (isLong) t.setTimeout(0);

/**
 * Runs something with one input after the other. What fails says by which seed and path.
 *
 * @returns how many runs there were
 */
async function fuzz<T>(t: Test, inputs: Arbitrary<T>, run: (input: T) => Promise<void>): Promise<number> {
  if (isLong) t.setTimeout(0);
  const property = fc.asyncProperty(inputs as Arbitrary<unknown>, (input) => run(input as T));
  const details = await fc.check(property, parameters);
  t.notOk(details.failed, fc.defaultReportMessage(details) ?? `${details.numRuns} runs`);
  return details.numRuns;
}

t.test('whatever frames come in, calls keep their order and output keeps the rules', async (t) => {
  const acceptor = new JudgingAcceptor();
  const { address } = await startServer(t, acceptor);
  const runs = await fuzz(t, frameSequences, async ({ frames, cuts }) => {
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    await attack(address, Buffer.concat([settings, ...frames]), cuts);
  });
  t.ok(acceptor.streams > runs / 10, 'requests did get through');
  assertNothingHeld();
});

t.test('changed octets of an honest connection do no harm', async (t) => {
  const acceptor = new JudgingAcceptor();
  const { address } = await startServer(t, acceptor);
  const runs = await fuzz(t, mutatedCaptures, async ({ requests, changes, cuts }) => {
    await attack(address, captureWith(requests, changes), cuts);
  });
  t.ok(acceptor.streams > runs / 10, 'requests did get through');
  assertNothingHeld();
});

t.test('whatever a server sends, its calls get one answer in order', async (t) => {
  const server = await startBackend(t);
  let answered = 0;
  const runs = await fuzz(t, responseSequences, async ({ frames, cuts }) => {
    const transport = startClient({ teardown() {} }, server.target);
    const calls = [new Call(transport), new Call(transport), new Call(transport)];
    const peer = await (await server.accept()).exchangePrefaces();
    await peer.nextHeaders(1);
    await sendInPieces(peer, Buffer.concat(frames), cuts);
    peer.socket.end();
    await peer.closed;
    for (const call of calls) {
      await call.done();
      const events = call.events.join();
      if (!/^(headers\+end|headers(,data)?(,headers\+end|,end)?)?(,?reset)?$/.test(events))
        throw new Error(events);
      if (call.ended) answered++;
    }
    transport.destroy();
  });
  t.ok(answered > runs / 10, 'calls did succeed');
  assertNothingHeld();
});
