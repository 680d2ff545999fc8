import cluster from 'node:cluster';
import { type MetricsSnapshot, WorkerMetrics } from '../observe/metrics/index.js';
import type { Log } from './log.js';
import type { Plane, PlaneSnapshot } from './plane.js';
import type { Settings } from './settings.js';
import { type Farewell, WorkerProcess } from './worker-process.js';

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
  readonly #log: Log;
  #settings: Settings;
  readonly #metrics: WorkerMetrics;
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
      backoffMilliseconds: 0,
      timer: undefined,
    }));
  }

  get trouble(): string | undefined {
    if (this.#isDraining) return 'draining';
    return this.#running.length === 0 ? 'no worker is running' : undefined;
  }

  async start(): Promise<readonly string[]> {
    // By default messages are JSON, which certificates are not.
    cluster.setupPrimary({ serialization: 'advanced' });
    try {
      const [first, ...others] = this.#places;
      // It says what is wrong with the addresses, once.
      const addresses = await this.#fork(first!);
      await Promise.all(others.map((place) => this.#fork(place)));
      this.#timer = setInterval(() => void this.#count(), LOOK_MILLISECONDS);
      return addresses;
    } catch (error) {
      this.#isDraining = true;
      for (const { process } of this.#places) process?.kill();
      throw error;
    }
  }

  async apply(settings: Settings): Promise<void> {
    this.#settings = settings;
    this.#metrics.limitMethods(settings.config.metrics.maxMethods);
    await Promise.all(this.#running.map((process) => process.apply(this.#settings)));
  }

  async look(): Promise<readonly PlaneSnapshot[]> {
    const looks = await Promise.all(this.#running.map((process) => process.look()));
    return looks.flatMap((snapshots) => snapshots ?? []);
  }

  async metrics(): Promise<MetricsSnapshot> {
    await this.#count();
    return this.#metrics.snapshot();
  }

  async reopenLogs(): Promise<void> {
    await Promise.all(this.#running.map((process) => process.reopenLogs()));
  }

  async drain(timeoutMilliseconds: number): Promise<number> {
    this.#isDraining = true;
    clearInterval(this.#timer);
    for (const { timer } of this.#places) clearTimeout(timer);
    const ends = await Promise.all(
      this.#running.map((process) => this.#retire(process, timeoutMilliseconds)),
    );
    return ends.reduce((sum, { endedCalls }) => sum + endedCalls, 0);
  }

  get #running(): WorkerProcess[] {
    return this.#places.flatMap(({ process }) => process ?? []);
  }

  async #count(): Promise<void> {
    await Promise.all(
      this.#running.map(async (process) => {
        const snapshot = await process.metrics();
        if (snapshot !== undefined) this.#metrics.update(process.worker, snapshot);
      }),
    );
  }

  /** Starts another process at a place; the one that was there goes on until it is told to leave. */
  async #fork(place: Place): Promise<readonly string[]> {
    const settings = this.#settings;
    const { process, addresses } = await WorkerProcess.start(place.number, settings, (ended, how) =>
      this.#onExit(place, ended, how),
    );
    place.process = process;
    // Started by settings that may have changed meanwhile.
    if (this.#settings !== settings) await process.apply(this.#settings);
    return addresses;
  }

  async #replaceAll(): Promise<void> {
    for (const place of this.#places) {
      if (this.#isDraining) return;
      const old = place.process;
      try {
        await this.#fork(place);
      } catch (error) {
        this.#log.error(
          `a new worker ${place.number} does not start, so the old ones go on: ${(error as Error).message}`,
        );
        return;
      }
      if (old === undefined) continue;
      const { drainTimeout } = this.#settings.config;
      const { endedCalls } = await this.#retire(old, drainTimeout.milliseconds);
      const cut = endedCalls === 0 ? '' : `; ${endedCalls} calls had to be ended`;
      this.#log.info(`${old.name} is replaced by ${place.process?.name ?? 'none'}${cut}`);
    }
  }

  async #retire(process: WorkerProcess, timeoutMilliseconds: number): Promise<Farewell> {
    const farewell = await process.drain(timeoutMilliseconds);
    if (farewell.metrics !== undefined) this.#metrics.update(process.worker, farewell.metrics);
    this.#metrics.remove(process.worker);
    return farewell;
  }

  #onExit(place: Place, ended: WorkerProcess, how: string): void {
    if (ended.isLeaving) return;
    this.#metrics.remove(ended.worker);
    if (place.process !== ended) return;
    place.process = undefined;
    if (this.#isDraining) return;
    const isSteady = performance.now() - ended.startedAt >= STEADY_MILLISECONDS;
    this.#log.error(`${ended.name} has died (${how}), and is replaced`);
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
      if (this.#isDraining) place.process?.kill();
    } catch (error) {
      if (this.#isDraining) return;
      this.#log.error(`worker ${place.number} does not start: ${(error as Error).message}`);
      this.#replaceIn(place, place.backoffMilliseconds);
    }
  }
}
