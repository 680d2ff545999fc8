import type { BackendJson } from './backends-json.js';
import type { CallJson } from './calls-json.js';
import type { StatisticsSnapshot } from './statistics/snapshot.js';

/**
 * Where the admin endpoint has its answers from: one process ({@link processSource}), or one that asks several. What it
 * lacks is not found, or, where it is to change something, not possible (409). What it throws is 500.
 */
export interface AdminSource {
  /** Whether calls are taken: listening, and not draining. */
  ready(): MaybePromise<Readiness>;
  /** @param accept the request's `Accept` */
  metrics?(accept: string | undefined): MaybePromise<MetricsText>;
  backends?(): MaybePromise<readonly BackendJson[]>;
  /** The oldest first. */
  calls?(): MaybePromise<readonly CallJson[]>;
  /** The effective config, without secrets, as JSON. */
  config?(): MaybePromise<unknown>;
  /** For the live page. */
  statistics?(): MaybePromise<StatisticsSnapshot>;
  /** Begins to drain. Nobody waits for its promise, which may be that of the end. */
  drain?(): MaybePromise<unknown>;
  /** Reads the config again; resolves with what is wrong with it, if anything. */
  reload?(): MaybePromise<ReloadResult>;
  /** Begins to replace the workers. Nobody waits for its promise. */
  restart?(): MaybePromise<unknown>;
}

export type MaybePromise<T> = T | Promise<T>;

/** Whether calls are taken, or why not, in a word or a few. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: string };

export interface MetricsText {
  readonly contentType: string;
  readonly body: string | Buffer;
}

/** What came of a reload. */
export interface ReloadResult {
  /** What is wrong with the config: one or more, each as JSON shows it, and the old one stays; none: the new one holds. */
  readonly mistakes: readonly unknown[];
}
