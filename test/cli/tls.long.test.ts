import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { loadSettings } from '../../lib/cli/load-settings.js';
import { parseCommandLine } from '../../lib/cli/options.js';
import { UsageError } from '../../lib/cli/usage-error.js';
import { Authority, type Identity } from '../support/authority.js';
import type { Child } from '../support/child.js';
import { portOf, startCommand } from '../support/command.js';
import { echo, GrpcBackend } from '../support/grpc-backend.js';
import { type CallResult, collect, GrpcClient } from '../support/grpc-client.js';

const METHOD = '/test.Echo/Echo';
const authority = new Authority();
const stranger = new Authority('stranger');
const NAMES = ['DNS:localhost', 'IP:127.0.0.1'];
const proxyIdentity = authority.issue({ name: 'proxy', altNames: NAMES });
const clientIdentity = authority.issue({ name: 'client' });

/** A folder with files, to be named by their paths. */
async function folder(t: Test, files: Record<string, string> = {}) {
  const path = await mkdtemp(join(tmpdir(), 'tls-'));
  t.teardown(() => rm(path, { recursive: true }));
  const at = (name: string): string => join(path, name);
  const write = (name: string, content: string): Promise<void> => writeFile(at(name), content);
  for (const [name, content] of Object.entries(files)) await write(name, content);
  return { path, at, write };
}

async function backend(t: Test, identity: Identity, clientsOf = authority): Promise<GrpcBackend> {
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(clientsOf.cert),
    [{ cert_chain: Buffer.from(identity.cert), private_key: Buffer.from(identity.key) }],
    true,
  );
  const started = await GrpcBackend.start({ [METHOD]: echo }, {}, 0, credentials);
  t.teardown(() => started.destroy());
  return started;
}

function client(t: Test, port: number, identity?: Identity, trusted = authority): GrpcClient {
  const [key, cert] = identity ? [Buffer.from(identity.key), Buffer.from(identity.cert)] : [null, null];
  const credentials = grpc.credentials.createSsl(Buffer.from(trusted.cert), key, cert);
  const made = new GrpcClient(`localhost:${port}`, credentials);
  t.teardown(() => made.close());
  return made;
}

/** A call on a connection of its own. */
async function callOnce(...args: Parameters<typeof client>): Promise<CallResult> {
  const made = client(...args);
  const result = await made.call(METHOD, ['hello']);
  made.close();
  return result;
}

for (const transport of ['http2', 'frames']) {
  t.test(`TLS and client certificates on both sides (${transport})`, async (t) => {
    const { at } = await folder(t, {
      'ca.crt': authority.cert,
      'tls.crt': proxyIdentity.cert,
      'tls.key': proxyIdentity.key,
    });
    const primary = await backend(t, authority.issue({ name: 'backend', altNames: NAMES }));
    const command = startCommand(
      t,
      ...['--listen', '127.0.0.1:0', '--transport', transport],
      ...['--primary', `https://localhost:${primary.port}`],
      ...['--tls-cert', at('tls.crt'), '--tls-key', at('tls.key'), '--tls-client-ca', at('ca.crt')],
      ...['--backend-ca', at('ca.crt'), '--backend-cert', at('tls.crt'), '--backend-key', at('tls.key')],
    );
    const port = await portOf(command);
    t.match(command.stdout, /listens at 127\.0\.0\.1:\d+; TLS, with client certificates; primary https:/);
    t.match(await callOnce(t, port, clientIdentity), { code: 0, messages: [Buffer.from('hello')] });
    t.equal((await callOnce(t, port)).code, 14);
    t.equal((await callOnce(t, port, stranger.issue({ name: 'client' }))).code, 14);
    command.signal('SIGTERM');
    t.equal(await command.ended(), 0, 'nothing that watches keeps it alive');
    t.match(
      command.stderr,
      /^grpc-frame-proxy: backend primary \(https:\S+\) is reachable\n.*SIGTERM: draining.*\n.*drained\n$/,
    );
  });
}

t.test('demo backends behind TLS: what to try fits', async (t) => {
  const { at } = await folder(t, { 'tls.crt': proxyIdentity.cert, 'tls.key': proxyIdentity.key });
  const options = ['--tls-cert', at('tls.crt'), '--tls-key', at('tls.key')];
  const command = startCommand(t, '--listen', '127.0.0.1:0', ...options);
  const port = await portOf(command);
  await command.printed(new RegExp(`curl -s --http2 -k .* https://127\\.0\\.0\\.1:${port}/demo\\.Echo/Say`));
  t.match(command.stdout, /listens at 127\.0\.0\.1:\d+; TLS; primary/);
  t.equal((await callOnce(t, port)).code, 0);
});

