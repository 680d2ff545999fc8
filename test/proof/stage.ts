import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TransportName } from '../../lib/index.js';
import { NameServer } from '../support/name-server.js';
import { pythonWithGrpc } from '../support/python-with-grpc.js';
import { Random } from '../support/random.js';
import { Backend } from './backend.js';
import { BALANCERS, type Balancer, startBalancer } from './balancers.js';
import type { Belongings } from './belongings.js';
import { Certificates, PROXY_NAME } from './certificates.js';
import { type Account, type ClientSettings, type Failure, Load, type LoadSettings } from './load.js';
import { type AnswerPath, SERVICE_CONFIG } from './messages.js';
import { Network, PORTS } from './network.js';
import { Replica, type Routing } from './replica.js';

const NUMBERS = [1, 2, 3] as const;

/** How calls end whose server is lost. */
const LOSS = '^UNAVAILABLE: ';

export interface StageSettings {
  readonly seed: number;
  readonly transport: TransportName;
  /** Of all clients together. */
  readonly callsPerSecond: number;
  readonly longestStream: number;
  /** The balancers that are wanted; all by default. */
  readonly balancers?: readonly string[];
}

/** All that takes part: backends, the proxy's replicas before them, balancers before these, and clients. */
export class Stage {
  readonly certificates: Certificates;
  readonly backends: readonly Backend[];
  readonly replicas: readonly Replica[];
  readonly balancers: Balancer[] = [];
  /** What does not take part, and why. */
  readonly absent: string[] = [];
  readonly #owner: Belongings;
  readonly #folder: string;
  readonly #network = new Network();
  readonly #settings: StageSettings;
  readonly #clients: ClientSettings[] = [];
  #loads: readonly Load[] = [];
  /** What the name server says: the numbers of backends. */
  readonly #names = new Map<string, readonly number[]>([
    ['stable.test', [1, 2]],
    ['next.test', [2, 3]],
  ]);

  private constructor(owner: Belongings, settings: StageSettings, nameServer: string) {
    this.#owner = owner;
    this.#settings = settings;
    this.#folder = mkdtempSync(join(tmpdir(), 'proof-'));
    owner.teardown(() => rmSync(this.#folder, { recursive: true }));
    this.certificates = new Certificates(join(this.#folder, 'tls'));
    const file = (name: string): string => this.certificates.path(name);
    this.backends = NUMBERS.map(
      (number) =>
        new Backend(owner, {
          number,
          address: `${this.#network.backend(number)}:${PORTS.backend}`,
          cert: file('backend.crt'),
          key: file('backend.key'),
          ca: file('backends-trust.pem'),
        }),
    );
    const deployment = { transport: settings.transport, workers: 2, nameServer, file };
    this.replicas = NUMBERS.map(
      (number) => new Replica(owner, number, this.#network.replica(number), this.#folder, deployment),
    );
  }

  /** Starts all of it, but for the calls. */
  static async set(owner: Belongings, settings: StageSettings, routing: Routing): Promise<Stage> {
    const nameServer = await NameServer.start((name) => ({
      addresses: stage.#addressesOf(name),
      ttlSeconds: 1,
    }));
    owner.teardown(() => nameServer.destroy());
    const stage = new Stage(owner, settings, nameServer.address);
    for (const replica of stage.replicas) replica.write(routing);
    await Promise.all([...stage.backends, ...stage.replicas].map((each) => each.start()));
    await stage.#startBalancers();
    stage.#startClients();
    return stage;
  }

  /** From now on calls are of this phase; resolves when those of the one before have ended. */
  async begin(phase: string, repeats: boolean): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.begin(phase, repeats)));
  }

  /** Resolves when every client has had an answer that came this way, to a call that it has yet to make. */
  async meet(path: Partial<AnswerPath>): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.meet(path)));
  }

  /** Resolves when all workers have connections to all backends. */
  async untilReached(): Promise<void> {
    for (const replica of this.replicas) {
      await replica.until('connected with all backends', () => replica.reachesAll());
    }
  }

  /** From now on the name stands for these backends. */
  rename(name: string, numbers: readonly number[]): void {
    this.#names.set(name, numbers);
  }

  addressOf(backend: number): string {
    return `${this.#network.backend(backend)}:${PORTS.backend}`;
  }

  /** Ends the calls, then the replicas, and then the backends, which tell what they have answered. */
  async stop(): Promise<{
    readonly accounts: readonly Account[];
    readonly failures: readonly Failure[];
  }> {
    const accounts = await Promise.all(this.#loads.map((load) => load.stop()));
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    await Promise.all(this.backends.map((backend) => backend.stop()));
    return { accounts: accounts.flat(), failures: this.#loads.flatMap(({ failures }) => failures) };
  }

  #addressesOf(name: string): readonly string[] {
    return (this.#names.get(name) ?? []).map((number) => this.#network.backend(number));
  }

  async #startBalancers(): Promise<void> {
    const replicas = this.replicas.map(({ host }) => host);
    for (const [index, balancer] of BALANCERS.entries()) {
      const { name } = balancer;
      if (this.#settings.balancers?.includes(name) === false) continue;
      const missing = balancer.missing();
      if (missing !== false) {
        this.absent.push(`${name} (${missing})`);
        continue;
      }
      const host = this.#network.balancer(index + 1);
      await startBalancer(this.#owner, balancer, { host, replicas, folder: this.#folder });
      const loss = `${LOSS}|${balancer.loss.pattern}`;
      this.#clients.push({ name: `by ${name}`, target: `${host}:${PORTS.balancer}`, loss });
      this.balancers.push(balancer);
    }
    this.#clients.push({
      name: 'directly',
      target: `ipv4:${replicas.map((host) => `${host}:${PORTS.tls}`).join(',')}`,
      tls: { ca: this.certificates.path('clients-trust.pem'), serverName: PROXY_NAME },
      loss: LOSS,
    });
  }

  #startClients(): void {
    const { seed, callsPerSecond, longestStream } = this.#settings;
    const python = pythonWithGrpc();
    if (python === undefined) this.absent.push('clients on C-core (no python3 here has the module grpc)');
    const random = new Random(seed);
    const kinds = python === undefined ? ['grpc-js'] : ['grpc-js', 'C-core'];
    const settingsOf = (kind: string): LoadSettings => ({
      clients: this.#clients.map(({ name, ...rest }) => ({ name: `${kind} ${name}`, ...rest })),
      callsPerSecond: callsPerSecond / (kinds.length * this.#clients.length),
      seed: random.next(),
      longestStream,
      serviceConfig: { ...SERVICE_CONFIG, loadBalancingConfig: [{ round_robin: {} }] },
    });
    this.#loads = kinds.map((kind) =>
      kind === 'grpc-js'
        ? Load.grpcJs(this.#owner, settingsOf(kind))
        : Load.cCore(this.#owner, python!, settingsOf(kind)),
    );
  }
}
