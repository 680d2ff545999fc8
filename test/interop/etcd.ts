import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Child } from '../support/child.js';

/** A directory that goes with the test. */
export async function temporaryDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Starts etcd, empty; its port. */
export async function etcd(t: Test): Promise<number> {
  const anyPort = 'http://127.0.0.1:0';
  const program = Child.start(
    t,
    'etcd',
    ...['--data-dir', join(await temporaryDirectory(t), 'data'), '--unsafe-no-fsync'],
    ...['--listen-client-urls', anyPort, '--advertise-client-urls', anyPort, '--listen-peer-urls', anyPort],
    ...['--logger', 'zap', '--enable-grpc-gateway=false'],
  );
  const [, port] = await program.printed(/serving client traffic insecurely.*"address":"127\.0\.0\.1:(\d+)"/);
  return Number(port);
}

/** etcd's client for one endpoint. */
export class Client {
  readonly #t: Test;
  readonly #endpoint: string;

  constructor(t: Test, endpoint: string) {
    this.#t = t;
    this.#endpoint = endpoint;
  }

  start(args: readonly string[], input?: string): Child {
    const child = Child.start(this.#t, 'etcdctl', `--endpoints=${this.#endpoint}`, ...args);
    child.endInput(input);
    return child;
  }

  /** Runs a command, which must succeed; what it printed. */
  async run(args: readonly string[], input?: string): Promise<string> {
    const program = this.start(args, input);
    this.#t.equal(await program.ended(), 0, `etcdctl ${args.join(' ')}`);
    return program.output;
  }
}
