import t from 'tap';
import { TRANSPORTS } from '../support/transports.js';
import { type Judgement, judgeIdentical, judgePlantedInCall, judgePlantedInStream } from './judge.js';

for (const transports of TRANSPORTS) {
  const load = { calls: 500, concurrency: 32, seed: 1, transports };
  const judges: readonly (() => Promise<Judgement>)[] = [
    () => judgeIdentical(load),
    () => judgePlantedInStream(load, 10_000),
    () => judgePlantedInCall(load),
  ];
  t.test(`comparing under load [${transports.server} to ${transports.client}]`, async (t) => {
    for (const judge of judges) {
      const { name, objections } = await judge();
      t.strictSame(objections, [], name);
    }
  });
}
