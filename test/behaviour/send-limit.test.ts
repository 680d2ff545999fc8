import { type CallOutcome, Code, encodeMessage } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { dialled, METHOD, message, ok, status } from '../support/unary.js';

const LIMIT = 100;
const callOptions = { maxSendMessageBytes: LIMIT };
const TOO_LONG = 'message of 101 bytes is over the limit of 100 bytes';

behaviour(
  'a message over maxSendMessageBytes is RESOURCE_EXHAUSTED, one as long is not',
  async (t, world) => {
    const { destinations } = await dialled(world, [ok]);
    const proxy = await world.proxy(() => ({ primary: destinations[0]!, callOptions }));
    const client = world.http2Client(proxy.port);
    t.equal(status(await client.call(METHOD, encodeMessage(Buffer.alloc(LIMIT)))), '0');
    const tooLong = await client.call(METHOD, encodeMessage(Buffer.alloc(LIMIT + 1)));
    t.strictSame([status(tooLong), message(tooLong)], [String(Code.RESOURCE_EXHAUSTED), TOO_LONG]);
  },
);

behaviour('maxSendMessageBytes holds for the message that a director puts in, too', async (t, world) => {
  for (const role of ['primary', 'secondary']) {
    let calls = 0;
    const { destinations } = await dialled(world, [
      ok,
      (request) => {
        calls++;
        ok(request);
      },
    ]);
    let msg = Buffer.alloc(LIMIT);
    const outcomes: CallOutcome[] = [];
    const second = deferred();
    const onCall = (outcome: CallOutcome): void => {
      outcomes.push(outcome);
      if (outcomes.length === 2) second.resolve();
    };
    const proxy = await world.proxy(
      () => {
        const replaced = { ...destinations[1]!, msg };
        const [primary, secondary] = role === 'primary' ? [replaced] : [destinations[0]!, replaced];
        return { primary: primary!, secondaries: secondary === undefined ? [] : [secondary], callOptions };
      },
      { observer: { onCall } },
    );
    const client = world.http2Client(proxy.port);
    t.equal(status(await client.call(METHOD, encodeMessage(Buffer.alloc(1)))), '0');
    msg = Buffer.alloc(LIMIT + 1);
    const tooLong = await client.call(METHOD, encodeMessage(Buffer.alloc(1)));
    t.strictSame([status(tooLong), message(tooLong)], [String(Code.RESOURCE_EXHAUSTED), TOO_LONG]);
    await second.promise;
    t.match(outcomes, [{ failure: undefined }, { failure: { reason: 'director' } }]);
    t.equal(calls, 1, 'no backend heard of the second call');
  }
});
