import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Metadata } from '@grpc/grpc-js';
import t, { type Test } from 'tap';
import { parseAllDocuments } from 'yaml';
import type { Server } from '../lib/index.js';
import { metrics } from '../lib/observe/metrics/index.js';
import { parseConfig } from '../lib/routes/index.js';
import { eventually } from './support/eventually.js';
import { type BidiCall, echo, GrpcBackend } from './support/grpc-backend.js';
import { GrpcClient } from './support/grpc-client.js';

const ROOT = new URL('../../', import.meta.url);
const EXAMPLES = new URL('dist/test/readme-examples/', ROOT);

const LISTEN = "'127.0.0.1:50051'";

async function exampleWith(text: string): Promise<string> {
  const readme = await readFile(new URL('README.md', ROOT), 'utf8');
  const blocks = [...readme.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1]!);
  const found = blocks.filter((block) => block.includes(text));
  if (found.length !== 1) throw new Error(`README.md has ${found.length} examples with ${text}`);
  return found[0]!;
}

/**
 * Runs an example as it stands in the README, with other ports and names, and gives what it calls `server`. The example
 * imports this package by its name, which Node resolves to the package itself.
 */
async function run(
  t: Test,
  name: string,
  source: string,
  ports: readonly number[],
  names: Readonly<Record<string, string>> = {},
): Promise<number> {
  let code = source;
  ports.forEach((port, index) => {
    code = code.replace(`127.0.0.1:${50061 + index}`, `127.0.0.1:${port}`);
  });
  for (const [from, to] of Object.entries(names)) code = code.replaceAll(from, to);
  t.ok(code.includes(LISTEN), 'the example listens where it says');
  code = code.replace(`await server.listen(${LISTEN})`, "export const address = await server.listen(':0')");
  await mkdir(EXAMPLES, { recursive: true });
  const file = new URL(`${name}.mjs`, EXAMPLES);
  await writeFile(file, `${code}\nexport { server };\n`);
  t.teardown(() => rm(file));
  const module = (await import(file.href)) as { server: Server; address: { port: number } };
  t.teardown(() => module.server.destroy());
  return module.address.port;
}

async function backend(t: Test, handler: (call: BidiCall) => void): Promise<GrpcBackend> {
  const started = await GrpcBackend.start({
    '/any.Service/Method': handler,
    '/storage.Files/Write': handler,
  });
  t.teardown(() => started.destroy());
  return started;
}

function client(t: Test, port: number): GrpcClient {
  const made = new GrpcClient(port);
  t.teardown(() => made.close());
  return made;
}

t.test('the README example that routes by content does', async (t) => {
  const answer = (name: string) => (call: BidiCall) => {
    call.on('data', (message: Buffer) => call.write(Buffer.concat([Buffer.from(name), message])));
    call.on('end', () => call.end());
  };
  const even = await backend(t, answer('even'));
  const odd = await backend(t, answer('odd'));
  const port = await run(t, 'route', await exampleWith('peeker.peek()'), [even.port, odd.port]);
  const grpcClient = client(t, port);
  for (const [byte, shard] of [
    [6, 'even'],
    [7, 'odd'],
  ] as const) {
    const { messages } = await grpcClient.call('/any.Service/Method', [Buffer.from([byte])]);
    t.same(messages, [Buffer.concat([Buffer.from(shard), Buffer.from([byte])])]);
  }
  const none = await grpcClient.call('/any.Service/Method', []);
  t.same([none.code, none.details], [3, 'no message to route by']);
});

