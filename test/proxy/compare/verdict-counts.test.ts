import t from 'tap';
import { VerdictCounts } from '../../../lib/index.js';

t.test('methods beyond the first 1000 are counted together', async (t) => {
  const counts = new VerdictCounts();
  for (let i = 0; i < 1500; i++) {
    counts.add({ method: `/s/${i}`, target: 'a', role: 'secondary', result: 'same' });
  }
  counts.add({ method: '/s/0', target: 'a', role: 'baseline', result: 'inconclusive', reason: 'cut' });
  t.equal(counts.methods.size, 1001);
  const none = { same: 0, different: 0, noise: 0, inconclusive: 0 };
  t.strictSame(counts.methods.get('other'), { compared: { ...none, same: 500 }, baseline: none });
  t.strictSame(counts.methods.get('/s/0'), {
    compared: { ...none, same: 1 },
    baseline: { ...none, inconclusive: 1 },
  });
});
