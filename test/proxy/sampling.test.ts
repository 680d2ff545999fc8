import t from 'tap';
import { isDrawn } from '../../lib/proxy/sampling.js';

const KEYS = Array.from({ length: 10_000 }, (_, i) => `tenant-${i}`);

t.test('the share of keys is about the percentage, and grows with it', async (t) => {
  let before = new Set<string>();
  for (const percent of [0, 0.5, 1, 10, 50, 99, 100]) {
    const drawn = new Set(KEYS.filter((key) => isDrawn(percent, key)));
    t.ok(Math.abs(drawn.size / KEYS.length - percent / 100) < 0.015, `${drawn.size} of ${percent} %`);
    t.ok(
      [...before].every((key) => drawn.has(key)),
      'who was in stays in',
    );
    before = drawn;
  }
});

t.test('keys that differ in one character are not drawn alike', async (t) => {
  for (const keys of [
    Array.from({ length: 1000 }, (_, i) => String.fromCharCode(i)),
    Array.from({ length: 1000 }, (_, i) => `${String.fromCharCode(i)}/a-long-suffix`),
    Array.from({ length: 1000 }, (_, i) => 'x'.repeat(i)),
  ]) {
    const drawn = keys.filter((key) => isDrawn(50, key)).length;
    t.ok(Math.abs(drawn - 500) < 80, `${drawn} of 1000`);
  }
});

t.test('the same key is drawn in every process alike: what is drawn today is pinned', async (t) => {
  t.same(
    ['', 'a', 'tenant-7', 'ключ', '\u{1f511}'].map(
      (key) => [10, 30, 50, 70, 90].filter((p) => isDrawn(p, key)).length,
    ),
    [2, 4, 1, 1, 2],
  );
});

t.test('without a key, by chance', async (t) => {
  const drawn = KEYS.filter(() => isDrawn(50, undefined)).length;
  t.ok(Math.abs(drawn - 5000) < 500);
});
