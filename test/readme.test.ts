import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { Server } from '../lib/index.js';
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
 * Runs an example as it stands in the README, with other ports, and gives what it calls `server`. The example
 * imports this package by its name, which Node resolves to the package itself.
 */
async function run(t: Test, name: string, source: string, ports: readonly number[]): Promise<number> {
  let code = source;
  ports.forEach((port, index) => {
    code = code.replace(`127.0.0.1:${50061 + index}`, `127.0.0.1:${port}`);
  });
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
