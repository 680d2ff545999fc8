import fc from 'fast-check';
import t from 'tap';
import { didYouMean } from '../../lib/port/did-you-mean.js';
import { parseConfig } from '../../lib/routes/config-file.js';
import { effectiveConfig } from '../../lib/routes/effective-config.js';
import { parseSize } from '../../lib/routes/size.js';
import { EXAMPLE } from './example.js';

const OPTIONS = { file: 'p.yaml' };
const BACKENDS = 'backends: { files: { target: "a:1" } }\n';
const ROUTES = 'routes: [{ match: {}, primary: files }]\n';

t.test('the example of the contract is a config', async (t) => {
  const { config } = parseConfig(EXAMPLE, OPTIONS);
  t.match(config, {
    listen: [{ address: '0.0.0.0:50051', tls: { cert: 'tls.crt', key: 'tls.key', clientCa: 'clients.pem' } }],
    transport: 'frames',
    admin: { address: '127.0.0.1:9901', hosts: [] },
    workers: 'auto',
    metrics: { maxMethods: 1000 },
    health: 'own',
    drainTimeout: { text: '30s', milliseconds: 30_000 },
    accessLog: { file: '-', sample: 1 },
    backends: {
      files: { loadBalancing: 'round_robin', keepalive: { time: { milliseconds: 30_000 } } },
      'files-next': { target: 'http://10.0.0.7:50051' },
    },
    routes: [
      {
        name: 'writes',
        match: { service: 'storage.Files', method: ['Write', 'Delete'] },
        primary: [{ backend: 'files', weight: 1 }],
        secondaries: [{ backend: 'replica', onError: 'ignore' }],
        shadows: [{ backend: 'files-next', percent: 5, compare: true, maxLag: { bytes: 1024 ** 2 } }],
        timeout: { milliseconds: 5000 },
        waitForReady: true,
      },
      { match: { service: 'internal.*' }, reject: { code: 'PERMISSION_DENIED' } },
      { match: {}, primary: [{ backend: 'files' }] },
    ],
  });
});

t.test('what is left out is as by default', async (t) => {
  const { config } = parseConfig(BACKENDS + ROUTES, OPTIONS);
  const { listen, transport, admin, accessLog } = config!;
  t.strictSame([listen, transport, admin, accessLog], [undefined, undefined, undefined, undefined]);
  t.match(config, {
    workers: 1,
    metrics: { maxMethods: 1000 },
    health: 'own',
    drainTimeout: { milliseconds: 30_000 },
  });
});

t.test('short forms are what they are short for', async (t) => {
  const text = (short: boolean): string =>
    [
      `listen: ${short ? '":50051"' : '[{ address: ":50051" }]'}`,
      `admin: ${short ? '":9901"' : '{ address: ":9901" }'}`,
      BACKENDS,
      'routes:',
      `- match: { method: ${short ? 'Write' : '[Write]'} }`,
      `  primary: ${short ? 'files' : '[{ backend: files, weight: 1 }]'}`,
      `  secondaries: [${short ? 'files' : '{ backend: files, onError: fail }'}]`,
      `  shadows: [${short ? 'files' : '{ backend: files, percent: 100, compare: false }'}]`,
    ].join('\n');
  const { config } = parseConfig(text(true), OPTIONS);
  t.ok(config);
  t.strictSame(config, parseConfig(text(false), OPTIONS).config);
  t.strictSame(
    parseConfig(`${text(true)}\n`.replace('listen: ":50051"', 'listen: [":50051"]'), OPTIONS).config,
    config,
  );
});

t.test('sizes', async (t) => {
  for (const [text, bytes] of [
    ['512B', 512],
    ['64KiB', 65536],
    ['1MiB', 1048576],
    ['2GiB', 2147483648],
  ] as const) {
    t.equal(parseSize(text), bytes);
  }
  for (const text of ['', '1', '1 MiB', '1MB', '1mib', '-1KiB', '1.5MiB', '999999999999GiB']) {
    t.throws(() => parseSize(text), {
      message: `${JSON.stringify(text)} is no size: give 64KiB, 1MiB or a number of bytes`,
    });
  }
  const shadow = (maxLag: string): string =>
    `${BACKENDS}routes: [{ match: {}, primary: files, shadows: [{ backend: files, maxLag: ${maxLag} }] }]`;
  const lagOf = (maxLag: string): unknown =>
    parseConfig(shadow(maxLag), OPTIONS).config?.routes?.[0]?.shadows?.[0]?.maxLag;
  t.strictSame(lagOf('2048'), { text: '2048', bytes: 2048 });
  t.strictSame(lagOf('2KiB'), { text: '2KiB', bytes: 2048 });
  for (const none of ['-1', '1.5', '.inf', '.nan', 'true', '[]'])
    t.equal(parseConfig(shadow(none), OPTIONS).mistakes?.length, 1, none);
});

