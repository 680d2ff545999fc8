import fc from 'fast-check';
import t from 'tap';
import { ClosedStreams } from '../../../lib/transport/frames/stream/closed-streams.js';
import { REQUEST, RESPONSE } from '../../support/fields.js';
import { data, END, headers } from '../../support/frame.js';
import { Call } from './fixtures.js';
import { openCall } from './stream-cases.js';

t.test(
  'streams that were reset are remembered for as long as 16384 others have not come after them',
  async (t) => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 300 }),
        fc.integer({ min: 0, max: 2 ** 20 }),
        (steps, first) => {
          const closed = new ClosedStreams();
          const reset: number[] = [];
          let number = first;
          for (const step of steps) {
            number += step;
            closed.addReset(2 * number + 1);
            reset.push(number);
          }
          for (const each of reset) {
            if (number - each < 16384 && !closed.wasReset(2 * each + 1))
              throw new Error(`${each} is forgotten`);
          }
          for (let other = first + 1; other <= number; other++) {
            if (!reset.includes(other) && closed.wasReset(2 * other + 1))
              throw new Error(`${other} was not reset`);
          }
        },
      ),
      { numRuns: 30 },
    );
    const none = new ClosedStreams();
    t.notOk(none.wasReset(1));
  },
);

t.test('late answers for streams that the client has reset and forgotten are ignored', async (t) => {
  const resets = { burst: Number.POSITIVE_INFINITY, perSecond: 1 };
  const { peer, transport } = await openCall(t, false, { limits: { resets } });
  for (let i = 0; i < 40_000; i++) {
    new Call(transport, REQUEST, true).stream.reset(8);
    if (i % 1000 === 0) {
      await peer.roundTrip();
      peer.frames.length = 0;
    }
  }
  await peer.roundTrip();
  peer.frames.length = 0;
  for (const id of [3, 5, 7]) peer.send(headers(id, RESPONSE), data(id, '00'), headers(id, ['a', 'b'], END));
  await peer.roundTrip();
  t.strictSame(peer.objections, []);
});
