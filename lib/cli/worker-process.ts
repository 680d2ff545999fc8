import cluster, { type Worker } from 'node:cluster';
import type { StatisticsSnapshot } from '../admin/index.js';
import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import { type Deferred, deferred } from '../call/deferred.js';
import type { MetricsSnapshot } from '../observe/metrics/index.js';
import { KeptStatistics } from './kept-statistics.js';
import type { PlaneSnapshot } from './plane.js';
import { Gone, Requests } from './requests.js';
import type { Settings } from './settings.js';
import { COMMAND_SIGNALS } from './signals.js';

/** How long a worker may take to tell what it is asked: one that stands still must not keep the others' from being told. */
const ANSWER_MILLISECONDS = 2000;

/**
 * How long a worker may take to start. It takes half a second; where it takes a hundred times as long, another would, too, and
 * one that hangs keeps the command from starting, or the old workers from being replaced.
 */
const START_MILLISECONDS = 60_000;

/** What a worker that leaves has to end by itself, after its drain, before it is killed. */
const LEAVE_MILLISECONDS = 3000;

/** What it has, as its time to drain comes to its end, for a sign of life: without one it has no such time. */
const PING_MILLISECONDS = 1000;

/** What a worker says at its end. */
export interface Farewell {
  /** Calls that were ended when its time to drain was over. */
  readonly endedCalls: number;
  readonly metrics: MetricsSnapshot | undefined;
  readonly statistics: StatisticsSnapshot | undefined;
}

/** What one has said that has ended before it could say more: it was killed, or stood still. */
export const NO_FAREWELL: Farewell = { endedCalls: 0, metrics: undefined, statistics: undefined };

/** A worker, as the main process has it. */
export class WorkerProcess {
  /** For logs: its place among the workers, from 1, and its process. */
  readonly name: string;
  /** Stands for it where its numbers are added up. */
  readonly worker: Worker;
  readonly startedAt = performance.now();
  /** It takes calls, or has taken some. */
  isStarted = false;
  /** It was told to leave: its end is no surprise. */
  isLeaving = false;
  #endedBy: NodeJS.Signals | null = null;
  readonly #statistics = new KeptStatistics();
  readonly #requests: Requests;
  readonly #unanswered = new Map<string, Promise<unknown>>();
  readonly #exited: Deferred<void> = deferred();
  #farewell: Promise<Farewell> | undefined;

  /** Forks one. @param onExit told how it has ended */
  constructor(place: number, onExit: (how: string) => void) {
    this.worker = cluster.fork();
    this.name = `worker ${place} (process ${this.worker.process.pid ?? 'none'})`;
    this.#requests = new Requests(this.worker);
    const onEnd = (how: string): void => {
      this.#requests.end(`${this.name} has ended: ${how}`);
      this.#exited.resolve();
      onExit(how);
    };
    this.worker.on('error', ({ message }) => {
      // Of the channel, mostly: that the process has gone is told by its exit. What there has never been does not exit.
      if (this.worker.process.pid !== undefined) return;
      delete cluster.workers?.[this.worker.id];
      onEnd(message);
    });
    this.worker.process.on('exit', (code, signal) => {
      this.#endedBy = signal;
      onEnd(signal === null ? `exit code ${code}` : signal);
    });
  }

  /** It was ended by a signal that is for the main process, before it listened for them: no fault of its own. */
  get isMistaken(): boolean {
    return this.#endedBy !== null && COMMAND_SIGNALS.includes(this.#endedBy);
  }

  /**
   * Lets it take calls; resolves with the addresses.
   *
   * @param settings asked for when it can be told them
   * @throws Error that says why it does not start; then it is gone
   */
  async start(settings: () => Settings): Promise<readonly string[]> {
    const late = `${this.name} has not started within ${START_MILLISECONDS / 1000} s`;
    const timer = setTimeout(() => this.#requests.end(late), START_MILLISECONDS);
    try {
      await this.#requests.ready;
      const addresses = await this.#requests.ask<readonly string[]>('start', settings());
      this.isStarted = true;
      return addresses;
    } catch (error) {
      // One that was told to leave meanwhile does so.
      if (!this.isLeaving) this.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Goes on by these; one that does not answer in time will, when it goes on at all.
   *
   * @throws Error that says why they cannot be
   */
  async apply(settings: Settings): Promise<void> {
    try {
      await inTime(this.#requests.ask('apply', settings), ANSWER_MILLISECONDS);
    } catch (error) {
      // Who takes the place of one that has gone starts by them.
      if (!(error instanceof Gone)) throw error;
    }
  }

  /** Never rejected: whether a worker can is in the log. */
  async reopenLogs(): Promise<void> {
    await this.#answer('reopenLogs');
  }

  /** What it has told of its calls last. */
  get statistics(): StatisticsSnapshot | undefined {
    return this.#statistics.current;
  }

  /** Of one that does not answer only what it has told of its calls last. */
  async look(): Promise<readonly PlaneSnapshot[]> {
    const snapshots = await this.#answer<readonly PlaneSnapshot[]>('look');
    if (snapshots === undefined) return [{ backends: [], calls: [], statistics: this.statistics }];
    this.#statistics.replace(snapshots[0]?.statistics);
    return snapshots;
  }

  /** Undefined if it does not answer. */
  metrics(): Promise<MetricsSnapshot | undefined> {
    return this.#answer('metrics');
  }

  /** Resolves when the process has ended. */
  drain(timeoutMilliseconds: number): Promise<Farewell> {
    this.#farewell ??= this.#leave(timeoutMilliseconds);
    return this.#farewell;
  }

  kill(): void {
    this.isLeaving = true;
    this.worker.process.kill('SIGKILL');
  }

  async #leave(timeoutMilliseconds: number): Promise<Farewell> {
    this.isLeaving = true;
    const timers = [
      after(timeoutMilliseconds - PING_MILLISECONDS, () => void this.#killIfSilent()),
      after(timeoutMilliseconds + LEAVE_MILLISECONDS, () => this.kill()),
    ];
    try {
      const farewell = await this.#requests.ask<Farewell>('drain', timeoutMilliseconds);
      // Until here connections were handed to it: it gives them back before it comes to this.
      await this.#requests.ask('leave').catch(() => {});
      this.#statistics.replace(farewell.statistics);
      return farewell;
    } catch {
      return NO_FAREWELL;
    } finally {
      await this.#exited.promise;
      for (const timer of timers) clearTimeout(timer);
    }
  }

  /** One that stands still would not end its calls when their time is over, either. */
  async #killIfSilent(): Promise<void> {
    if ((await this.#answer('ping', PING_MILLISECONDS)) === undefined) this.kill();
  }

  /** Asks, unless it has not answered the same yet: to one that stands still questions would pile up. */
  #askOnce<T>(method: string): Promise<T> {
    let answer = this.#unanswered.get(method);
    if (answer === undefined) {
      answer = this.#requests.ask<T>(method).finally(() => this.#unanswered.delete(method));
      this.#unanswered.set(method, answer);
    }
    return answer as Promise<T>;
  }

  async #answer<T>(method: string, milliseconds = ANSWER_MILLISECONDS): Promise<T | undefined> {
    try {
      return await inTime(this.#askOnce<T>(method), milliseconds);
    } catch {
      return undefined;
    }
  }
}

/** Undefined if it takes too long. */
async function inTime<T>(answer: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

function after(milliseconds: number, act: () => void): NodeJS.Timeout {
  return setTimeout(act, Math.min(Math.max(0, milliseconds), MAX_TIMER_MILLISECONDS));
}
