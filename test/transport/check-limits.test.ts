import t from 'tap';
import { dial, Server, transparentHandler } from '../../lib/index.js';
import { DEFAULT_DIAL_LIMITS, DEFAULT_SERVER_LIMITS } from '../../lib/transport/limits.js';

type Nonsense = Record<string, unknown>;

const never = (): never => {
  throw new Error('no director is asked');
};

const makers: readonly [string, object, (limits: Nonsense) => unknown][] = [
  ['Server', DEFAULT_SERVER_LIMITS, (limits) => new Server({ limits })],
  ['dial', DEFAULT_DIAL_LIMITS, (limits) => dial('127.0.0.1:1', { limits }).destroy()],
  [
    'transparentHandler',
    { maxPeekBytes: 1, peekTimeoutMilliseconds: 1, directorTimeoutMilliseconds: 1 },
    (limits) => transparentHandler(never, limits),
  ],
];

for (const [maker, defaults, make] of makers) {
  for (const [name, byDefault] of Object.entries(defaults)) {
    t.test(`${maker} refuses nonsense for ${name}`, async (t) => {
      const values =
        typeof byDefault === 'number' ? [0, -1, Number.NaN] : [{ burst: 0 }, { timeMilliseconds: 0 }];
      if (typeof byDefault === 'number') {
        for (const value of values) t.throws(() => make({ [name]: value }), { name: 'RangeError' });
        t.throws(() => make({ [name]: '5' }), {
          name: 'TypeError',
          message: new RegExp(`${name} must be a number`),
        });
        t.throws(() => make({ [name]: null }), TypeError);
        if (!name.endsWith('Milliseconds')) t.throws(() => make({ [name]: 1.5 }), RangeError);
      } else {
        const [inner] = Object.keys(byDefault);
        // What is off by default can be turned off.
        const bad = Reflect.get(byDefault, inner!) === 0 ? -1 : 0;
        t.throws(() => make({ [name]: { [inner!]: bad } }), {
          name: 'RangeError',
          message: new RegExp(`${name}.${inner}`),
        });
        t.throws(() => make({ [name]: { nonsense: 1 } }), { name: 'TypeError', message: /no option/ });
        t.throws(() => make({ [name]: 7 }), TypeError);
      }
      t.doesNotThrow(() => make({ [name]: undefined }));
      t.doesNotThrow(() => make({ [name]: byDefault }));
    });
  }

  t.test(`${maker} refuses limits that there are not`, async (t) => {
    t.throws(() => make({ maxConections: 1 }), { name: 'TypeError', message: /no option .*maxConections/ });
    t.throws(() => make({ toString: 1 }), TypeError);
    t.throws(() => make(5 as unknown as Nonsense), TypeError);
    t.throws(() => make(null as unknown as Nonsense), TypeError);
  });
}

t.test('what is a yes or a no', async (t) => {
  const withoutCalls = 1 as unknown as boolean;
  t.throws(() => new Server({ limits: { permitKeepalive: { withoutCalls } } }), {
    name: 'TypeError',
    message: 'limits.permitKeepalive.withoutCalls must be a boolean, not number',
  });
  t.doesNotThrow(() => new Server({ limits: { permitKeepalive: { withoutCalls: true } } }));
});

t.test('what SETTINGS carry, and what a timer waits, cannot be infinite', async (t) => {
  for (const name of ['maxHeaderListBytes', 'maxConcurrentStreams']) {
    t.throws(() => new Server({ limits: { [name]: Number.POSITIVE_INFINITY } }), RangeError);
  }
  const connectTimeoutMilliseconds = Number.POSITIVE_INFINITY;
  t.throws(() => dial('127.0.0.1:1', { limits: { connectTimeoutMilliseconds } }), RangeError);
});

t.test('the old places of limits are checked, too, and limits go before them', async (t) => {
  t.throws(() => dial('127.0.0.1:1', { maxConnections: 0 }), {
    name: 'RangeError',
    message: /maxConnections/,
  });
  t.throws(() => dial('127.0.0.1:1', { connectTimeoutMilliseconds: Number.NaN }), RangeError);
  const limits = { maxConnections: 2 };
  t.doesNotThrow(() => dial('127.0.0.1:1', { maxConnections: 1, limits }).destroy());
});
