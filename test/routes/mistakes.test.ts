import t from 'tap';
import { parseConfig } from '../../lib/routes/config-file.js';

const BACKENDS = 'backends: { files: { target: "a:1" }, replica: { target: "b:1" } }\n';
const ROUTES = 'routes: [{ match: {}, primary: files }]\n';

/** Texts, and what is told of them: all of it, in the order of the text, and nothing else. */
const CASES: readonly (readonly [text: string, ...mistakes: string[]])[] = [
  [``, '1:1: is empty: give backends and routes'],
  [
    `# nothing
`,
    '1:1: is empty: give backends and routes',
  ],
  [
    `routes`,
    '1:1: "routes" is no mapping: give keys: listen, admin, workers, metrics, health, drainTimeout, accessLog, transport, backends, routes',
  ],
  [
    `[]`,
    '1:1: a list is no mapping: give keys: listen, admin, workers, metrics, health, drainTimeout, accessLog, transport, backends, routes',
  ],
  [`${BACKENDS}`, '1:1: routes: is missing: give at least one route, as { match: {}, primary: … }'],
  [
    `routes: []
${BACKENDS}`,
    '1:9: routes: is an empty list: give a list of routes',
  ],
  [
    `rutes: []
${BACKENDS}`,
    '1:1: rutes: is no key here (did you mean "routes"?)',
    '1:1: routes: is missing: give at least one route, as { match: {}, primary: … }',
  ],
  [`${BACKENDS}${ROUTES}wrkers: 1`, '3:1: wrkers: is no key here (did you mean "workers"?)'],
  [`${ROUTES}`, '1:32: routes[0].primary: there is no backend "files": "backends" names none'],
  [
    `backends: {}
${ROUTES}`,
    '2:32: routes[0].primary: there is no backend "files": "backends" names none',
  ],
  [
    `backends: { file: { target: "a:1" } }
${ROUTES}`,
    '2:32: routes[0].primary: there is no backend "files" (did you mean "file"?)',
  ],
  [
    `backends: { other: { target: "a:1" }, more: {target: "b:1"} }
${ROUTES}`,
    '2:32: routes[0].primary: there is no backend "files": there are other and more',
  ],
  [
    `${BACKENDS}routes:
  - match: {}
    primry: files`,
    '3:5: routes[0]: needs primary, or reject',
    '4:5: routes[0].primry: is no key here (did you mean "primary"?)',
  ],
  [
    `${BACKENDS}routes:
  - primary: files`,
    '3:5: routes[0].match: is missing: give keys: service, method, authority, metadata',
  ],
  [
    `${BACKENDS}routes:
  - match:
    primary: files`,
    '3:11: routes[0].match: is empty: give keys: service, method, authority, metadata',
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: [{backend: fles, weight: 0}, {backend: files, weight: 1.5}, {backend: files}, files, {weight: 1, backnd: files}]}]`,
    '2:42: routes[0].primary[0].backend: there is no backend "fles" (did you mean "files"?)',
    '2:56: routes[0].primary[0].weight: 0 is none: give a whole number from 1',
    '2:85: routes[0].primary[1].weight: 1.5 is none: give a whole number from 1',
    '2:91: routes[0].primary[2].weight: is missing: give a whole number from 1',
    '2:109: routes[0].primary[3]: "files" is no mapping: give keys: backend, weight',
    "2:116: routes[0].primary[4].backend: is missing: give a backend's name",
    '2:128: routes[0].primary[4].backnd: is no key here (did you mean "backend"?)',
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: 5}]`,
    "2:31: routes[0].primary: 5 is no backend: give a backend's name, or a list of { backend, weight }",
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: []}]`,
    '2:31: routes[0].primary: is an empty list: give a list of { backend, weight }',
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: ""}]`,
    "2:31: routes[0].primary: is empty: give a backend's name",
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: files, secondaries: [repli, {backend: replica, onError: ignor}, 7, {}]}]`,
    '2:52: routes[0].secondaries[0]: there is no backend "repli": there are files and replica',
    '2:87: routes[0].secondaries[1].onError: "ignor" is none: give fail or ignore (did you mean "ignore"?)',
    "2:95: routes[0].secondaries[2]: 7 is no backend: give a backend's name, or { backend, onError }",
    "2:98: routes[0].secondaries[3].backend: is missing: give a backend's name",
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: files, secondaries: replica}]`,
    '2:51: routes[0].secondaries: "replica" is no list: give a list of backends',
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: files, shadows: [{backend: replica, percent: 101, compare: yes, maxLag: 5 MB, metadata: {set: {te: x, x-a: 1, "x b": y, x-bin: "%%"}, remove: [content-type, x-a, x-c-bin]}}]}]`,
    '2:76: routes[0].shadows[0].percent: 101 is none: give a number from 0 to 100',
    '2:90: routes[0].shadows[0].compare: "yes" is none: give true or false',
    '2:103: routes[0].shadows[0].maxLag: "5 MB" is no size: give 64KiB, 1MiB or a number of bytes',
    '2:130: routes[0].shadows[0].metadata.set.te: "te" cannot be metadata: the field belongs to one HTTP/2 connection',
    '2:138: routes[0].shadows[0].metadata.set.x-a: must be text: put it in quotes',
    '2:148: routes[0].shadows[0].metadata.set["x b"]: metadata name "x b" must be of the characters 0-9 a-z _ - . only',
    '2:158: routes[0].shadows[0].metadata.set.x-bin: is no base64, which names that end in -bin take',
    '2:174: routes[0].shadows[0].metadata.remove[0]: "content-type" cannot be metadata: the field is gRPC\'s own',
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: files, timeout: 5, waitForReady: 1, requestMetadata: {set: []}, responseMetadata: {remove: server}}]`,
    '2:47: routes[0].timeout: 5 is no duration: give 250ms, 5s or 2m',
    '2:64: routes[0].waitForReady: 1 is none: give true or false',
    '2:90: routes[0].requestMetadata.set: a list is no mapping: give names and values: { x-proxy: edge }',
    '2:122: routes[0].responseMetadata.remove: "server" is no list: give a list of metadata names',
  ],
  [
    `${BACKENDS}routes: [{match: {}, primary: files, timeout: 0s}, {match: {}, primary: files, timeout: 999999999m}]`,
    '2:47: routes[0].timeout: "0s" is no time at all: give more',
    '2:89: routes[1].timeout: "999999999m" is too long: give at most 35791m',
  ],
  [
    `${BACKENDS}routes: [{match: {service: "a*b", method: [], authority: "*.x"}, primary: files}, {match: {service: /a.B, method: A/b, authority: "a b", metadata: {x: "a*b", host: a, k-bin: "YQ*", authorization: 5}}, primary: files}]`,
    '2:28: routes[0].match.service: "a*b" may have a * at its end only: give a service\'s name, as storage.Files, or a prefix, as storage.*',
    '2:43: routes[0].match.method: is an empty list: give a list of method names',
    '2:58: routes[0].match.authority: takes no *: give HOST or HOST:PORT',
    '2:101: routes[1].match.service: "/a.B" is no name: give a service\'s name, as storage.Files, or a prefix, as storage.*',
    '2:115: routes[1].match.method: "A/b" is no name: give a method\'s name, as Write, or a prefix, as Get*',
    '2:131: routes[1].match.authority: "a b" is no authority: give HOST or HOST:PORT',
    '2:152: routes[1].match.metadata.x: may have a * at its end only, which makes it a prefix',
    '2:165: routes[1].match.metadata.host: "host" cannot be metadata: the field belongs to one HTTP/2 connection',
    '2:175: routes[1].match.metadata.k-bin: bytes have no prefix: give all, in base64',
    '2:197: routes[1].match.metadata.authorization: must be text: put it in quotes',
  ],
  [
    `${BACKENDS}routes: [{match: {}, reject: {code: OK}}, {match: {}, reject: {code: NOTFOUND}}, {match: {}, reject: {}}, {match: {}, reject: {code: INTERNAL}, primary: files, timeout: 1s}, {match: {}}]`,
    '2:37: routes[0].reject.code: "OK" is none: give CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS or UNAUTHENTICATED',
    '2:70: routes[1].reject.code: "NOTFOUND" is none: give CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS or UNAUTHENTICATED (did you mean "NOT_FOUND"?)',
    '2:102: routes[2].reject.code: is missing: give CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS or UNAUTHENTICATED',
    '2:154: routes[3].primary: makes no sense beside reject: give one of them',
    '2:170: routes[3].timeout: makes no sense beside reject: give one of them',
    '2:175: routes[4]: needs primary, or reject',
  ],
  [
    `${BACKENDS}routes: [{name: a, match: {}, primary: files}, {name: a, match: {}, primary: files}, {name: "3", match: {}, primary: files}, {name: "ä", match: {}, primary: files}]`,
    '2:55: routes[1].name: is the name of routes[0], too: give each its own',
    '2:93: routes[2].name: is a number: so routes without a name are called, by their position',
    '2:133: routes[3].name: must be of printable ASCII characters',
  ],
  [
    `${ROUTES}backends:
  files: {}
  a: { target: x, targets: [y] }
  b: { targets: ["https://a", "b:1", "c", "dns:///"] }
  c: { target: "ftp://x" }
  d: { targets: ["https://a", "b:1"]}`,
    '3:10: backends.files: needs target, or targets',
    '4:6: backends.a: has target and targets: give one of them',
    '4:16: backends.a.target: "x" is no address: give http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT or ipv6:[ADDRESS]:PORT',
    '4:29: backends.a.targets[0]: "y" is no address: give http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT or ipv6:[ADDRESS]:PORT',
    '5:31: backends.b.targets[1]: all targets of a backend must be with TLS (https://), or none',
    '5:38: backends.b.targets[2]: "c" is no address: give http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT or ipv6:[ADDRESS]:PORT',
    '5:43: backends.b.targets[3]: "dns:///" names no host: give http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT or ipv6:[ADDRESS]:PORT',
    '6:16: backends.c.target: "ftp://x" has an unknown scheme: give http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT or ipv6:[ADDRESS]:PORT',
    '7:31: backends.d.targets[1]: all targets of a backend must be with TLS (https://), or none',
  ],
  [
    `${ROUTES}backends:
  files: { target: "a:1", loadBalancing: roundrobin, tls: { cert: x, ca: "", serverName: 5 }, healthCheck: {}, keepalive: { time: 0s, timeout: 1h }, maxConnections: 0, maxConcurrentCalls: many, authority: "a b" }`,
    '3:42: backends.files.loadBalancing: "roundrobin" is none: give pick_first, round_robin or least_request (did you mean "round_robin"?)',
    '3:67: backends.files.tls.cert: needs key: they belong together',
    '3:74: backends.files.tls.ca: is empty: give the path of a file',
    '3:90: backends.files.tls.serverName: 5 is no name: give whom the certificate must be for, as files.internal',
    '3:108: backends.files.healthCheck.service: is missing: give the name of a service, or "" for the server as a whole',
    '3:131: backends.files.keepalive.time: "0s" is no time at all: give more',
    '3:144: backends.files.keepalive.timeout: "1h" is no duration: give 250ms, 5s or 2m',
    '3:166: backends.files.maxConnections: 0 is none: give a whole number from 1',
    '3:189: backends.files.maxConcurrentCalls: "many" is none: give a whole number from 1',
    '3:206: backends.files.authority: "a b" is no authority: give preserve, HOST or HOST:PORT',
  ],
  [
    `${ROUTES}backends: { files: { target: "a:1", tls: { key: k } } }`,
    '2:49: backends.files.tls.key: needs cert: they belong together',
  ],
  [
    `listen: [":1", { address: "unix:/a" }, ":0", ":0", "unix:///a", ":001", "[::1]:2"]
admin: { address: "[::1]:2" }
${BACKENDS}${ROUTES}`,
    '1:52: listen[4]: is the address of listen[1], too: give each its own',
    '1:65: listen[5]: is the address of listen[0], too: give each its own',
    '2:8: admin: is the address of listen[6], too: give each its own',
  ],
  [
    `listen: a:1
admin: A:1
${BACKENDS}${ROUTES}`,
    '2:8: admin: is the address of listen, too: give each its own',
  ],
  [
    `listen: 5
${BACKENDS}${ROUTES}`,
    '1:9: listen: 5 is none: give HOST:PORT, :PORT or unix:/PATH',
  ],
  [
    `listen: [":x", { tls: {} }, { address: ":1", tls: { cert: a } }, {address: ":2", tls: { clientCa: x }}]
${BACKENDS}${ROUTES}`,
    '1:10: listen[0]: ":x" is no address: give HOST:PORT, :PORT or unix:/PATH',
    '1:16: listen[1].address: is missing: give HOST:PORT, :PORT or unix:/PATH',
    '1:23: listen[1].tls: needs cert and key: without them there is no TLS',
    '1:59: listen[2].tls.cert: needs key: they belong together',
    '1:87: listen[3].tls: needs cert and key: without them there is no TLS',
  ],
  [
    `transport: frame
admin: {address: "x", hosts: ["a:1"]}
workers: 0
metrics: {maxMethods: -1}
health: none
drainTimeout: soon
accessLog: {sample: 2}
${BACKENDS}${ROUTES}`,
    '1:12: transport: "frame" is none: give http2 or frames (did you mean "frames"?)',
    '2:18: admin.address: "x" is no address: give HOST:PORT, :PORT or unix:/PATH',
    '2:31: admin.hosts[0]: "a:1" is no host: give a name without a port',
    '3:10: workers: 0 is none: give a whole number from 1 to 1024',
    '4:23: metrics.maxMethods: -1 is none: give a whole number from 0',
    '5:9: health: "none" is none: give own or forward',
    '6:15: drainTimeout: "soon" is no duration: give 250ms, 5s or 2m',
    '7:12: accessLog.file: is missing: give the path of a file',
    '7:21: accessLog.sample: 2 is none: give a number from 0 to 1',
  ],
  [
    `workers: many
admin: 9901
accessLog: "-"
metrics:
${BACKENDS}${ROUTES}`,
    '1:10: workers: "many" is none: give a whole number from 1 to 1024, or auto',
    '2:8: admin: 9901 is no address: give HOST:PORT, :PORT or unix:/PATH, or { address, hosts }',
    '3:12: accessLog: "-" is no mapping: give keys: file, sample',
    '4:9: metrics: is empty: give keys: maxMethods',
  ],
  [`${BACKENDS}${BACKENDS}${ROUTES}`, '2:1: backends: is here twice'],
  [
    `${BACKENDS}${ROUTES}a: [1,
`,
    '4:1: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  [
    `${BACKENDS}${ROUTES}- x`,
    '3:1: Implicit keys need to be on a single line',
    '3:1: Unexpected block-seq-ind on same line with key',
    '3:1: Implicit map keys need to be followed by map values',
  ],
  [
    `a: *x
${BACKENDS}${ROUTES}`,
    '1:1: a: is no key here: there are listen, admin, workers, metrics, health, drainTimeout, accessLog, transport, backends and routes',
    '1:4: a: there is no anchor "x" before this',
  ],
  [
    `a: !foo x
${BACKENDS}${ROUTES}`,
    '1:1: a: is no key here: there are listen, admin, workers, metrics, health, drainTimeout, accessLog, transport, backends and routes',
    '1:4: Unresolved tag: !foo',
  ],
  [
    `${BACKENDS}${ROUTES}---
b: 1`,
    '3:1: a second document begins here: give one',
  ],
  [
    `{"backends": {"files": {"target": "a:1"}}, "routes": [{"match": {}, "primary": "files", "primary": "files"}]}`,
    '1:89: routes[0].primary: is here twice',
  ],
  [
    `backends: { __proto__: { target: "a:1" } }
routes: [{ match: { metadata: { __proto__: x }}, primary: __proto__ }]
__proto__: 1`,
    '1:13: backends.__proto__: cannot be a name',
    '2:33: routes[0].match.metadata.__proto__: cannot be a name',
    '3:1: __proto__: is no key here: there are listen, admin, workers, metrics, health, drainTimeout, accessLog, transport, backends and routes',
  ],
  [
    `backends: { constructor: { target: "a:1" } }
routes: [{ match: {}, primary: constructor }]`,
  ],
  [
    `backends: { constructor: {} }
routes: [{ match: {}, primary: toString }]`,
    '1:26: backends.constructor: needs target, or targets',
    '2:32: routes[0].primary: there is no backend "toString": there are constructor',
  ],
  [
    `a\0b: "\\e[31m"
${BACKENDS}${ROUTES}`,
    '1:1: ["a\\u0000b"]: is no key here: there are listen, admin, workers, metrics, health, drainTimeout, accessLog, transport, backends and routes',
  ],
  [
    `backends: { "a\\nb": {target: "a:1"}, "": {target: "a:1"} }
routes: [{match: {}, primary: "a\\nb"}]`,
    '1:13: backends["a\\nb"]: must be of printable ASCII characters',
    '1:38: backends[""]: a backend needs a name',
  ],
  [
    `x: 1`,
    '1:1: x: is no key here: there are listen, admin, workers, metrics, health, drainTimeout, accessLog, transport, backends and routes',
    '1:1: routes: is missing: give at least one route, as { match: {}, primary: … }',
  ],
  [
    `a: &a [*a]
${BACKENDS}${ROUTES}`,
    '1:8: is nested too deeply',
  ],
  [
    `backends:
${ROUTES}`,
    '1:10: backends: is empty: give backends by their names: { files: { target: … } }',
    '2:32: routes[0].primary: there is no backend "files": "backends" names none',
  ],
  [
    `backends: [a]
${ROUTES}`,
    '1:11: backends: a list is no mapping: give backends by their names: { files: { target: … } }',
    '2:32: routes[0].primary: there is no backend "files": "backends" names none',
  ],
  [
    `${BACKENDS}routes: [{ match: {}, primary: files, requestMetadata: { set: { a: x }, remove: [A] } }]`,
    '2:82: routes[0].requestMetadata.remove[0]: is set here, too: that alone replaces it',
  ],
  [
    `backends: &b
  files: {target: "a:1", targt: x}
  other: *b
${ROUTES}`,
    '2:19: is nested too deeply',
  ],
  [
    `%YAML 1.1
---
workers: yes
${BACKENDS}${ROUTES}`,
    '3:10: workers: "yes" is none: give a whole number from 1 to 1024, or auto',
  ],
];

