import { tellOnlooker } from '../call/hooks.js';
import type { CallOptions } from '../client/call-options.js';
import { MessageParser } from '../grpc/framing.js';
import { Metadata } from '../grpc/metadata.js';
import type { StatusError } from '../grpc/status.js';
import type { HeaderList } from '../port/headers.js';
import { keep } from '../port/lent-memory.js';

/**
 * Sees what a destination answers, to compare answers or vote on them. It is called as things come; payloads are
 * slices of what was received, not to be written to. What it throws is emitted as a process warning, and ends
 * its calls for this response: an onlooker must not break what it looks at.
 */
export interface ResponseObserver {
  /** The metadata of the response headers; not called for a Trailers-Only response. */
  onHeaders?(metadata: Metadata): void;
  /** One message; `compressed`: by the encoding that the header `grpc-encoding` names. */
  onMessage?(payload: Buffer, compressed: boolean): void;
  /** The end, always: the status, undefined for OK, and the metadata of the trailers. */
  onStatus?(error: StatusError | undefined, trailers: Metadata): void;
}

/** Runs a hook in the async context of its call. */
type Scope = <T>(hook: () => T) => T;

/** Feeds the onlookers at one response: the destination's observer, and the hooks of the call options. */
export class Observation {
  #observer: ResponseObserver | undefined;
  readonly #onHeaders: CallOptions['onHeaders'];
  readonly #onTrailers: CallOptions['onTrailers'];
  readonly #onFinish: CallOptions['onFinish'];
  readonly #inScope: Scope;
  readonly #parser: MessageParser | undefined;

  constructor(observer: ResponseObserver | undefined, hooks: CallOptions, inScope: Scope) {
    this.#observer = observer;
    this.#onHeaders = hooks.onHeaders;
    this.#onTrailers = hooks.onTrailers;
    this.#onFinish = hooks.onFinish;
    this.#inScope = inScope;
    if (observer !== undefined && observer.onMessage !== undefined) {
      // The response's own limit has been applied before.
      this.#parser = new MessageParser(
        (payload, compressed) => this.#tell((observer) => observer.onMessage?.(payload, compressed)),
        Number.POSITIVE_INFINITY,
      );
    }
  }

  headers(headers: HeaderList): void {
    const onHeaders = this.#onHeaders;
    if (onHeaders !== undefined) this.#call(() => onHeaders(Metadata.fromHeaders(headers)));
    this.#tell((observer) => observer.onHeaders?.(Metadata.fromHeaders(headers)));
  }

  data(chunk: Buffer): void {
    if (this.#observer !== undefined) this.#parser?.push(keep(chunk));
  }

  status(error: StatusError | undefined, trailers: HeaderList | undefined): void {
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
