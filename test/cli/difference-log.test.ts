import t from 'tap';
import { DifferenceLog } from '../../lib/cli/difference-log.js';
import type { ResponseVerdict } from '../../lib/index.js';

function difference(method: string): ResponseVerdict {
  return {
    method,
    target: 'a:1',
    role: 'shadow',
    result: 'different',
    at: 'messages',
    index: 1,
    primary: 2,
    other: 1,
  };
}

t.test('the first difference of a kind is said at once, and of more how many', async (t) => {
  const lines: string[] = [];
  const log = new DifferenceLog((line) => lines.push(line));
  for (const method of ['/a.B/C', '/a.B/C', '/a.B/D', '/a.B/C']) log.add(difference(method));
  t.same(lines, [
    'compare: shadow a:1 answers /a.B/C differently from the primary: 1 messages in place of 2',
    'compare: shadow a:1 answers /a.B/D differently from the primary: 1 messages in place of 2',
  ]);
  log.stop();
  t.same(lines.slice(2), ['compare: shadow a:1 answers /a.B/C differently from the primary: 2 more times']);
});

t.test('verdicts that are no difference are not said', async (t) => {
  const lines: string[] = [];
  const log = new DifferenceLog((line) => lines.push(line));
  log.add({ method: '/a.B/C', target: 'a:1', role: 'shadow', result: 'same' });
  log.add({ method: '/a.B/C', target: 'a:1', role: 'shadow', result: 'inconclusive', reason: 'cut' });
  log.stop();
  t.same(lines, []);
});

t.test('what clients call methods commands no terminal, and fills no log', async (t) => {
  const lines: string[] = [];
  const log = new DifferenceLog((line) => lines.push(line));
  log.add(difference(`/a.B/\u009b31m\u001b[2J${'x'.repeat(10_000)}`));
  t.match(lines[0], /answers \/a\.B\/\?31m\?\[2Jx{150,200} differently/);
  for (let i = 0; i < 5000; i++) log.add(difference(`/a.B/${i}`));
  t.ok(lines.length <= 1001, `${lines.length} lines`);
  log.stop();
  t.match(lines.at(-1), /further methods are answered differently: 4\d{3} more times/);
});
