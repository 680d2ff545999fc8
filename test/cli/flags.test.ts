import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { loadSettings, type UsableSettings } from '../../lib/cli/load-settings.js';
import { parseCommandLine } from '../../lib/cli/options.js';
import { Authority } from '../support/authority.js';
import { Child } from '../support/child.js';
import { MAIN, startCommand } from '../support/command.js';
import { configOf, Folder, METHOD, Operated, startBackend } from './operated.js';

const BACKENDS = 'backends: { files: { target: "127.0.0.1:1" } }\n';
const ROUTES = 'routes: [{ match: {}, primary: files }]\n';

/** A module that tells of whoever resolves a name, or opens a socket. */
const NO_NETWORK = `data:text/javascript,${encodeURIComponent(`
import dns from 'node:dns';
import net from 'node:net';
import { syncBuiltinESMExports } from 'node:module';
for (const [owner, name] of [
  [dns, 'lookup'],
  [dns.promises, 'lookup'],
  [dns.Resolver.prototype, 'resolve'],
  [dns.promises.Resolver.prototype, 'resolve'],
  [net.Server.prototype, 'listen'],
  [net.Socket.prototype, 'connect'],
]) owner[name] = () => { process.stderr.write(name + ' was called'); throw new Error(name); };
syncBuiltinESMExports();
`)}`;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  /** Without the line's beginning, which names the program. */
  readonly lines: string[];
}

async function run(t: Test, ...args: readonly string[]): Promise<Ended> {
  const command = startCommand(t, ...args);
  const code = await command.ended();
  const lines = command.stderr.split('\n');
  t.equal(lines.pop(), '', 'whole lines');
  for (const line of lines) t.match(line, /^grpc-frame-proxy: /);
  return {
    code,
    stdout: command.stdout,
    lines: lines.map((line) => line.replace(/^grpc-frame-proxy: /, '')),
  };
}

t.test('--check says ok where a file makes sense, whatever its names and addresses lead to', async (t) => {
  const folder = await Folder.make(t);
  const authority = new Authority();
  const { cert, key } = authority.issue({ name: 'proxy' });
  await folder.write('tls.crt', cert);
  await folder.write('tls.key', key);
  const file = await folder.write(
    'proxy.yaml',
    `listen: { address: "192.0.2.1:1", tls: { cert: tls.crt, key: tls.key } }
admin: "192.0.2.1:2"
backends: { files: { target: "dns:///no.such.name.invalid:1", tls: { ca: tls.crt } } }
${ROUTES}`,
  );
  for (const flags of [['--config', file], ['--primary', 'no.such.name.invalid:1'], []]) {
    const command = Child.node(t, '--import', NO_NETWORK, MAIN, '--check', ...flags);
    t.equal(await command.ended(), 0);
    t.strictSame([command.stdout, command.stderr], ['ok\n', '']);
  }
});

t.test('all mistakes of a file are told at once, each with its place and its key, and exit 2', async (t) => {
  const folder = await Folder.make(t);
  await folder.write('empty.pem', '');
  const file = await folder.write(
    'proxy.yaml',
    `wrkers: 2
drainTimeout: soon
listen: { address: "127.0.0.1:0", tls: { cert: none.crt, key: none.key } }
backends:
  files: { target: "127.0.0.1:1", tls: { ca: empty.pem } }
routes:
  - match: {}
    primary: fils
    shadows: [{ backend: files, maxLag: much }]
`,
  );
  const mistakes = [
    `${file}:1:1: wrkers: is no key here (did you mean "workers"?)`,
    `${file}:2:15: drainTimeout: "soon" is no duration: give 250ms, 5s or 2m`,
    `${file}:3:48: listen.tls.cert: "${folder.at('none.crt')}" cannot be read: there is no such file`,
    `${file}:3:63: listen.tls.key: "${folder.at('none.key')}" cannot be read: there is no such file`,
    `${file}:5:46: backends.files.tls.ca: "${folder.at('empty.pem')}" holds no certificate in PEM`,
    `${file}:8:14: routes[0].primary: there is no backend "fils" (did you mean "files"?)`,
    `${file}:9:41: routes[0].shadows[0].maxLag: "much" is no size: give 64KiB, 1MiB or a number of bytes`,
  ];
  for (const flags of [['--check'], []]) {
    const { code, stdout, lines } = await run(t, ...flags, '--config', file);
    t.equal(code, 2);
    t.equal(stdout, '', 'nothing started');
    t.strictSame(lines, mistakes);
  }
});

