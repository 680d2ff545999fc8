import type { Registry } from 'prom-client';
import { now } from '../../call/clock.js';
import type { CallObserver, RunningCall } from '../../call/observer.js';
import { outOfRange, wrongType } from '../../port/errors.js';
import {
  checkedFlag,
  checkFunction,
  checkObject,
  checkOptions,
  type OptionNames,
} from '../../port/options.js';
import type { ResponseVerdict } from '../../proxy/compare/verdict.js';
import { BackendMetrics, type ObservedBackend } from './backend-metrics.js';
import { callFamilies } from './call-families.js';
import { CallMetrics } from './call-metrics.js';
import { Coalesced } from './coalesced.js';
import { METRICS_DEFAULTS } from './defaults.js';
import { counter, type Family, gauge } from './family.js';
import { checkedMaxMethods, MethodNames } from './method-names.js';
import { MetricsTexts } from './metrics-texts.js';
import { ownVersion } from './own-version.js';
import { ProcessMetrics } from './process-metrics.js';
import { registryOf } from './registered.js';
import { type MetricsSnapshot, snapshotOf } from './snapshot.js';
import type { MetricsText } from './text.js';

/** What metrics look at of a `Server`. */
export interface ObservedServer {
  /** Has its calls looked on at from now on. */
  observe(observer: CallObserver): void;
  /** The calls that run, for the messages that they have come to. */
  readonly runningCalls: Iterable<RunningCall>;
}

/** What metrics can be told. */
export interface MetricsOptions {
  /**
   * The methods that have a label of their own whatever happens, `package.Service/Method`: those that routes name. Asked
   * again from time to time; none by default.
   */
  readonly methods?: (() => Iterable<string>) | undefined;
  /**
   * How many other methods have a label of their own: the first that a backend answered with another status than
   * UNIMPLEMENTED, from their second call on. All others are `other`, and so is a name of over 200 characters, or of others
   * than ASCII's. Default 1000.
   */
  readonly maxMethods?: number | undefined;
  /** The backends that are told of, and their names; asked for each time that metrics are read. None by default. */
  readonly backends?: (() => Iterable<readonly [name: string, conn: ObservedBackend]>) | undefined;
  /** What `build_info` says of it: what speaks HTTP/2 to clients. Empty by default. */
  readonly transport?: string | undefined;
  /**
   * Whether `process_*` and `nodejs_eventloop_lag_*` are told, too, by the names of prom-client's
   * `collectDefaultMetrics`; default false: an application has its own. It takes 0.2 % of a core.
   */
  readonly processMetrics?: boolean | undefined;
}

const METRICS_OPTIONS: OptionNames<MetricsOptions> = {
  methods: true,
  maxMethods: true,
  backends: true,
  transport: true,
  processMetrics: true,
};

/** How something went that may fail. */
export type Result = 'ok' | 'failed';

/** The metrics of one server, made by {@link metrics}. Counters never fall. */
export class Metrics {
  /** The same for prom-client, as of now whenever it is read: for `Registry.merge()`, say. */
  readonly registry: Registry;
  readonly #calls: CallMetrics;
  readonly #backends: BackendMetrics;
  readonly #process: ProcessMetrics | undefined;
  readonly #families: readonly Family[];
  readonly #configReloads = { ok: 0, failed: 0 };
  readonly #certificateReloads = { ok: 0, failed: 0 };
  #accessLogDropped = 0;
  #healthChecks = 0;
  readonly #look: Coalesced<void>;
  readonly #snapshots: Coalesced<MetricsSnapshot>;
  readonly #texts: MetricsTexts;

