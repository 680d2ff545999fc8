import t from 'tap';
import { onceATurn } from '../../lib/cli/once-a-turn.js';

t.test('who ask in one turn get one answer, and who asks later another one', async (t) => {
  let asked = 0;
  const ask = onceATurn(async () => ++asked);
  t.strictSame(await Promise.all([ask(), ask(), ask()]), [1, 1, 1]);
  t.equal(await ask(), 2);
});