t.test('JSON is read, with tabs, escapes and a byte order mark, and places are those in it', async (t) => {
  const value = {
    backends: { files: { target: 'a:1' } },
    routes: [{ match: {}, primary: 'files', name: '\u2028"/😀' }],
  };
  const json = `\ufeff${JSON.stringify(value, null, '\t').replaceAll('/', '\\/')}`;
  t.strictSame(parseConfig(json, OPTIONS).mistakes?.map(String), [
    'p.yaml:11:12: routes[0].name: must be of printable ASCII characters',
  ]);
});

t.test('aliases stand for what they name, and places are in what they name', async (t) => {
  const text = 'backends: { files: &b { target: "a:1" }, other: *b }\n';
  const { config } = parseConfig(text + ROUTES, OPTIONS);
  t.strictSame(config?.backends, { files: { target: 'a:1' }, other: { target: 'a:1' } });
  t.strictSame(
    parseConfig(text.replace('a:1', 'a') + ROUTES, OPTIONS).mistakes?.map((m) => [m.path, m.column]),
    [
      ['backends.files.target', 33],
      ['backends.other.target', 33],
    ],
  );
});

t.test('names of what every object has are names like others', async (t) => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    const text = `backends: { ${name}: { target: "a:1" } }\nroutes: [{ match: { service: ${name}, metadata: { x-a: ${name} } }, primary: ${name} }]`;
    t.strictSame(parseConfig(text, OPTIONS).config?.routes?.[0]?.primary, [{ backend: name, weight: 1 }]);
    const unknown = `${BACKENDS}routes: [{ match: {}, primary: ${name} }]\n${name}: 1`;
    t.equal(parseConfig(unknown, OPTIONS).mistakes?.length, 2, name);
  }
});

t.test('of very many mistakes it is said how many there are', async (t) => {
  const { mistakes } = parseConfig(`routes: [${'5,'.repeat(1200)}]`, OPTIONS);
  t.equal(mistakes!.length, 1001);
  t.match(mistakes!.map(String), ['p.yaml:1:1: 200 more mistakes are not told']);
});

t.test('any value: it is a config, or all mistakes have a place', async (t) => {
  const key = fc.oneof(
    fc.constantFrom(
      ...[
        'backends',
        'routes',
        'match',
        'primary',
        'secondaries',
        'shadows',
        'listen',
        'admin',
        'target',
        'tls',
      ],
      ...[
        'metadata',
        'set',
        'remove',
        'reject',
        'code',
        'backend',
        'weight',
        'timeout',
        'service',
        'workers',
      ],
      ...['__proto__', 'constructor', 'toString', 'files', ''],
    ),
    fc.string(),
  );
  const leaf = fc.oneof(
    fc.constantFrom('files', 'a:1', '5s', '1MiB', 'x*', '-', null, true, 0, 1, -1, Infinity),
    fc.string({ unit: 'grapheme' }),
    fc.double(),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  const config = fc.record(
    {
      backends: fc.oneof(value, fc.dictionary(key, value)),
      routes: fc.oneof(value, fc.array(value)),
      rest: value,
    },
    { requiredKeys: [] },
  );
  const check = (given: unknown): void => {
    const text = JSON.stringify(given);
    const parsed = parseConfig(text, OPTIONS);
    if (parsed.mistakes === undefined) {
      JSON.stringify(effectiveConfig(parsed.config));
      return;
    }
    if (parsed.mistakes.length === 0) throw new Error('no mistake is told');
    for (const mistake of parsed.mistakes) {
      const { line, column } = mistake;
      if (line !== 1 || !(column! >= 1 && column! <= text.length)) throw new Error(`no place: ${mistake}`);
      if (!/^p\.yaml:1:\d+: [^\p{Cc}]+$/u.test(String(mistake))) throw new Error(`no line: ${mistake}`);
      if (/undefined|\[object/.test(mistake.message) && !/undefined|\[object/.test(text)) {
        throw new Error(`no words: ${mistake}`);
      }
    }
  };
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.oneof(value, config), async (given) => check(given)),
      { numRuns: 1500 },
    ),
  );
});