t.test('the README example that replicates writes swallows a failing secondary, and says so', async (t) => {
  const received: string[] = [];
  const note = (name: string) => (call: BidiCall) => {
    call.on('data', (message: Buffer) => received.push(`${name} ${message}`));
    echo(call);
  };
  const failing = (call: BidiCall) => call.emit('error', { code: 8, details: 'disk full' });
  const backends = [
    await backend(t, note('primary')),
    await backend(t, note('replica')),
    await backend(t, failing),
  ];
  const ports = backends.map((each) => each.port);
  const logged: string[] = [];
  t.intercept(console, 'log', { value: (...words: unknown[]) => logged.push(words.join(' ')) });
  const port = await run(t, 'replicate', await exampleWith('outdated'), ports);
  const result = await client(t, port).call('/storage.Files/Write', ['bytes']);
  t.equal(result.code, 0);
  t.same(received.sort(), ['primary bytes', 'replica bytes']);
  t.same(logged, [`/storage.Files/Write OK outdated: http://127.0.0.1:${ports[2]}`]);
  const unknown = await client(t, port).call('/storage.Files/Read', []);
  t.equal(unknown.code, 12, 'methods that are not registered are not proxied');
});

/** A backend that answers with its name, and how many calls it has had. */
async function countingBackend(t: Test, name: string, change = (message: string) => message) {
  const counted = { calls: 0 };
  const { port } = await backend(t, (call) => {
    counted.calls++;
    call.on('error', () => {});
    call.on('data', (message: Buffer) => call.write(Buffer.from(change(`${name} ${message}`))));
    call.on('end', () => call.end());
  });
  return { port, counted };
}

t.test('the README example that shadows samples by tenant, and tells where answers differ', async (t) => {
  const primary = await countingBackend(t, 'v');
  const next = await countingBackend(t, 'v', (message) => message.replace('new', 'NEW'));
  const logged: string[] = [];
  t.intercept(console, 'log', { value: (...words: unknown[]) => logged.push(words.join(' ')) });
  const ports = [primary.port, next.port];
  const grpcClient = client(t, await run(t, 'shadow', await exampleWith('sampleKey'), ports));
  const call = async (tenant: string, message: string) => {
    const metadata = new Metadata();
    metadata.set('x-tenant', tenant);
    const { code, messages } = await grpcClient.call('/any.Service/Method', [message], metadata);
    t.same([code, messages.map(String)], [0, [`v ${message}`]]);
  };
  let sampled = '';
  for (let i = 0; sampled === '' && i < 500; i++) {
    await call(`tenant-${i}`, 'old');
    if (next.counted.calls > 0) sampled = `tenant-${i}`;
  }
  for (let i = 0; i < 5; i++) await call(sampled, 'new');
  await eventually('all differences are told', () => logged.length === 5);
  t.same(new Set(logged), new Set(['/any.Service/Method differs at message 0']));
  t.equal(next.counted.calls, 6);
});

t.test('the README example of a canary sends it one call in twenty', async (t) => {
  const stable = await countingBackend(t, 'stable');
  const canary = await countingBackend(t, 'canary');
  const ports = [stable.port, canary.port];
  const grpcClient = client(t, await run(t, 'canary', await exampleWith('? canary : stable'), ports));
  const drawn = [0.5, 0.049, 0.05, 0.99];
  t.intercept(Math, 'random', { value: () => drawn[0]! });
  for (const name of ['stable', 'canary', 'stable', 'stable']) {
    const { messages } = await grpcClient.call('/any.Service/Method', ['message']);
    t.same(messages.map(String), [`${name} message`]);
    drawn.shift();
  }
});

t.test('the README example of a quorum lets one of three replicas fail', async (t) => {
  const failing = (call: BidiCall) => call.emit('error', { code: 8, details: 'disk full' });
  let mayFail = true;
  const backends = [
    await backend(t, echo),
    await backend(t, echo),
    await backend(t, (call) => (mayFail ? echo(call) : failing(call))),
    await backend(t, failing),
  ];
  const ports = backends.map(({ port }) => port);
  const grpcClient = client(t, await run(t, 'quorum', await exampleWith('need: 2'), ports));
  t.equal((await grpcClient.call('/storage.Files/Write', ['bytes'])).code, 0);
  mayFail = false;
  const { code, details } = await grpcClient.call('/storage.Files/Write', ['bytes']);
  t.equal(code, 13);
  t.match(details, /^failed proxying to secondary: .*disk full/);
});

