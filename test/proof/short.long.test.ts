import t from 'tap';
import { missing } from '../support/missing.js';
import { missingNetwork } from './network.js';
import { isProven, reportOf } from './report.js';
import { rollOut } from './rollout.js';

// Ten processes, each of them started again and again: minutes where others work, too.
t.setTimeout(300_000);

t.test(
  'no call is lost while everything is rolled',
  { skip: missingNetwork() || missing('haproxy') },
  async (t) => {
    const options = { seed: 1, transport: 'frames', isShort: true } as const;
    const result = await rollOut({ ...options, log: (what) => t.comment(what) });
    for (const line of reportOf(result).trimEnd().split('\n')) t.comment(line);
    t.ok(isProven(result));
    t.strictSame(result.failures, []);
    t.strictSame(result.objections, []);
  },
);