  /** @internal */
  constructor(server: ObservedServer, options: MetricsOptions) {
    checkObject('the server', 'a Server', server, 'observe');
    checkOptions(options, METRICS_OPTIONS);
    const { methods, maxMethods = METRICS_DEFAULTS.maxMethods, backends } = options;
    checkFunction('methods', methods);
    checkFunction('backends', backends);
    if (options.transport !== undefined && typeof options.transport !== 'string') {
      throw wrongType('transport', 'a string', options.transport);
    }
    const processMetrics = checkedFlag('processMetrics', options.processMetrics, false);
    this.#calls = new CallMetrics(new MethodNames(checkedMaxMethods(maxMethods), methods), now());
    this.#backends = new BackendMetrics(backends ?? (() => []));
    this.#process = processMetrics ? new ProcessMetrics() : undefined;
    this.#families = [
      ...callFamilies(this.#calls),
      ...(backends === undefined ? [] : this.#backends.families()),
      ...this.#ownFamilies(options.transport ?? ''),
      ...(this.#process?.families() ?? []),
    ];
    this.#look = new Coalesced(async () => {
      await this.#process?.look();
      this.#backends.look();
      this.#calls.look(server.runningCalls);
    });
    this.#snapshots = new Coalesced(async () => {
      await this.#look.get();
      return snapshotOf(this.#families);
    });
    this.#texts = new MetricsTexts(() => this.#snapshots.get());
    this.registry = registryOf(this.#families, () => this.#look.get());
    server.observe(this.#calls);
  }

  /**
   * As text, for a response to `GET /metrics`. Many who ask at once are given one.
   *
   * @param accept the Accept header of who asks: OpenMetrics, or by default Prometheus's text format
   */
  text(accept?: string): Promise<MetricsText> {
    return this.#texts.text(accept);
  }

  /** As plain JSON, for another process: `WorkerMetrics` and `mergeSnapshots()` make one of several. */
  snapshot(): Promise<MetricsSnapshot> {
    return this.#snapshots.get();
  }

  /** To be told of each verdict: `compareResponses(parameters, { onVerdict: (verdict) => metrics.onVerdict(verdict) })`. */
  onVerdict(verdict: ResponseVerdict): void {
    this.#calls.onVerdict(verdict);
  }

  /** Tells that a configuration was read anew: `grpc_frame_proxy_config_reloads_total`. */
  configReloaded(result: Result): void {
    this.#configReloads[result]++;
    this.#calls.names.forgetRouted();
    // Those that it has left are known from now on, if they were not before.
    this.#backends.look();
  }

  /**
   * From now on at most so many methods have a label of their own besides those that routes name; those that have one keep
   * it.
   *
   * @throws TypeError or RangeError for what is no such number
   */
  limitMethods(maxMethods: number): void {
    this.#calls.names.limit(checkedMaxMethods(maxMethods));
  }

  /** Tells that certificates were read anew: `grpc_frame_proxy_certificate_reloads_total`. */
  certificateReloaded(result: Result): void {
    this.#certificateReloads[result]++;
  }

  /**
   * Tells that so many more lines of the access log were dropped, as its `onDropped` says:
   * `grpc_frame_proxy_access_log_dropped_total`.
   *
   * @throws RangeError for what is no number from 0
   */
  accessLogDropped(count: number): void {
    if (!(count >= 0)) throw outOfRange('count', 'a number from 0', count);
    this.#accessLogDropped += count;
  }

  /** Tells that a health check was answered here: `onAnswered` of `healthService`, say. */
  healthChecked(): void {
    this.#healthChecks++;
  }

  #ownFamilies(transport: string): Family[] {
    const single = (value: number) => [{ labels: [], value }];
    const reloads = (counts: Record<Result, number>) => [
      { labels: ['ok'], value: counts.ok },
      { labels: ['failed'], value: counts.failed },
    ];
    return [
      counter(
        'grpc_frame_proxy_config_reloads_total',
        'How often the configuration was read anew.',
        ['result'],
        () => reloads(this.#configReloads),
      ),
      counter(
        'grpc_frame_proxy_certificate_reloads_total',
        'How often certificates were read anew.',
        ['result'],
        () => reloads(this.#certificateReloads),
      ),
      counter(
        'grpc_frame_proxy_access_log_dropped_total',
        'Lines of the access log that could not be written.',
        [],
        () => single(this.#accessLogDropped),
      ),
      counter('grpc_frame_proxy_health_checks_total', 'Health checks that were answered here.', [], () =>
        single(this.#healthChecks),
      ),
      gauge(
        'grpc_frame_proxy_build_info',
        'What this is: always 1.',
        ['version', 'node', 'transport'],
        () => [{ labels: [VERSION, process.versions.node, transport], value: 1 }],
        'max',
      ),
    ];
  }
}

const VERSION = ownVersion();

/**
 * Counts a server's calls from now on.
 *
 * @throws TypeError or RangeError for a server or an option that makes no sense
 */
export function metrics(server: ObservedServer, options: MetricsOptions = {}): Metrics {
  return new Metrics(server, options);
}
