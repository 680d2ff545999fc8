import t from 'tap';
import { parseDuration } from '../../lib/routes/duration.js';

t.test('durations', async (t) => {
  for (const [text, milliseconds] of [
    ['250ms', 250],
    ['5s', 5000],
    ['2m', 120_000],
    ['0s', 0],
  ] as const) {
    t.equal(parseDuration(text), milliseconds);
  }
});

t.test('what is no duration is told with what is one', async (t) => {
  for (const text of ['', '5', 's', '5 s', '1.5s', '-5s', '1h', '5S', '1e3s', '9999999999s', '5s5s', '٥s']) {
    t.throws(() => parseDuration(text), {
      message: `${JSON.stringify(text)} is no duration: give 250ms, 5s or 2m`,
    });
  }
});
