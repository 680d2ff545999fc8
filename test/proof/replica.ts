import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackendJson } from '../../lib/admin/index.js';
import type { TransportName } from '../../lib/index.js';
import { Child, type Parent } from '../support/child.js';
import { MAIN } from '../support/command.js';
import { within } from '../support/within.js';
import { CONFIG_FIELD, REPLICA_FIELD } from './messages.js';
import { PORTS } from './network.js';

const PATIENCE_MILLISECONDS = 40_000;
const LOOK_MILLISECONDS = 50;

/** What all replicas run by. */
export interface Deployment {
  readonly transport: TransportName;
  readonly workers: number;
  /** The name server, `HOST:PORT`. */
  readonly nameServer: string;
  /** The path of a certificate, a key or authorities. */
  readonly file: (name: string) => string;
}

/** What of the config changes. */
export interface Routing {
  /** Told to backends, and so to clients. */
  readonly version: number;
  /** Of the calls to `stable` and to `next`. */
  readonly weights: readonly [number, number];
}

/** The command, in a process of its own with its workers. */
export class Replica {
  readonly #parent: Parent;
  readonly number: number;
  readonly host: string;
  readonly #configFile: string;
  readonly #deployment: Deployment;
  #child: Child | undefined;

  constructor(parent: Parent, number: number, host: string, folder: string, deployment: Deployment) {
    this.#parent = parent;
    this.number = number;
    this.host = host;
    this.#configFile = `${folder}/replica-${number}.yaml`;
    this.#deployment = deployment;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    this.#child = Child.node(this.#parent, MAIN, '--config', this.#configFile);
    await within(
      PATIENCE_MILLISECONDS,
      `the start of replica ${this.number}`,
      this.#child.printed(/admin at/),
    );
    await this.until('ready', async () => (await this.#get('/readyz')).ok);
  }

  /** Ends it as an orchestrator does; resolves when it has gone. */
  async stop(): Promise<void> {
    const child = this.#child!;
    child.signal('SIGTERM');
    const code = await within(PATIENCE_MILLISECONDS, `the drain of replica ${this.number}`, child.ended());
    if (code !== 0) throw new Error(`replica ${this.number} ended with ${code}: ${child.output}`);
  }

  /** The file is another at once: whole, or not at all. */
  write({ version, weights: [stable, next] }: Routing): void {
    const { transport, workers, nameServer, file } = this.#deployment;
    const backend = (name: string) => ({
      target: `dns://${nameServer}/${name}.test:${PORTS.backend}`,
      tls: { ca: file('proxies-trust.pem'), cert: file('proxy.crt'), key: file('proxy.key') },
    });
    // JSON is YAML.
    const config = {
      listen: [
        `${this.host}:${PORTS.cleartext}`,
        {
          address: `${this.host}:${PORTS.tls}`,
          tls: { cert: file('listener.crt'), key: file('listener.key') },
        },
      ],
      admin: `${this.host}:${PORTS.admin}`,
      transport,
      workers,
      backends: { stable: backend('stable'), next: backend('next') },
      routes: [
        {
          match: {},
          primary: [
            { backend: 'stable', weight: stable },
            { backend: 'next', weight: next },
          ],
          requestMetadata: { set: { [REPLICA_FIELD]: `${this.number}`, [CONFIG_FIELD]: `${version}` } },
        },
      ],
    };
    writeFileSync(`${this.#configFile}.new`, JSON.stringify(config, undefined, 2));
    renameSync(`${this.#configFile}.new`, this.#configFile);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child!.signal(signal);
  }

  /** @throws Error unless it is accepted */
  async post(path: string): Promise<void> {
    const answer = await fetch(this.#url(path), { method: 'POST' });
    if (answer.status !== 202) throw new Error(`POST ${path}: ${answer.status}: ${await answer.text()}`);
  }

  /** How often its log has matched. */
  logged(pattern: RegExp): number {
    return this.#child!.stderr.match(new RegExp(pattern, 'g'))?.length ?? 0;
  }

  /** Waits until its log has matched so often. */
  async untilLogged(pattern: RegExp, count: number): Promise<void> {
    await this.until(`${pattern} in its log`, async () => this.logged(pattern) >= count);
  }

  /** Whether every worker has connections to all addresses of all backends. */
  async reachesAll(): Promise<boolean> {
    const isReached = ({ addresses }: BackendJson): boolean =>
      addresses.every(({ connections }) => connections >= this.#deployment.workers);
    return (await this.#backends()).every(isReached);
  }

  /** By which addresses it knows a backend. */
  async addressesOf(name: string): Promise<readonly string[]> {
    const backend = (await this.#backends()).find((each) => each.name === name)!;
    return backend.addresses.map(({ address }) => address);
  }

  /** The processes of its workers. */
  get workers(): readonly number[] {
    const { pid } = this.#child!;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === '' ? [] : children.split(' ').map(Number);
  }

  /** Waits for what nobody tells. */
  async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const giveUpAt = performance.now() + PATIENCE_MILLISECONDS;
    while (!(await condition())) {
      this.#child!.demandRunning();
      if (performance.now() > giveUpAt) {
        throw new Error(`replica ${this.number}: not ${what} in time: ${this.#child!.output}`);
      }
      await sleep(LOOK_MILLISECONDS);
    }
  }

  async #backends(): Promise<readonly BackendJson[]> {
    return (await (await this.#get('/backends')).json()) as readonly BackendJson[];
  }

  #get(path: string): Promise<Response> {
    return fetch(this.#url(path));
  }

  #url(path: string): string {
    return `http://${this.host}:${PORTS.admin}${path}`;
  }
}