t.test('what is no config is one line', async (t) => {
  const folder = await Folder.make(t);
  const file = folder.at('proxy.yaml');
  const cases: readonly (readonly [content: string | Buffer, mistake: RegExp])[] = [
    ['', /^FILE:1:1: is empty: give backends and routes$/],
    ['# nothing\n', /^FILE:1:1: is empty: give backends and routes$/],
    [BACKENDS, /^FILE:1:1: routes: is missing: give at least one route/],
    [`${BACKENDS}routes: [`, /^FILE:2:\d+: /],
    [`${BACKENDS}${BACKENDS}${ROUTES}`, /^FILE:2:1: backends: /],
    [Buffer.from('# \xff\n', 'latin1'), /^--config: "FILE" is no text in UTF-8$/],
  ];
  for (const [content, mistake] of cases) {
    await writeFile(file, content);
    const mistakes = await mistakesOf('--config', file);
    t.equal(mistakes.length, 1, mistakes.join('\n'));
    t.match(mistakes[0]!.replace(file, 'FILE'), mistake);
  }
  await rm(file);
  t.strictSame(await mistakesOf('--config', file), [
    `--config: "${file}" cannot be read: there is no such file`,
  ]);
  await writeFile(file, '');
  t.strictSame(await mistakesOf('--config', file, '--primary', 'a:1'), [
    `${file}:1:1: is empty: give at least one key`,
  ]);
  await writeFile(file, 'health: own\n');
  t.strictSame(await mistakesOf('--config', file, '--primary', 'a:1'), [], '--primary says where calls go');
});

t.test('files of a single listener, and of a list, are told with their places', async (t) => {
  const folder = await Folder.make(t);
  const file = folder.at('proxy.yaml');
  const listener = '{ address: "127.0.0.1:0", tls: { cert: no.crt, key: no.key } }';
  const problem = (name: string): string => `"${folder.at(name)}" cannot be read: there is no such file`;
  await writeFile(file, `listen: ${listener}\n${BACKENDS}${ROUTES}`);
  t.strictSame(await mistakesOf('--config', file), [
    `${file}:1:48: listen.tls.cert: ${problem('no.crt')}`,
    `${file}:1:61: listen.tls.key: ${problem('no.key')}`,
  ]);
  await writeFile(file, `listen: [${listener}]\n${BACKENDS}${ROUTES}`);
  t.strictSame(await mistakesOf('--config', file), [
    `${file}:1:49: listen[0].tls.cert: ${problem('no.crt')}`,
    `${file}:1:62: listen[0].tls.key: ${problem('no.key')}`,
  ]);
});

t.test('flags that say where calls go, and a file with routes, exclude each other', async (t) => {
  const folder = await Folder.make(t);
  const routes = await folder.write('routes.yaml', `${BACKENDS}${ROUTES}`);
  const cases = [
    ['--primary', 'a:1'],
    ['--primary', 'a:1', '--secondary', 'b:1'],
    ['--primary', 'a:1', '--shadow', 'b:1', '--shadow-percent', '5', '--compare'],
    ['--shadow-percent', '5'],
    ['--compare'],
  ];
  for (const flags of cases) {
    t.strictSame(
      await mistakesOf('--config', routes, ...flags),
      flags
        .filter((flag) => flag.startsWith('--'))
        .map((flag) => `${flag} cannot be given beside a config file with routes: say it there`),
    );
  }
});

t.test('a flag overrides the key that says the same', async (t) => {
  const folder = await Folder.make(t);
  const file = await folder.write(
    'proxy.yaml',
    `listen: [127.0.0.1:1, 127.0.0.1:2]
transport: http2
admin: { address: "127.0.0.1:3", hosts: [proxy.internal] }
workers: auto
health: own
drainTimeout: 30s
accessLog: { file: calls.log, sample: 0.5 }
backends:
  files: { target: "127.0.0.1:1", loadBalancing: pick_first }
  more: { target: "127.0.0.1:2" }
${ROUTES}`,
  );
  const flags = [
    ...['--listen', '127.0.0.1:4', '--transport', 'frames', '--admin', '127.0.0.1:5', '--workers', '2'],
    ...['--health', 'forward', '--drain-timeout', '5s', '--access-log', '-'],
    ...['--load-balancing', 'least_request'],
  ];
  t.match(await configBy('--config', file, ...flags), {
    listen: [{ address: '127.0.0.1:4' }],
    transport: 'frames',
    admin: { address: '127.0.0.1:5', hosts: ['proxy.internal'] },
    workers: 2,
    health: 'forward',
    drainTimeout: { text: '5s', milliseconds: 5000 },
    accessLog: { file: '-', sample: 0.5 },
    backends: { files: { loadBalancing: 'least_request' }, more: { loadBalancing: 'least_request' } },
  });
  t.match(await configBy('--config', file), {
    listen: [{ address: '127.0.0.1:1' }, { address: '127.0.0.1:2' }],
    transport: 'http2',
    admin: { address: '127.0.0.1:3' },
    workers: 'auto',
    health: 'own',
    accessLog: { file: 'calls.log' },
    backends: { files: { loadBalancing: 'pick_first' } },
  });
});

