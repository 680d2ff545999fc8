import { waitingBehaviour } from '../support/behaviour.js';
import { ErrorCode } from '../support/frame.js';
import {
  answerOn,
  complete,
  incomplete,
  rawQuorum,
  requestOn,
  silent,
  wasCancelled,
} from '../support/shadowed.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';

waitingBehaviour('the deadline passes: CANCEL, whether the request was complete or not', async (t, world) => {
  const whole = await complete(world, {}, silent, '1500m');
  const half = await incomplete(world, silent, '1500m');
  t.equal(status(await whole.response), '4');
  t.equal(status(await half.response), '4');
  t.equal(await whole.connection.resetCode(1), ErrorCode.CANCEL);
  t.ok(await wasCancelled(half.connection));
  t.same(await whole.results(), ['cancelled']);
  t.same(await half.results(), ['cancelled']);
  t.match([...whole.shadows, ...half.shadows], Array(2).fill({ failure: { reason: 'deadline' } }));
});

waitingBehaviour('the deadline passes after the end of the call: CANCEL', async (t, world) => {
  const { connection, response, results, calls } = await complete(world, {}, undefined, '1500m');
  t.equal(status(await response), '0');
  t.match(calls, [{ shadows: [{ result: 'running' }] }]);
  t.equal(await connection.resetCode(1), ErrorCode.CANCEL);
  t.same(await results(), ['cancelled']);
});

waitingBehaviour('the deadline of the call holds for the rest of a quorum', async (t, world) => {
  const { raws, client, shadows, results } = await rawQuorum(world, 1, [2 ** 24, 2 ** 24]);
  const call = client.call(METHOD, MESSAGE, { 'grpc-timeout': '1500m' });
  const [first, second] = await Promise.all(raws.map(({ backend }) => backend.accept()));
  await requestOn(first!);
  await requestOn(second!);
  answerOn(second!);
  t.equal(status(await call), '0');
  t.equal(await first!.resetCode(1), ErrorCode.CANCEL);
  t.same(await results(), ['cancelled']);
  t.match(shadows, [{ failure: { reason: 'deadline' } }]);
});