t.test(
  'mistakes in TLS options are one line that names option and file, exit 2, nothing started',
  async (t) => {
    const { path, at } = await folder(t, {
      'a.crt': proxyIdentity.cert,
      'a.key': proxyIdentity.key,
      'b.key': clientIdentity.key,
      'half.crt': proxyIdentity.cert.slice(0, 300),
      empty: '',
    });
    const pair = ['--tls-cert', at('a.crt'), '--tls-key', at('a.key')];
    const https = ['--primary', 'https://a.test:1'];
    const cases: [string[], string][] = [
      [['--tls-cert', at('a.crt')], '--tls-cert needs --tls-key: a certificate and its key belong together'],
      [['--tls-key', at('a.key')], '--tls-key needs --tls-cert: a certificate and its key belong together'],
      [
        ['--tls-client-ca', at('a.crt')],
        '--tls-client-ca needs --tls-cert and --tls-key: without them there is no TLS',
      ],
      [[...pair, ...pair], '--tls-cert can be given once'],
      [
        ['--tls-cert', at('none'), '--tls-key', at('a.key')],
        `--tls-cert: "${at('none')}" cannot be read: there is no such file`,
      ],
      [['--tls-cert', path, '--tls-key', at('a.key')], `--tls-cert: "${path}" is no file`],
      [
        ['--tls-cert', at('half.crt'), '--tls-key', at('a.key')],
        `--tls-cert: "${at('half.crt')}" ends in the middle of a certificate`,
      ],
      [
        ['--tls-cert', at('a.key'), '--tls-key', at('a.key')],
        `--tls-cert: "${at('a.key')}" holds no certificate in PEM`,
      ],
      [
        ['--tls-cert', at('a.crt'), '--tls-key', at('b.key')],
        `--tls-key: "${at('b.key')}" does not belong to the certificate`,
      ],
      [
        [...pair, '--tls-client-ca', at('empty')],
        `--tls-client-ca: "${at('empty')}" holds no certificate in PEM`,
      ],
      [[...https, '--backend-ca', at('a.key')], `--backend-ca: "${at('a.key')}" holds no certificate in PEM`],
      [
        [...https, '--backend-cert', at('a.crt'), '--backend-key', at('b.key')],
        `--backend-key: "${at('b.key')}" does not belong to the certificate`,
      ],
      [
        [...https, '--backend-key', at('b.key')],
        '--backend-key needs --backend-cert: a certificate and its key belong together',
      ],
      [
        ['--primary', 'http://a.test:1', '--secondary', 'b.test:1', '--backend-ca', at('a.crt')],
        '--backend-ca is for https:// targets, and there is none',
      ],
      [
        ['--backend-cert', at('a.crt'), '--backend-key', at('a.key')],
        '--backend-cert is for https:// targets, and there is none',
      ],
    ];
    for (const [args, message] of cases) t.equal(await mistakeIn(args), message);
    for (const [args, message] of [cases[0]!, cases.at(-4)!]) {
      const command = startCommand(t, '--listen', '127.0.0.1:0', ...args);
      t.equal(await command.ended(), 2, message);
      t.equal(command.stderr, `grpc-frame-proxy: ${message}\n`);
      t.equal(command.stdout, '', 'nothing started');
    }
  },
);

/** What the log says of files: there may be lines about backends, too. */
function linesOfFiles({ stderr }: Child): string[] {
  return stderr.split('\n').filter((line) => line.includes('--tls-'));
}

/** What the command would say; nothing but a UsageError is exit code 2. */
async function mistakeIn(args: readonly string[]): Promise<string> {
  try {
    const command = parseCommandLine(args);
    const loaded = command.kind === 'run' ? await loadSettings(command.flags) : undefined;
    return loaded?.mistakes?.join('\n') ?? 'none';
  } catch (error) {
    return error instanceof UsageError ? error.message : String(error);
  }
}

/** Two versions of a mounted secret, as Kubernetes lays them out: the files are links through one that is swapped. */
async function mounted(t: Test, versions: readonly Record<string, string>[]) {
  const { path, at } = await folder(t);
  for (const [index, files] of versions.entries()) {
    await mkdir(at(`version-${index}`));
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(at(`version-${index}`), name), content);
    }
  }
  const use = async (index: number): Promise<void> => {
    await symlink(`version-${index}`, at('new'));
    await rename(at('new'), at('current'));
  };
  await use(0);
  for (const name of Object.keys(versions[0]!)) await symlink(join('current', name), at(name));
  return { path, at, use };
}