t.test('all mistakes of a file are told, each on a line with its place', async (t) => {
  for (const [text, ...mistakes] of CASES) {
    const told = parseConfig(text, { file: 'p.yaml' }).mistakes?.map(String) ?? [];
    t.strictSame(
      told,
      mistakes.map((line) => `p.yaml:${line}`),
      text,
    );
  }
});

t.test('where flags name a primary, a file need not have routes', async (t) => {
  const options = { file: 'p.yaml', hasPrimary: true };
  t.equal(parseConfig('workers: 2', options).config?.workers, 2);
  t.strictSame(parseConfig('', options).mistakes?.map(String), [
    'p.yaml:1:1: is empty: give at least one key',
  ]);
  t.strictSame(parseConfig('routes: []', options).mistakes?.map(String), [
    'p.yaml:1:9: routes: is an empty list: give a list of routes',
  ]);
});

t.test('a mistake has its parts', async (t) => {
  const [mistake] = parseConfig(`${BACKENDS}routes: [{ match: {}, primary: file }]`, { file: 'p.yaml' })
    .mistakes!;
  t.match(mistake, { file: 'p.yaml', line: 2, column: 32, path: 'routes[0].primary' });
  t.equal(mistake!.message, 'there is no backend "file" (did you mean "files"?)');
});

