import fc from 'fast-check';
import t from 'tap';
import { Call, RawServer, startClient, startServer } from './fixtures.js';
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
import { RawPeer } from './raw-peer.js';

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

t.test('whatever a server sends, its calls get one answer in order', async (t) => {
  const server = await RawServer.listen(t);
  let answered = 0;
  await t.resolves(
    fc.assert(
      fc.asyncProperty(responseSequences, async ({ frames, cuts }) => {
        const transport = startClient({ teardown() {} }, server.target);
        const calls = [new Call(transport), new Call(transport), new Call(transport)];
        const peer = await RawPeer.server(await server.accept());
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
      }),
      { numRuns },
    ),
  );
  t.ok(answered > numRuns / 10, 'calls did succeed');
  assertNothingHeld();
});
