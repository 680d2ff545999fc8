import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child, type Parent } from '../support/child.js';
import { GrpcClient } from '../support/grpc-client.js';
import { within } from '../support/within.js';
import { run } from './run.js';

/** How patient this is with a start, a call and an end. */
const PATIENCE_MILLISECONDS = 60_000;

/** What a person who has installed the package asks of it first. */
export async function checkCommandLine(project: string, version: string): Promise<string> {
  const told = await run(project, 'npx', 'grpc-frame-proxy', '--version');
  if (told !== `${version}\n`) throw new Error(`--version says ${told}`);
  const help = await run(project, 'npx', 'grpc-frame-proxy', '--help');
  if (!help.includes('--primary TARGET')) throw new Error(`--help says ${help}`);
  const schema = await run(project, 'npx', 'grpc-frame-proxy', '--config-schema');
  if (typeof JSON.parse(schema) !== 'object') throw new Error(`--config-schema says ${schema}`);
  writeFileSync(
    join(project, 'proxy.yaml'),
    `backends: { files: { target: 'dns:///files.example:50051' } }
routes: [{ match: { service: storage.Files }, primary: files }]
`,
  );
  const checked = await run(project, 'npx', 'grpc-frame-proxy', '--config', 'proxy.yaml', '--check');
  if (checked !== 'ok\n') throw new Error(`--check says ${checked}`);
  return '--version, --help, --config-schema, --check';
}

async function demandPage(url: string): Promise<void> {
  for (const [name, part] of [
    ['', '</html>'],
    ['page.js', 'import'],
    ['page.css', '{'],
    ['metrics', 'grpc_frame_proxy_build_info'],
  ] as const) {
    const response = await fetch(`${url}${name}`);
    const text = await response.text();
    if (response.status !== 200 || !text.includes(part)) {
      throw new Error(`${url}${name} is ${response.status}: ${text.slice(0, 200)}`);
    }
  }
}

async function demandCall(port: number): Promise<void> {
  const client = new GrpcClient(port);
  const { code, details, messages } = await client.call('/demo.Echo/Say', ['hello']);
  client.close();
  if (code !== 0 || String(messages[0]) !== 'hello') throw new Error(`a call gave ${code}: ${details}`);
}

async function tryCommand(project: string, args: readonly string[]): Promise<void> {
  const ends: (() => Promise<void>)[] = [];
  const parent: Parent = { teardown: (end) => ends.push(end) };
  const bin = join(project, 'node_modules/.bin/grpc-frame-proxy');
  const command = Child.start(parent, bin, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', ...args);
  const ready = /listens at [^ ]*?:(\d+)[,;].*?(http:\/\/127\.0\.0\.1:\d+\/)/s;
  try {
    const [, port, url] = await command.printed(ready);
    await demandCall(Number(port));
    await demandPage(url!);
    const protoFolder = /-import-path (\S+) -proto demo\.proto/.exec(command.output)?.[1];
    if (protoFolder === undefined || !existsSync(join(protoFolder, 'demo.proto'))) {
      throw new Error(`no demo.proto in ${protoFolder}`);
    }
    command.signal('SIGTERM');
    const code = await command.ended();
    if (code !== 0) throw new Error(`ended by ${code} after SIGTERM: ${command.output}`);
  } finally {
    for (const end of ends) await end();
  }
}

/** The installed command takes a call, shows its page and ends when it is told to, alone and with workers. */
export async function checkCommand(project: string): Promise<string> {
  const ways = [[], ['--workers', '2'], ['--transport', 'frames']];
  for (const args of ways) {
    const what = `grpc-frame-proxy ${args.join(' ')}`;
    await within(PATIENCE_MILLISECONDS, what, tryCommand(project, args));
  }
  return 'a call, the live page and SIGTERM; alone, with workers, on frames';
}
