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
  /**
   * Answers `/metrics`: `Metrics.text`, say.
   *
   * @param accept the request's `Accept`
   */
  metrics?(accept: string | undefined): MaybePromise<MetricsText>;
  /** Answers `/backends`, and for the live page: {@link backendsJson}, say. */
  backends?(): MaybePromise<readonly BackendJson[]>;
  /** Answers `/calls`, and for the live page: the running calls, the oldest first, as {@link callsJson} gives them. */
  calls?(): MaybePromise<readonly CallJson[]>;
  /** Answers `/config`: the effective config, without secrets, as plain JSON. */
  config?(): MaybePromise<unknown>;
  /** Answers for the live page: {@link CallStatistics.snapshot}, say. */
  statistics?(): MaybePromise<StatisticsSnapshot>;
  /** Begins to drain, for `POST /drain`. Nobody waits for its promise, which may be that of the end. */
  drain?(): MaybePromise<unknown>;
  /** Reads the config again, for `POST /reload`; resolves with what is wrong with it, if anything. */
  reload?(): MaybePromise<ReloadResult>;
  /** Begins to replace the workers, for `POST /restart`. Nobody waits for its promise. */
  restart?(): MaybePromise<unknown>;
}

/** At once, or later: each answer may be asked of another process. */
export type MaybePromise<T> = T | Promise<T>;

/** Whether calls are taken. */
export type Readiness =
  | {
      /** `/readyz` is 200. */
      readonly ready: true;
    }
  | {
      /** `/readyz` is 503. */
      readonly ready: false;
      /** What it says then: `draining`, say. */
      readonly reason: string;
    };

/** Metrics as a response to `GET /metrics` carries them. */
export interface MetricsText {
  /** The response's `content-type`. */
  readonly contentType: string;
  /** Text, in UTF-8 if it is given as bytes. */
  readonly body: string | Buffer;
}

/** What came of a reload. */
export interface ReloadResult {
  /** What is wrong with the config: one or more, each as JSON shows it, and the old one stays; none: the new one holds. */
  readonly mistakes: readonly unknown[];
}