t.test('any text: it is read, or all mistakes have a place', async (t) => {
  const part = fc.oneof(
    fc.constantFrom(
      ...[
        '[',
        ']',
        '{',
        '}',
        ':',
        ' ',
        '\n',
        '- ',
        ', ',
        '"',
        "'",
        '&a',
        '*a',
        '!',
        '|',
        '>',
        '%',
        '#',
        '---',
      ],
      ...['\t', '\r', '? ', 'routes', 'backends', '<<', '~', '@', '`', '\0', '\u2028', '\ud800'],
    ),
    fc.string({ maxLength: 4 }),
  );
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 40 }), async (parts) => {
        const text = parts.join('');
        const lines = text.split('\n').length;
        for (const { line, column } of parseConfig(text, OPTIONS).mistakes ?? []) {
          if (!(line! >= 1 && line! <= lines && column! >= 1)) throw new Error(`no place: ${line}:${column}`);
        }
      }),
      { numRuns: 1500 },
    ),
  );
});

t.test('the config in force is told in the words of the file, without secrets', async (t) => {
  const secret = 'Bearer 123';
  const route = [
    `- match: { metadata: { x-api-key: "${secret}", x-tenant: acme } }`,
    '  primary: set',
    '  timeout: 90s',
    '  shadows:',
    `  - { backend: set, maxLag: 64KiB, metadata: { set: { Authorization: "${secret}", x-shadow: "1" }, remove: [cookie] } }`,
    `  requestMetadata: { set: { x-auth-token: "${secret}", x-proxy: edge } }`,
    `  responseMetadata: { set: { set-cookie: "${secret}", x-secret-a: "${secret}", password: "${secret}" } }`,
  ];
  const backends =
    'backends: { set: { target: "a:1", tls: { cert: a.crt, key: a.key }, keepalive: { time: 1m } } }';
  const { config } = parseConfig(`${backends}\nroutes:\n${route.join('\n')}`, OPTIONS);
  const told = effectiveConfig(config!);
  t.notMatch(JSON.stringify(told), /Bearer/);
  t.strictSame(told, {
    workers: 1,
    metrics: { maxMethods: 1000 },
    health: 'own',
    drainTimeout: '30s',
    backends: {
      set: { target: 'a:1', tls: { cert: 'a.crt', key: 'a.key' }, keepalive: { time: '1m' } },
    },
    routes: [
      {
        match: { metadata: { 'x-api-key': '…', 'x-tenant': 'acme' } },
        primary: [{ backend: 'set', weight: 1 }],
        timeout: '90s',
        shadows: [
          {
            backend: 'set',
            percent: 100,
            compare: false,
            maxLag: '64KiB',
            metadata: { set: { Authorization: '…', 'x-shadow': '1' }, remove: ['cookie'] },
          },
        ],
        requestMetadata: { set: { 'x-auth-token': '…', 'x-proxy': 'edge' } },
        responseMetadata: { set: { 'set-cookie': '…', 'x-secret-a': '…', password: '…' } },
      },
    ],
  });
});

t.test('what somebody meant', async (t) => {
  const names = ['primary', 'secondaries', 'shadows', 'name'];
  for (const [word, meant] of [
    ['primry', 'primary'],
    ['priamry', 'primary'],
    ['Primary', 'primary'],
    ['secondary', 'secondaries'],
    ['shadow', 'shadows'],
    ['nmae', 'name'],
    ['x', undefined],
    ['', undefined],
    ['timeout', undefined],
    ['p'.repeat(100_000), undefined],
  ] as const) {
    t.equal(didYouMean(word, names), meant, word.slice(0, 20));
  }
});

t.test('names of metadata that look secret', async (t) => {
  const names = [
    'authorization',
    'X-Auth',
    'x-session-id',
    'x-db-passwd',
    'x-jwt',
    'x-credentials',
    'x-signature-bin',
  ];
  const set = Object.fromEntries(names.map((name) => [name, 'aGlkZGVu']));
  const routes = [{ match: {}, primary: 'files', requestMetadata: { set: { ...set, 'x-tenant': 'acme' } } }];
  const { config } = parseConfig(`${BACKENDS}routes: ${JSON.stringify(routes)}`, OPTIONS);
  const shown = JSON.stringify(effectiveConfig(config!));
  t.notMatch(shown, /aGlkZGVu/);
  t.match(shown, /"x-tenant":"acme"/);
});