t.test('of a value that may be a secret only the key is told', async (t) => {
  const changes = '{ set: { authorization: 5550199, x-token-bin: "a secret" } }';
  const route = `{ match: { metadata: { cookie: 5550199, x-key: "a secret\\u0001" } }, primary: files, requestMetadata: ${changes} }`;
  const { mistakes } = parseConfig(`${BACKENDS}routes: [${route}]`, { file: 'p.yaml' });
  t.equal(mistakes!.length, 4);
  t.notMatch(mistakes!.join('\n'), /secret|5550199/);
});

t.test('what was meant is guessed for the first of many names', async (t) => {
  const routes = Array.from({ length: 30 }, () => '- { match: {}, primary: fils }');
  const { mistakes } = parseConfig(`${BACKENDS}routes:\n${routes.join('\n')}`, { file: 'p.yaml' });
  const guessed = mistakes!.filter(({ message }) => message.endsWith('(did you mean "files"?)'));
  t.equal(guessed.length, 20);
  t.match(mistakes!.at(-1)!.message, 'there is no backend "fils": there are ');
});

t.test('a name of metadata in another case is the same name', async (t) => {
  const twice = '{ X-A: "1", x-b: "2", x-a: "3" }';
  const route = `{ match: { metadata: ${twice} }, primary: files, requestMetadata: { set: ${twice} } }`;
  const { mistakes } = parseConfig(`${BACKENDS}routes: [${route}]`, { file: 'p.yaml' });
  t.strictSame(mistakes!.map(String), [
    'p.yaml:2:58: routes[0].match.metadata.x-a: is here twice: the case of a name says nothing',
    'p.yaml:2:134: routes[0].requestMetadata.set.x-a: is here twice: the case of a name says nothing',
  ]);
});
