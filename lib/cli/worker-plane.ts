import cluster from 'node:cluster';
import { type MetricsSnapshot, WorkerMetrics } from '../observe/metrics/index.js';
import { rescueConnections } from './handed-connections.js';
import { withHeap } from './heap.js';
import { KeptStatistics } from './kept-statistics.js';
import type { Log } from './log.js';
import type { Plane, PlaneSnapshot } from './plane.js';
import type { Settings } from './settings.js';
import { type Farewell, NO_FAREWELL, WorkerProcess } from './worker-process.js';

/** How often workers are asked what they have counted: when one dies, no more than that is lost. */
const LOOK_MILLISECONDS = 1000;

/** A worker that has lived for so long is replaced at once when it dies; another waits, twice as long each time. */
const STEADY_MILLISECONDS = 10_000;
const MIN_BACKOFF_MILLISECONDS = 100;
const MAX_BACKOFF_MILLISECONDS = 10_000;

/** One place among the workers. */
interface Place {
  readonly number: number;
  process: WorkerProcess | undefined;
  /** While another process is started for it. */
  starting: Promise<readonly string[]> | undefined;
  backoffMilliseconds: number;
  timer: NodeJS.Timeout | undefined;
}

/** Workers that share the addresses, each with its share of connections. */
export class WorkerPlane implements Plane {
  readonly restart = (): Promise<void> => {
    this.#restarting ??= this.#replaceAll().finally(() => {
      this.#restarting = undefined;
    });
    return this.#restarting;
  };
  readonly #places: readonly Place[];
  /** All that there are: at their places, on the way there, and on the way out. */
  readonly #processes = new Set<WorkerProcess>();
  readonly #log: Log;
  #settings: Settings;
  /** Where the workers listen. */
  #addresses: readonly string[] = [];
  /** Those that are told to the next ones. */
  #knownAddresses: readonly string[] = [];
  readonly #metrics: WorkerMetrics;
  /** Of those that have ended. */
  readonly #statistics = new KeptStatistics();
  #timer: NodeJS.Timeout | undefined;
  #restarting: Promise<void> | undefined;
  #isDraining = false;

  constructor(count: number, settings: Settings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    const { maxMethods } = settings.config.metrics;
    this.#metrics = new WorkerMetrics({ maxMethods, methods: () => this.#settings.methods });
    this.#places = Array.from({ length: count }, (_, index) => ({
      number: index + 1,
      process: undefined,
      starting: undefined,
      backoffMilliseconds: 0,
      timer: undefined,
    }));
  }

  get trouble(): string | undefined {
    if (this.#isDraining) return 'draining';
    return this.#places.some(({ process }) => process !== undefined) ? undefined : 'no worker is running';
  }

  async start(): Promise<readonly string[]> {
    // By default messages are JSON, which certificates are not.
    cluster.setupPrimary({ serialization: 'advanced', execArgv: withHeap(process.execArgv) });
    try {
      const [first, ...others] = this.#places;
      // It says what is wrong with the addresses, once.
      const addresses = await this.#fork(first!);
      await Promise.all(others.map((place) => this.#fork(place)));
      this.#timer = setInterval(() => void this.#count(), LOOK_MILLISECONDS);
      return addresses;
    } catch (error) {
      this.#isDraining = true;
      for (const process of this.#processes) process.kill();
      throw error;
    }
  }

  async apply(settings: Settings): Promise<void> {
    const before = this.#settings;
    this.#settings = settings;
    try {
      await this.#applyToAll(settings);
      this.#metrics.limitMethods(settings.config.metrics.maxMethods);
    } catch (error) {
      this.#settings = before;
      await this.#applyToAll(before);
      throw error;
    }
  }

  async look(): Promise<readonly PlaneSnapshot[]> {
    // Before those are asked which may end meanwhile, and then are among the others, too.
    const ended: PlaneSnapshot = { backends: [], calls: [], statistics: this.#statistics.current };
    const looks = await Promise.all(this.#started.map((process) => process.look()));
    return [ended, ...looks.flat()];
  }

  async metrics(): Promise<MetricsSnapshot> {
    await this.#count();
    return this.#metrics.snapshot();
  }

  async reopenLogs(): Promise<void> {
    await Promise.all(this.#started.map((process) => process.reopenLogs()));
  }

  async drain(timeoutMilliseconds: number): Promise<number> {
    this.#isDraining = true;
    clearInterval(this.#timer);
    for (const { timer } of this.#places) clearTimeout(timer);
    const ends = await Promise.all(
      Array.from(this.#processes, (process) => this.#retire(process, timeoutMilliseconds)),
    );
    return ends.reduce((sum, { endedCalls }) => sum + endedCalls, 0);
  }

  /** Those that can be asked, also while they finish their last calls. */
  get #started(): WorkerProcess[] {
    return [...this.#processes].filter(({ isStarted }) => isStarted);
  }

  /** Whether anybody takes connections. */
  get #isServed(): boolean {
    return this.#started.some(({ isLeaving, worker }) => !isLeaving && worker.isConnected());
  }

  async #count(): Promise<void> {
    await Promise.all(
      this.#started.map(async (process) => {
        const snapshot = await process.metrics();
        if (snapshot !== undefined) this.#metrics.update(process.worker, snapshot);
      }),
    );
  }

  /** Those that are just being started included: they have been told others. */
  async #applyToAll(settings: Settings): Promise<void> {
    const staying = [...this.#processes].filter(({ isLeaving }) => !isLeaving);
    await Promise.all(staying.map((process) => process.apply(settings)));
  }

  /** Starts another process at a place; the one that was there goes on until it is told to leave. */
  #fork(place: Place): Promise<readonly string[]> {
    clearTimeout(place.timer);
    place.starting = this.#start(place).finally(() => {
      place.starting = undefined;
    });
    return place.starting;
  }

  async #start(place: Place): Promise<readonly string[]> {
    for (;;) {
      const process = new WorkerProcess(place.number, (how) => this.#onExit(place, process, how));
      this.#processes.add(process);
      rescueConnections(process.worker, () => this.#isServed);
      try {
        const addresses = await process.start(() => this.#startingSettings());
        this.#addresses = addresses;
        place.process = process;
        return addresses;
      } catch (error) {
        if (this.#isDraining || !process.isMistaken) throw error;
      }
    }
  }

  #startingSettings(): Settings {
    // Where nobody listens any more a free port would be another one; where somebody does, it is theirs.
    if (!this.#isServed) this.#knownAddresses = this.#addresses;
    return listeningAt(this.#settings, this.#knownAddresses);
  }

  async #replaceAll(): Promise<void> {
    for (const place of this.#places) {
      if (this.#isDraining || !(await this.#renew(place))) return;
    }
  }

  /** Puts another process at a place, and lets the one that is there drain. @returns whether that has come about */
  async #renew(place: Place): Promise<boolean> {
    // What is just being started, for one that has died, is new.
    if (place.starting !== undefined) {
      await place.starting.catch(() => {});
      return true;
    }
    const old = place.process;
    try {
      await this.#fork(place);
    } catch (error) {
      if (this.#isDraining) return false;
      const { message } = error as Error;
      this.#log.error(`a new worker ${place.number} does not start, so the old ones go on: ${message}`);
      // It may have died meanwhile.
      if (place.process === undefined) this.#replaceIn(place, place.backoffMilliseconds);
      return false;
    }
    if (old === undefined || this.#isDraining) return true;
    const { drainTimeout } = this.#settings.config;
    const { endedCalls } = await this.#retire(old, drainTimeout.milliseconds);
    const cut = endedCalls === 0 ? '' : `; ${endedCalls} calls had to be ended`;
    this.#log.info(`${old.name} is replaced by ${place.process?.name ?? 'none'}${cut}`);
    return true;
  }

  async #retire(process: WorkerProcess, timeoutMilliseconds: number): Promise<Farewell> {
    const farewell = await process.drain(timeoutMilliseconds);
    if (farewell.metrics !== undefined) this.#metrics.update(process.worker, farewell.metrics);
    this.#metrics.remove(process.worker);
    if (farewell === NO_FAREWELL) this.#log.warn(`${process.name} has ended before it was drained`);
    return farewell;
  }

  #onExit(place: Place, ended: WorkerProcess, how: string): void {
    this.#processes.delete(ended);
    this.#statistics.add(ended.statistics);
    if (!ended.isLeaving) this.#metrics.remove(ended.worker);
    // Of one that has not started who starts it says what is wrong.
    if (place.process !== ended) return;
    place.process = undefined;
    if (ended.isLeaving || this.#isDraining) return;
    this.#log.error(`${ended.name} has died (${how}), and is replaced`);
    if (place.starting !== undefined) return;
    const isSteady = performance.now() - ended.startedAt >= STEADY_MILLISECONDS;
    this.#replaceIn(place, isSteady ? 0 : place.backoffMilliseconds);
  }

  #replaceIn(place: Place, milliseconds: number): void {
    place.backoffMilliseconds = Math.min(
      MAX_BACKOFF_MILLISECONDS,
      Math.max(MIN_BACKOFF_MILLISECONDS, 2 * milliseconds),
    );
    place.timer = setTimeout(() => void this.#replace(place), milliseconds);
  }

  async #replace(place: Place): Promise<void> {
    try {
      await this.#fork(place);
    } catch (error) {
      if (this.#isDraining) return;
      this.#log.error(`worker ${place.number} does not start: ${(error as Error).message}`);
      this.#replaceIn(place, place.backoffMilliseconds);
    }
  }
}

/** The same, with these addresses in place of what they have come from, as far as they are known. */
function listeningAt(settings: Settings, addresses: readonly string[]): Settings {
  const listen = settings.config.listen?.map((one, index) => ({
    ...one,
    address: addresses[index] ?? one.address,
  }));
  return { ...settings, config: { ...settings.config, listen } };
}
