import t from 'tap';
import { callStatistics } from '../../lib/admin/index.js';
import { PastStatistics } from '../../lib/cli/past-statistics.js';
import type { CallObserver } from '../../lib/index.js';
import { outcomeOf, UNAVAILABLE } from '../admin/outcomes.js';

t.test('what workers had told that have ended is still told, once, and runs no more', (t) => {
  const past = new PastStatistics();
  t.equal(past.statistics, undefined);
  for (let worker = 0; worker < 2; worker++) {
    let observer: CallObserver | undefined;
    const statistics = callStatistics({ observe: (given) => (observer = given) });
    observer!.onCallStarted!(undefined as never);
    observer!.onCallStarted!(undefined as never);
    observer!.onCall!(outcomeOf({ failure: UNAVAILABLE }));
    const process = {};
    past.saw(process, statistics.snapshot());
    past.ended(process);
    past.ended(process);
  }
  past.ended({});
  t.equal(past.statistics?.running, 0);
  t.equal(
    past.statistics?.failures.reduce((sum, { count }) => sum + count, 0),
    2,
  );
  t.end();
});