t.test('certificates that flags name override those of the file, of each address and backend', async (t) => {
  const folder = await Folder.make(t);
  const authority = new Authority();
  const { cert, key } = authority.issue({ name: 'proxy' });
  for (const [name, content] of Object.entries({ 'a.crt': cert, 'a.key': key, 'ca.pem': authority.cert })) {
    await folder.write(name, content);
  }
  const file = await folder.write(
    'proxy.yaml',
    `listen: [127.0.0.1:1, { address: "127.0.0.1:2", tls: { cert: none.crt, key: none.key } }]
backends: { files: { target: "https://127.0.0.1:1", tls: { ca: none.pem } }, clear: { target: "a:1" } }
${ROUTES}`,
  );
  t.equal((await mistakesOf('--config', file)).length, 3);
  const flags = ['--tls-cert', folder.at('a.crt'), '--tls-key', folder.at('a.key')];
  const { settings } = await loadedBy('--config', file, ...flags, '--backend-ca', folder.at('ca.pem'));
  t.match(settings?.tls.listeners, [{ cert: Buffer.from(cert) }, { cert: Buffer.from(cert) }]);
  t.strictSame([...settings!.tls.backends], [['files', { ca: Buffer.from(authority.cert) }]]);
});

t.test('flags of TLS that find none to be for are mistakes, beside a file, too', async (t) => {
  const folder = await Folder.make(t);
  const authority = new Authority();
  const ca = await folder.write('ca.pem', authority.cert);
  const file = await folder.write('proxy.yaml', `${BACKENDS}${ROUTES}`);
  t.strictSame(await mistakesOf('--config', file, '--tls-client-ca', ca), [
    '--tls-client-ca needs --tls-cert and --tls-key: without them there is no TLS',
  ]);
  t.strictSame(await mistakesOf('--config', file, '--backend-ca', ca), [
    '--backend-ca is for backends that are reached by TLS, and there is none',
  ]);
  await folder.write('proxy.yaml', `backends: { files: { target: "https://a:1" } }\n${ROUTES}`);
  t.strictSame(await mistakesOf('--config', file, '--backend-ca', ca), []);
});

t.test('paths in the file are relative to the file, paths in flags to the working directory', async (t) => {
  const folder = await Folder.make(t);
  await mkdir(folder.at('etc'));
  await mkdir(folder.at('run'));
  const { cert, key } = new Authority().issue({ name: 'proxy' });
  await folder.write('etc/tls.crt', cert);
  await folder.write('run/tls.key', key);
  const primary = await startBackend(t);
  await folder.write(
    'etc/proxy.yaml',
    configOf({ primary }, { accessLog: { file: '../run/calls.log' }, drainTimeout: '1s' }),
  );
  const inRun = (...flags: string[]): Child =>
    Child.start(t, 'sh', '-c', 'cd "$0" && exec "$@"', folder.at('run'), process.execPath, MAIN, ...flags);
  const common = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--config', '../etc/proxy.yaml'];

  const byFile = await Operated.of(t, inRun(...common));
  t.equal((await byFile.callOnce()).code, 0);
  t.equal(await byFile.end(), 0);
  t.match(await readFile(folder.at('run/calls.log'), 'utf8'), /"grpc.code":"OK"/);

  const byFlag = await Operated.of(t, inRun(...common, '--access-log', 'own.log'));
  t.equal((await byFlag.callOnce()).code, 0);
  t.equal(await byFlag.end(), 0);
  t.match(await readFile(folder.at('run/own.log'), 'utf8'), /"grpc.code":"OK"/);

  const wrong = inRun(...common, '--tls-cert', '../etc/tls.crt', '--tls-key', 'none.key');
  t.equal(await wrong.ended(), 2);
  t.equal(
    wrong.stderr,
    `grpc-frame-proxy: --tls-key: "${folder.at('run/none.key')}" cannot be read: there is no such file\n`,
  );
});

