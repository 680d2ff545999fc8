import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { type Answered, type AskOptions, ask } from '../admin/raw-http.js';
import { Reading } from '../observe/metrics-reading.js';
import { Child } from '../support/child.js';
import { MAIN, portOf } from '../support/command.js';
import { eventually } from '../support/eventually.js';
import { type CallResult, GrpcClient } from '../support/grpc-client.js';
import { Http2Backend, type OnRequest, respond } from '../support/http2-backend.js';
import { MESSAGE, METHOD } from '../support/unary.js';
import { within } from '../support/within.js';

export { METHOD } from '../support/unary.js';

/** How long the command may take for anything: the machine may have much else to do. */
const PATIENCE_MILLISECONDS = 30_000;

/** A folder that goes with the test. */
export class Folder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(t: Test): Promise<Folder> {
    // A socket's path has room for about a hundred bytes only.
    const folder = new Folder(await mkdtemp(join(tmpdir(), 'cli-')));
    t.teardown(() => rm(folder.path, { recursive: true, force: true }));
    return folder;
  }

  at(name: string): string {
    return join(this.path, name);
  }

  /** Writes a file, a config as JSON, which is YAML; nobody ever sees half of it. @returns its path */
  async write(name: string, content: string | object): Promise<string> {
    const path = this.at(name);
    await writeFile(`${path}.new`, typeof content === 'string' ? content : JSON.stringify(content));
    await rename(`${path}.new`, path);
    return path;
  }
}

/** The command, and its admin endpoint. */
export class Operated {
  readonly command: Child;
  /** Of the first address. */
  readonly port: number;
  readonly adminUrl: string;
  readonly #test: Test;

  private constructor(t: Test, command: Child, port: number, adminUrl: string) {
    this.#test = t;
    this.command = command;
    this.port = port;
    this.adminUrl = adminUrl;
  }

  /** Starts it, at ports that are free, unless these flags say something else; resolves when it is ready. */
  static async start(t: Test, ...flags: readonly string[]): Promise<Operated> {
    return Operated.startBy(t, [], flags);
  }

  /** @param nodeFlags for Node itself, which its workers get, too */
  static async startBy(t: Test, nodeFlags: readonly string[], flags: readonly string[]): Promise<Operated> {
    const listen = flags.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    return Operated.of(t, Child.node(t, ...nodeFlags, MAIN, ...listen, '--admin', '127.0.0.1:0', ...flags));
  }

  /** A command that has been started with `--admin`. */
  static async of(t: Test, command: Child): Promise<Operated> {
    const ready = async (): Promise<Operated> => {
      const [, adminUrl] = await command.printed(/admin at (http:\S+)\n/);
      const listens = /listens at unix:/.test(command.stdout);
      return new Operated(t, command, listens ? 0 : await portOf(command), adminUrl!);
    };
    return within(PATIENCE_MILLISECONDS, 'the start of the command', ready());
  }

  /** A client with connections of its own. */
  client(target: number | string = this.port): GrpcClient {
    const client = new GrpcClient(target);
    this.#test.teardown(() => client.close());
    return client;
  }

  /** A call on a connection of its own. */
  async callOnce(method = METHOD, target: number | string = this.port): Promise<CallResult> {
    const client = new GrpcClient(target);
    const result = await client.call(method, ['hello']);
    client.close();
    return result;
  }

  /** Waits until its log, or what else it says, matches. */
  said(pattern: RegExp): Promise<RegExpExecArray> {
    return within(PATIENCE_MILLISECONDS, `${pattern}`, this.command.printed(pattern));
  }

  /** Lines of its log come a moment later than what they tell of. Waits for so many that match, and expects no more. */
  async saidTimes(count: number, pattern: RegExp): Promise<void> {
    const lines = (): number => this.command.stderr.split('\n').filter((line) => pattern.test(line)).length;
    await eventually(`${count} times ${pattern}`, () => lines() >= count, PATIENCE_MILLISECONDS);
    this.#test.equal(lines(), count, `${pattern}`);
  }

  /** Asks the admin endpoint. */
  ask(path: string, options?: AskOptions): Promise<Answered> {
    return ask(this.adminUrl, path, options);
  }

  post(path: string): Promise<Answered> {
    return this.ask(path, { method: 'POST' });
  }

  async json<T>(path: string): Promise<T> {
    return JSON.parse((await this.ask(path)).body) as T;
  }

  async metrics(): Promise<Reading> {
    return new Reading((await this.ask('/metrics')).body);
  }

  /** `config_reloads_total` of this result. */
  async reloads(result: 'ok' | 'failed'): Promise<number> {
    return (await this.metrics()).value('grpc_frame_proxy_config_reloads_total', { result })!;
  }

  /** Waits until what it tells is so. */
  async eventually<T>(what: string, look: () => Promise<T>, isSo: (found: T) => boolean): Promise<T> {
    const giveUpAt = performance.now() + PATIENCE_MILLISECONDS;
    for (;;) {
      const found = await look();
      if (isSo(found)) return found;
      if (performance.now() > giveUpAt) throw new Error(`${what} does not come: ${JSON.stringify(found)}`);
      await pause(5);
    }
  }

  /** The processes of its workers. */
  workers(): Promise<number[]> {
    return childrenOf(this.command.pid);
  }

  /** Sends it a signal; resolves with its exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.command.signal(signal);
    return this.ended();
  }

  ended(): Promise<number | null> {
    return within(PATIENCE_MILLISECONDS, 'the end of the command', this.command.ended());
  }
}

/** The processes that one has started. */
async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  const processes = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return processes
    .filter(([, parent, state]) => Number(parent) === pid && !state!.startsWith('Z'))
    .map(([child]) => Number(child));
}

export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A backend, and how many calls it has got. */
export type CountedBackend = Http2Backend & { readonly calls: number };

/** A backend that answers each call OK, unless it is told otherwise, and goes with the test. */
export async function startBackend(t: Test, onRequest: OnRequest = answer): Promise<CountedBackend> {
  let calls = 0;
  const backend = await Http2Backend.start((request) => {
    calls++;
    onRequest(request);
  });
  t.teardown(() => backend.destroy());
  return Object.defineProperty(backend, 'calls', { get: () => calls }) as CountedBackend;
}

const answer: OnRequest = ({ stream }) => respond(stream, MESSAGE);

/** Sends back what comes, as it comes. */
export const echo: OnRequest = ({ stream }) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.pipe(stream);
};

/** Ends each call with a status. */
export function failWith(code: number): OnRequest {
  return ({ stream }) => respond(stream, undefined, { 'grpc-status': String(code) });
}

/** All samples of a metric together. */
export function sumOf(metrics: Reading, name: string): number {
  return Object.values(metrics.all(name)).reduce((total, count) => total + count, 0);
}

/** A config with these backends, each by its name, of which the first gets all calls. */
export function configOf(backends: Readonly<Record<string, Http2Backend>>, keys: object = {}): object {
  return {
    backends: Object.fromEntries(
      Object.entries(backends).map(([name, { port }]) => [name, { target: `127.0.0.1:${port}` }]),
    ),
    routes: [{ match: {}, primary: Object.keys(backends)[0]! }],
    ...keys,
  };
}
