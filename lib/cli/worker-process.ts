import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import type { MetricsSnapshot } from '../observe/metrics/index.js';
import type { PlaneSnapshot } from './plane.js';
import { Requests } from './requests.js';
import type { Settings } from './settings.js';

/** How long a worker may take to tell what it is asked: one that stands still must not keep the others' from being told. */
const ANSWER_MILLISECONDS = 2000;

/** What a worker that leaves has to end by itself, after its drain, before it is killed. */
const LEAVE_MILLISECONDS = 2000;

/** What a worker says at its end. */
export interface Farewell {
  /** Calls that were ended when its time to drain was over. */
  readonly endedCalls: number;
  readonly metrics: MetricsSnapshot | undefined;
}

/** A worker, as the main process has it. */
export class WorkerProcess {
  /** For logs: its place among the workers, from 1, and its process. */
  readonly name: string;
  readonly worker: Worker;
  readonly startedAt = performance.now();
  /** It was told to leave: its end is no surprise. */
  isLeaving = false;
  readonly #requests: Requests;

  private constructor(place: number, onExit: (process: WorkerProcess, how: string) => void) {
    this.worker = cluster.fork();
    this.name = `worker ${place} (process ${this.worker.process.pid})`;
    this.#requests = new Requests(this.worker);
    this.worker.on('error', () => {
      // Of the channel: that the process has gone is told by its exit.
    });
    this.worker.on('exit', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : signal;
      this.#requests.end(new Error(`${this.name} has ended: ${how}`));
      onExit(this, how);
    });
  }

  /** Forks one, and starts it. @throws Error that says why it does not start; then it is gone */
  static async start(
    place: number,
    settings: Settings,
    onExit: (process: WorkerProcess, how: string) => void,
  ): Promise<{ process: WorkerProcess; addresses: readonly string[] }> {
    const process = new WorkerProcess(place, onExit);
    try {
      return { process, addresses: await process.#requests.ask('start', settings) };
    } catch (error) {
      process.isLeaving = true;
      process.worker.process.kill('SIGKILL');
      throw error;
    }
  }

  apply(settings: Settings): Promise<void> {
    return this.#requests.ask('apply', settings);
  }

  /** Never rejected: whether a worker can is in the log. */
  async reopenLogs(): Promise<void> {
    await inTime(this.#requests.ask('reopenLogs'));
  }

  /** Undefined if it does not answer. */
  look(): Promise<readonly PlaneSnapshot[] | undefined> {
    return inTime(this.#requests.ask<readonly PlaneSnapshot[]>('look'));
  }

  /** Undefined if it does not answer. */
  metrics(): Promise<MetricsSnapshot | undefined> {
    return inTime(this.#requests.ask<MetricsSnapshot>('metrics'));
  }

  /** Resolves when the process has ended. */
  async drain(timeoutMilliseconds: number): Promise<Farewell> {
    this.isLeaving = true;
    const { process } = this.worker;
    const ended =
      process.exitCode === null && process.signalCode === null ? once(process, 'exit') : undefined;
    const kill = setTimeout(() => process.kill('SIGKILL'), timeoutMilliseconds + LEAVE_MILLISECONDS);
    try {
      return await this.#requests.ask<Farewell>('drain', timeoutMilliseconds);
    } catch {
      // It has ended before it could say so.
      return { endedCalls: 0, metrics: undefined };
    } finally {
      await ended;
      clearTimeout(kill);
    }
  }

  kill(): void {
    this.isLeaving = true;
    this.worker.process.kill('SIGKILL');
  }
}

async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ANSWER_MILLISECONDS);
  });
  try {
    return await Promise.race([answer, late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
