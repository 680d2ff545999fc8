import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ChannelOptions } from '@grpc/grpc-js';
import type { Test } from 'tap';
import { Child } from './child.js';
import { freePort } from './free-port.js';
import { GrpcBackend, type Handlers } from './grpc-backend.js';
import { GrpcClient } from './grpc-client.js';

/** Where examples listen, as they say. */
const LISTENS_AT = 50051;

const EXAMPLES = new URL('../examples/', import.meta.url);
// Inside of the package: an example imports it by its name.
const RUNS = new URL('../example-runs/', import.meta.url);

/** An example that runs as a process of its own. */
export class Example {
  readonly #t: Test;
  readonly child: Child;
  /** Where it listens in truth. */
  readonly port: number;

  private constructor(t: Test, child: Child, port: number) {
    this.#t = t;
    this.child = child;
    this.port = port;
  }

  /**
   * Runs an example as it is, but for its ports, which are others here, and texts that stand for something that a test has
   * not, or does not wait for.
   */
  static async run(
    t: Test,
    name: string,
    ports: Readonly<Record<number, number>> = {},
    texts: Readonly<Record<string, string>> = {},
  ): Promise<Example> {
    const port = await freePort();
    const all: Readonly<Record<number, number>> = { [LISTENS_AT]: port, ...ports };
    let code = await readFile(new URL(`${name}.js`, EXAMPLES), 'utf8');
    for (const [from, to] of Object.entries(texts)) {
      if (!code.includes(from)) throw new Error(`${name} has no ${from}`);
      code = code.replaceAll(from, to);
    }
    // Last, so that no text is found in a port.
    code = code.replaceAll(/\b50\d{3}\b|\b9464\b/g, (text) => String(all[Number(text)] ?? text));
    await mkdir(RUNS, { recursive: true });
    const file = new URL(`${name}-${port}.js`, RUNS);
    await writeFile(file, code);
    t.teardown(() => rm(file));
    return new Example(t, Child.node(t, fileURLToPath(file)), port);
  }

  /** The same, once it listens. */
  static async serve(...parameters: Parameters<typeof Example.run>): Promise<Example> {
    const example = await Example.run(...parameters);
    while (!(await accepts(example.port))) {
      example.child.demandRunning();
      await pause(10);
    }
    return example;
  }

  client(options: ChannelOptions = {}): GrpcClient {
    const client = new GrpcClient(this.port, undefined, options);
    this.#t.teardown(() => client.close());
    return client;
  }
}

/** A backend on grpc-js; its port. */
export async function backend(t: Test, handlers: Handlers): Promise<number> {
  const started = await GrpcBackend.start(handlers);
  t.teardown(() => started.destroy());
  return started.port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