t.test('the README example of a name resolves it, watches health, and tries again', async (t) => {
  let calls = 0;
  const { port } = await backend(t, (call) => {
    if (++calls === 1) call.emit('error', { code: 14, details: 'not now' });
    else echo(call);
  });
  const names = { 'dns:///files.storage.svc:50051': `dns:///localhost:${port}` };
  const grpcClient = client(t, await run(t, 'name', await exampleWith('healthCheck'), [], names));
  const { code, messages } = await grpcClient.call('/any.Service/Method', ['message']);
  t.same([code, messages.map(String)], [0, ['message']]);
  t.equal(calls, 2);
});

t.test('the README example of a call makes one', async (t) => {
  const { port } = await backend(t, echo);
  const logged: string[] = [];
  t.intercept(console, 'log', { value: (...words: unknown[]) => logged.push(words.join(' ')) });
  const source = (await exampleWith('conn.call(')).replace('127.0.0.1:50061', `127.0.0.1:${port}`);
  await mkdir(EXAMPLES, { recursive: true });
  const file = new URL('call.mjs', EXAMPLES);
  await writeFile(file, source);
  t.teardown(() => rm(file));
  await import(file.href);
  t.same(logged, ['hello']);
});

t.test('the example with metrics, a log, health and an admin endpoint has all of them', async (t) => {
  const primary = await backend(t, echo);
  const source = `${await exampleWith('grpc-frame-proxy/admin')}\nexport { admin, counted, log };`;
  const port = await run(t, 'operated', source, [primary.port], { "'127.0.0.1:9901'": "'127.0.0.1:0'" });
  const { admin, counted, log } = await import(new URL('operated.mjs', EXAMPLES).href);
  t.teardown(() => Promise.all([admin.close(), log.close()]));
  const { code } = await client(t, port).call('/any.Service/Method', ['hello']);
  t.equal(code, 0);
  const { body } = await counted.text();
  t.match(String(body), /grpc_server_call_started_total\{grpc_method="other"\} 1/);
  const health = await client(t, port).call('/grpc.health.v1.Health/Check', ['']);
  t.strictSame(health.messages, [Buffer.from([8, 1])]);
});

async function blocksOf(language: string): Promise<string[]> {
  const readme = await readFile(new URL('README.md', ROOT), 'utf8');
  return Array.from(
    readme.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs')),
    (match) => match[1]!,
  );
}

t.test('the config files in the README make sense, also the one in the Kubernetes manifest', async (t) => {
  const [config, manifest] = (await blocksOf('yaml')) as [string, string];
  t.strictSame(parseConfig(config, { file: 'proxy.yaml' }).mistakes, undefined);
  const documents = parseAllDocuments(manifest).map((document) => document.toJS());
  t.strictSame(
    documents.map(({ kind }) => kind),
    ['ConfigMap', 'Deployment'],
  );
  const mounted = documents[0].data['proxy.yaml'];
  const parsed = parseConfig(mounted, { file: 'proxy.yaml' });
  t.strictSame(parsed.mistakes, undefined);
  const { spec } = documents[1].spec.template;
  t.ok(spec.terminationGracePeriodSeconds > 5 + parsed.config!.drainTimeout.milliseconds / 1000);
});

t.test('the alerts in the README look at metrics that there are', async (t) => {
  const server = { observe: () => {}, runningCalls: [] };
  const counted = metrics(server, { backends: () => [] });
  const { families } = await counted.snapshot();
  const known = new Set(
    families.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_count`, `${name}_bucket`] : [name],
    ),
  );
  const [alerts] = (await blocksOf('promql')) as [string];
  const lines = alerts.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  t.equal(lines.length, 5);
  for (const line of lines) {
    const names = line.match(/grpc_[a-z_]+(?=[{[])/g) ?? [];
    t.ok(names.length > 0, line);
    for (const name of names) t.ok(known.has(name), name);
  }
});