t.test('an access log that cannot be opened is one line, and nothing is left running', async (t) => {
  const folder = await Folder.make(t);
  for (const workers of [[], ['--workers', '2']]) {
    const { code, stdout, lines } = await run(
      t,
      ...['--listen', '127.0.0.1:0', '--primary', '127.0.0.1:1', '--access-log', folder.at('no/such.log')],
      ...workers,
    );
    t.strictSame([code, stdout, lines.length], [1, '', 1]);
    t.match(lines[0], /^accessLog: ENOENT: no such file or directory, open '.*no\/such.log'$/);
  }
});

t.test('--config-schema prints a JSON Schema that knows all keys', async (t) => {
  const { code, stdout, lines } = await run(t, '--config-schema');
  t.strictSame([code, lines], [0, []]);
  const schema = JSON.parse(stdout) as { $schema: string; properties: object };
  t.match(schema.$schema, /^http:\/\/json-schema\.org\//);
  t.strictSame(Object.keys(schema.properties).sort(), [
    ...['accessLog', 'admin', 'backends', 'drainTimeout', 'health', 'listen', 'metrics', 'routes'],
    ...['transport', 'workers'],
  ]);
});

t.test('ready is one line that names each address, and one for the admin endpoint', async (t) => {
  const folder = await Folder.make(t);
  const primary = await startBackend(t);
  const file = await folder.write('proxy.yaml', configOf({ primary }));
  const path = folder.at('proxy.sock');
  const operated = await Operated.start(
    t,
    ...['--config', file, '--listen', '127.0.0.1:0', '--listen', `unix:${path}`, '--listen', '127.0.0.1:0'],
  );
  t.match(
    operated.command.stdout,
    /^grpc-frame-proxy listens at 127\.0\.0\.1:\d+, unix:\S+, 127\.0\.0\.1:\d+; .*\nadmin at http:\/\/127\.0\.0\.1:\d+\/\n$/,
  );
  const ports = [...operated.command.stdout.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  for (const target of [ports[0]!, ports[1]!, `unix:${path}`]) {
    t.equal((await operated.callOnce(METHOD, target)).code, 0);
  }
  t.equal((await operated.ask('/livez')).status, 200);
});

t.test(
  'without arguments there are demo backends, and an admin endpoint on a free loopback port',
  async (t) => {
    const command = startCommand(t, '--listen', '127.0.0.1:0');
    const operated = await Operated.of(t, command);
    t.match(operated.adminUrl, /^http:\/\/127\.0\.0\.1:\d+\/$/);
    t.equal((await operated.callOnce()).code, 0);
    t.strictSame(
      (await operated.json<{ name: string }[]>('/backends')).map(({ name }) => name),
      ['primary', 'secondary-1', 'secondary-2', 'shadow-1'],
    );
    t.equal(await operated.end(), 0);
  },
);

async function loadedBy(...args: readonly string[]): Promise<Partial<UsableSettings>> {
  const command = parseCommandLine(args);
  if (command.kind !== 'run') throw new Error(command.kind);
  return (await loadSettings(command.flags)) as Partial<UsableSettings>;
}

/** What the command would say. */
async function mistakesOf(...args: readonly string[]): Promise<readonly string[]> {
  return (await loadedBy(...args)).mistakes ?? [];
}

async function configBy(...args: readonly string[]): Promise<object | undefined> {
  return (await loadedBy(...args)).settings?.config;
}

t.test(
  '--listen says where, and not how: what the file takes by TLS does not become cleartext by it',
  async (t) => {
    const folder = await Folder.make(t);
    const { cert, key } = new Authority().issue({ name: 'proxy' });
    await writeFile(folder.at('tls.crt'), cert);
    await writeFile(folder.at('tls.key'), key);
    const tls = 'tls: { cert: tls.crt, key: tls.key }';
    const load = async (listen: string) => {
      await writeFile(folder.at('proxy.yaml'), `${listen}\n${BACKENDS}${ROUTES}`);
      const command = parseCommandLine(['--config', folder.at('proxy.yaml'), '--listen', '127.0.0.1:0']);
      if (command.kind !== 'run') throw new Error(command.kind);
      return loadSettings(command.flags);
    };
    const same = (await load(
      `listen: [{ address: ":1", ${tls} }, { address: ":2", ${tls} }]`,
    )) as UsableSettings;
    t.match(same.settings.config.listen, [{ address: '127.0.0.1:0', tls: { cert: 'tls.crt' } }]);
    t.ok(same.settings.tls.listeners[0]?.cert);
    const others = await load(`listen: [{ address: ":1", ${tls} }, ":2"]`);
    t.match(others.mistakes, [
      /^--listen cannot be given beside a config file whose addresses differ in their tls/,
    ]);
  },
);
