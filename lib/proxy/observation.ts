import { tellOnlooker } from '../call/hooks.js';
import type { Failure } from '../call/outcome.js';
import type { CallOptions } from '../client/call-options.js';
import { MessageParser } from '../grpc/framing.js';
import { Metadata } from '../grpc/metadata.js';
import type { HeaderList } from '../port/headers.js';
import { keep } from '../port/lent-memory.js';
import {
  type ResponseObserver,
  ResponseWatch,
  type ResponseWatcher,
  type Scope,
  type WatchedResponse,
} from './response-observer.js';

/**
 * Feeds the onlookers at one response: this package's own watchers, the destination's observer, and the hooks of the
 * call options. The watchers come first: the others are the application's, which could change what they are given.
 */
export class Observation {
  #observer: ResponseObserver | undefined;
  readonly #watchers: ResponseWatcher[] = [];
  readonly #onHeaders: CallOptions['onHeaders'];
  readonly #onTrailers: CallOptions['onTrailers'];
  readonly #onFinish: CallOptions['onFinish'];
  readonly #inScope: Scope;
  readonly #parser: MessageParser | undefined;

  constructor(observer: ResponseObserver | undefined, hooks: CallOptions, response: WatchedResponse) {
    let behind = observer;
    while (behind instanceof ResponseWatch) behind = behind.observer;
    this.#observer = behind;
    this.#onHeaders = hooks.onHeaders;
    this.#onTrailers = hooks.onTrailers;
    this.#onFinish = hooks.onFinish;
    this.#inScope = response.inScope;
    if (behind !== undefined && behind.onMessage !== undefined) {
      // The response's own limit has been applied before.
      this.#parser = new MessageParser(
        (payload, compressed) => this.#tell((observer) => observer.onMessage?.(payload, compressed)),
        Number.POSITIVE_INFINITY,
      );
    }
    // Last: what is the application's may throw when it is read, and a watcher waits for the end of what it has begun.
    for (let one = observer; one instanceof ResponseWatch; one = one.observer) {
      const watcher = one.watch(response);
      if (watcher !== undefined) this.#watchers.push(watcher);
    }
  }

  headers(headers: HeaderList): void {
    for (const watcher of this.#watchers) watcher.onHeaders(headers);
    const onHeaders = this.#onHeaders;
    if (onHeaders !== undefined) this.#call(() => onHeaders(Metadata.fromHeaders(headers)));
    this.#tell((observer) => observer.onHeaders?.(Metadata.fromHeaders(headers)));
  }

  data(chunk: Buffer): void {
    for (const watcher of this.#watchers) watcher.onData(chunk);
    if (this.#observer !== undefined) this.#parser?.push(keep(chunk));
  }

  status(failure: Failure | undefined, trailers: HeaderList | undefined): void {
    for (const watcher of this.#watchers) watcher.onEnd(failure, trailers);
    const error = failure?.error;
    const onTrailers = this.#onTrailers;
    const onFinish = this.#onFinish;
    if (onTrailers !== undefined && trailers !== undefined) {
      this.#call(() => onTrailers(Metadata.fromHeaders(trailers)));
    }
    if (onFinish !== undefined) this.#call(() => onFinish(error));
    this.#tell((observer) => observer.onStatus?.(error, Metadata.fromHeaders(trailers ?? [])));
    this.#observer = undefined;
  }

  #tell(call: (observer: ResponseObserver) => unknown): void {
    const observer = this.#observer;
    if (observer === undefined) return;
    this.#call(
      () => call(observer),
      () => {
        this.#observer = undefined;
      },
    );
  }

  #call(hook: () => unknown, onFailed?: () => void): void {
    this.#inScope(() => tellOnlooker(hook, onFailed));
  }
}
