import { now } from '../../call/clock.js';
import { checkFunction, checkOptions } from '../../port/options.js';
import { BoundedNames, OTHER } from './bounded-names.js';
import { METRICS_DEFAULTS, METRICS_LIMITS } from './defaults.js';
import { checkedMaxMethods } from './method-names.js';
import { RoutedNames } from './routed-names.js';
import { countersOf, type MetricsSnapshot, mergeSnapshots } from './snapshot.js';

/** Which names a {@link WorkerMetrics} keeps; give it what the workers' metrics are given. */
export interface WorkerMetricsOptions {
  /** The methods that routes name, `package.Service/Method`; none by default. */
  readonly methods?: (() => Iterable<string>) | undefined;
  /** How many others keep their names, of all workers together; default 1000. The rest is `other`. */
  readonly maxMethods?: number | undefined;
}

/** What a worker has told. */
interface WorkerState {
  snapshot: MetricsSnapshot;
  /** Methods that are counted as `other` for as long as it lives, also if a route comes to name them: else that would fall. */
  readonly folded: Set<string>;
}

/** The metrics of several worker processes as those of one: what a worker has counted stays counted when it has ended. */
export class WorkerMetrics {
  readonly #routed: RoutedNames;
  readonly #methodNames: BoundedNames;
  readonly #targetNames = new BoundedNames(METRICS_LIMITS.maxTargets);
  readonly #workers = new Map<object, WorkerState>();
  readonly #ended = new WeakSet<object>();
  /** What workers that have ended had counted. */
  #retired: MetricsSnapshot = { families: [] };

  /** @throws TypeError or RangeError for an option that makes no sense */
  constructor(options: WorkerMetricsOptions = {}) {
    checkOptions(options, { methods: true, maxMethods: true });
    const { methods, maxMethods = METRICS_DEFAULTS.maxMethods } = options;
    checkFunction('methods', methods);
    this.#routed = new RoutedNames(methods);
    this.#methodNames = new BoundedNames(checkedMaxMethods(maxMethods));
  }

  /**
   * What a worker has counted so far.
   *
   * @param worker an object of its own for each process, as `cluster.Worker`; after {@link remove} it is ignored
   */
  update(worker: object, snapshot: MetricsSnapshot): void {
    if (this.#ended.has(worker)) return;
    const folded = this.#workers.get(worker)?.folded ?? new Set<string>();
    const at = now();
    const named = mergeSnapshots([snapshot], (labelName, value) => {
      if (labelName === 'grpc_target') return this.#targetNames.nameOf(value);
      return labelName === 'grpc_method' ? this.#methodName(value, folded, at) : value;
    });
    this.#workers.set(worker, { snapshot: named, folded });
  }

  /** A worker has ended: what it had counted by its last {@link update} stays. */
  remove(worker: object): void {
    const state = this.#workers.get(worker);
    this.#ended.add(worker);
    if (state === undefined) return;
    this.#workers.delete(worker);
    this.#retired = mergeSnapshots([this.#retired, countersOf(state.snapshot)]);
  }

  /**
   * From now on at most so many methods keep their names besides those that routes name; those that have one keep it, and
   * what a worker has counted as `other` stays there.
   *
   * @throws TypeError or RangeError for what is no such number
   */
  limitMethods(maxMethods: number): void {
    this.#methodNames.limit(checkedMaxMethods(maxMethods));
  }

  /** What all of them have counted together, those that have ended included. */
  snapshot(): MetricsSnapshot {
    return mergeSnapshots([...Array.from(this.#workers.values(), ({ snapshot }) => snapshot), this.#retired]);
  }

  /** Each worker has its own first so many: all together they are no more. */
  #methodName(name: string, folded: Set<string>, at: number): string {
    if (folded.has(name)) return OTHER;
    if (this.#routed.has(name, at)) this.#methodNames.keep(name);
    const kept = this.#methodNames.nameOf(name);
    if (kept === OTHER && name !== OTHER) folded.add(name);
    return kept;
  }
}