t.test(
  'files that are swapped by a symlink are used by the next handshake, and running calls go on',
  async (t) => {
    const renewed = stranger.issue({ name: 'proxy', altNames: NAMES });
    const { at, use } = await mounted(t, [
      { 'tls.crt': proxyIdentity.cert, 'tls.key': proxyIdentity.key, 'ca.crt': authority.cert },
      { 'tls.crt': renewed.cert, 'tls.key': renewed.key, 'ca.crt': stranger.cert },
    ]);
    const command = startCommand(
      t,
      ...['--listen', '127.0.0.1:0', '--tls-cert', at('tls.crt'), '--tls-key', at('tls.key')],
      ...['--tls-client-ca', at('ca.crt')],
    );
    const port = await portOf(command);
    const running = client(t, port, clientIdentity).open(METHOD);
    const result = collect(running);
    running.write(Buffer.from('before'));
    await new Promise((resolve) => running.once('data', resolve));
    await use(1);
    await command.printed(
      /changed, and used from the next TLS handshake on: --tls-cert ".*tls\.crt", --tls-key/,
    );
    const newClient = stranger.issue({ name: 'client' });
    t.equal((await callOnce(t, port, newClient, stranger)).code, 0);
    t.equal(
      (await callOnce(t, port, clientIdentity, stranger)).code,
      14,
      'the authority of before no longer counts',
    );
    running.write(Buffer.from('after'));
    running.end();
    t.match(await result, { code: 0, messages: [Buffer.from('before'), Buffer.from('after')] });
    t.equal(linesOfFiles(command).length, 1, 'one line');
  },
);

t.test('a pair that is written one by one is refused, with one line, until it fits', async (t) => {
  const renewed = stranger.issue({ name: 'proxy', altNames: NAMES });
  const { at, write } = await folder(t, { 'tls.crt': proxyIdentity.cert, 'tls.key': proxyIdentity.key });
  const options = ['--tls-cert', at('tls.crt'), '--tls-key', at('tls.key')];
  const command = startCommand(t, '--listen', '127.0.0.1:0', ...options);
  const port = await portOf(command);
  await write('tls.crt', renewed.cert);
  await command.printed(
    /--tls-key: ".*tls\.key" does not belong to the certificate; what was read before stays in use/,
  );
  t.equal((await callOnce(t, port)).code, 0, 'by the certificate of before');
  await rm(at('tls.key'));
  await command.printed(
    /--tls-key: ".*tls\.key" cannot be read: there is no such file; what was read before/,
  );
  await write('tls.key', renewed.key);
  await command.printed(/changed, and used from the next TLS handshake on/);
  t.equal((await callOnce(t, port, undefined, stranger)).code, 0);
  // Another look, which finds what is known.
  await pause(1500);
  t.equal(linesOfFiles(command).length, 3, 'a line for each state');
});

t.test("backends' files are used when they change", async (t) => {
  const { at, write } = await folder(t, {
    'ca.crt': stranger.cert,
    'tls.crt': clientIdentity.cert,
    'tls.key': clientIdentity.key,
  });
  const primary = await backend(t, authority.issue({ name: 'backend', altNames: NAMES }));
  const command = startCommand(
    t,
    ...[
      '--listen',
      '127.0.0.1:0',
      '--primary',
      `https://localhost:${primary.port}`,
      '--backend-ca',
      at('ca.crt'),
    ],
    ...['--backend-cert', at('tls.crt'), '--backend-key', at('tls.key')],
  );
  const port = await portOf(command);
  const plain = new GrpcClient(port);
  t.teardown(() => plain.close());
  const refused = await plain.call(METHOD, ['hello']);
  t.equal(refused.code, 14);
  t.match(refused.details, /TLS: the certificate is from an unknown authority$/);
  await write('ca.crt', authority.cert);
  await changed(command);
  const metadata = new grpc.Metadata({ waitForReady: true });
  // The next attempt comes when the backoff is over.
  await until(async () => (await plain.call(METHOD, ['hello'], metadata)).code === 0);
});

async function changed(command: Child): Promise<void> {
  await command.printed(/changed, and used from the next TLS handshake on/);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(100);
}
