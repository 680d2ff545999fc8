import { type HealthService, healthService } from '../admin/health-service.js';
import {
  backendsJson,
  type CallStatistics,
  callStatistics,
  callsJson,
  type NamedBackend,
} from '../admin/index.js';
import type { CallObserver, RunningCall } from '../call/observer.js';
import { type Metrics, type MetricsSnapshot, metrics } from '../observe/metrics/index.js';
import { formatAddress, parseListenAddress } from '../port/address.js';
import type { ResponseVerdict } from '../proxy/compare/verdict.js';
import { transparentHandler } from '../proxy/handler.js';
import { RouteDirector } from '../routes/route-director.js';
import { Server } from '../server/server.js';
import { BackendLog } from './backend-log.js';
import { CallLog } from './call-log.js';
import { traceCalls } from './call-traces.js';
import { DifferenceLog } from './difference-log.js';
import { FailureLog } from './failure-log.js';
import { listenFailure } from './listen-failure.js';
import type { Log } from './log.js';
import type { Plane, PlaneSnapshot } from './plane.js';
import type { Settings } from './settings.js';

/** The time that connections to backends have to close by themselves when no call is left. */
const GOODBYE_MILLISECONDS = 1000;

/** Takes the calls in this process: servers, where their calls go, and all that looks on at them. */
export class ProcessPlane implements Plane {
  readonly restart = undefined;
  readonly #log: Log;
  #settings: Settings;
  readonly #director: RouteDirector;
  /** One for each address, as each has TLS of its own. */
  readonly #servers: readonly Server[];
  readonly #health: readonly HealthService[];
  readonly #differences: DifferenceLog;
  readonly #failures: FailureLog;
  readonly #backendLog: BackendLog;
  readonly #callLog: CallLog;
  /** What the admin endpoint tells, if there is one. */
  readonly #metrics: Metrics | undefined;
  readonly #statistics: CallStatistics | undefined;
  #isDraining = false;

  /** @throws Error for settings that cannot be: files have changed since they were checked, say */
  constructor(settings: Settings, log: Log) {
    const { config, tls } = settings;
    this.#settings = settings;
    this.#log = log;
    this.#director = RouteDirector.of(config, tls.backends, {
      onVerdict: (verdict) => this.#onVerdict(verdict),
      comparesAll: settings.comparesAll,
    });
    const handler = transparentHandler(this.#director.director);
    const { listen = [] } = config;
    this.#servers = listen.map((_, index) => {
      const files = tls.listeners[index];
      return new Server({
        unknownServiceHandler: handler,
        transport: config.transport,
        tls: files && { ...files, requestCert: files.ca !== undefined },
      });
    });
    const calls = new AllCalls(this.#servers);
    this.#differences = new DifferenceLog((line) => log.warn(line));
    this.#failures = new FailureLog(log);
    for (const server of this.#servers) server.onFailedCall = (call) => this.#failures.add(call);
    this.#backendLog = new BackendLog(log);
    this.#callLog = new CallLog(calls, log, (count) => this.#metrics?.accessLogDropped(count));
    this.#callLog.use(config.accessLog, settings.folder);
    if (config.admin !== undefined) {
      this.#statistics = callStatistics(calls);
      this.#metrics = metrics(calls, {
        methods: () => this.#settings.methods,
        maxMethods: config.metrics.maxMethods,
        backends: () => this.#director.backends,
        transport: config.transport ?? 'http2',
        processMetrics: true,
      });
    }
    this.#health = this.#servers.map((server) =>
      healthService(server, { forward: handler, onAnswered: () => this.#metrics?.healthChecked() }),
    );
    this.#use(settings);
  }

  get trouble(): string | undefined {
    return this.#isDraining ? 'draining' : undefined;
  }

  async start(): Promise<readonly string[]> {
    await traceCalls(new AllCalls(this.#servers), this.#log);
    const addresses: string[] = [];
    for (const [index, server] of this.#servers.entries()) {
      const address = parseListenAddress(this.#settings.config.listen![index]!.address);
      try {
        addresses.push(formatAddress(await server.listen(address)));
      } catch (error) {
        await this.drain(0);
        throw listenFailure(address, error);
      }
    }
    return addresses;
  }

  async apply(settings: Settings): Promise<void> {
    const before = this.#settings;
    try {
      this.#change(settings);
    } catch (error) {
      // What of it there is already makes room for what was; that has been possible.
      this.#change(before);
      throw error;
    }
  }

  async look(): Promise<readonly PlaneSnapshot[]> {
    const { backends } = this.#settings.config;
    const named = Array.from(
      this.#director.backends,
      ([name, conn]): NamedBackend => [name, conn, { loadBalancing: backends[name]?.loadBalancing }],
    );
    const snapshot: PlaneSnapshot = {
      backends: backendsJson(named),
      calls: callsJson(new AllCalls(this.#servers).runningCalls),
      statistics: this.#statistics?.snapshot(),
    };
    return [snapshot];
  }

  metrics(): Promise<MetricsSnapshot | undefined> {
    return Promise.resolve(this.#metrics?.snapshot());
  }

  reopenLogs(): Promise<void> {
    return this.#callLog.reopen();
  }

  async drain(timeoutMilliseconds: number): Promise<number> {
    this.#isDraining = true;
    const ended = await Promise.all(this.#servers.map((server) => server.close({ timeoutMilliseconds })));
    this.#backendLog.stop();
    this.#differences.stop();
    this.#failures.stop();
    const timer = setTimeout(() => this.#director.destroy(), GOODBYE_MILLISECONDS);
    await this.#director.close();
    clearTimeout(timer);
    await this.#callLog.close();
    return ended.reduce((sum, count) => sum + count, 0);
  }

  /** @throws Error for what cannot be; then a part of it is */
  #change(settings: Settings): void {
    const { config, folder, tls } = settings;
    this.#callLog.use(config.accessLog, folder);
    for (const [index, server] of this.#servers.entries()) {
      const files = tls.listeners[index];
      // Also what it has already: a change that fails half-way is taken back by this.
      if (files !== undefined) server.setSecureContext(files);
    }
    this.#director.use(config, tls.backends);
    this.#settings = settings;
    this.#use(settings);
  }

  /** What of the settings nothing above has been told. */
  #use({ config }: Settings): void {
    this.#backendLog.watch(this.#director.backends);
    for (const health of this.#health) health.forwardsAll = config.health === 'forward';
    this.#metrics?.limitMethods(config.metrics.maxMethods);
  }

  #onVerdict(verdict: ResponseVerdict): void {
    this.#differences.add(verdict);
    this.#metrics?.onVerdict(verdict);
    this.#statistics?.onVerdict(verdict);
  }
}

/** Several servers, to those who look on at one. */
class AllCalls {
  readonly #servers: readonly Server[];

  constructor(servers: readonly Server[]) {
    this.#servers = servers;
  }

  observe(observer: CallObserver): void {
    for (const server of this.#servers) server.observe(observer);
  }

  get runningCalls(): readonly RunningCall[] {
    return this.#servers.flatMap(({ runningCalls }) => runningCalls);
  }
}
