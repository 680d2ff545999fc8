import type { Failure } from '../call/outcome.js';
import type { Metadata } from '../grpc/metadata.js';
import type { StatusError } from '../grpc/status.js';
import type { HeaderList } from '../port/headers.js';

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
export type Scope = <T>(hook: () => T) => T;

/** A response that is watched, and whose it is. */
export interface WatchedResponse {
  /** The same for all responses of one call, and for no other's. */
  readonly call: object;
  /** `/service/method`. */
  readonly method: string;
  /** The target that the destination was dialled by. */
  readonly target: string;
  readonly role: string;
  readonly inScope: Scope;
}

/** What this package itself sees of one response: all of it, as it came. Its methods do not throw. */
export interface ResponseWatcher {
  onHeaders(headers: HeaderList): void;
  /** Whole messages in the end, but cut anywhere; lent. */
  onData(chunk: Buffer): void;
  /** As the end of a `ClientCall`; without trailers the backend did not come to its end. */
  onEnd(failure: Failure | undefined, trailers: HeaderList | undefined): void;
}

/** Stands in the place of a destination's observer, has that one behind it, and watches every call's response. */
export abstract class ResponseWatch implements ResponseObserver {
  /** What the destination had before. */
  readonly observer: ResponseObserver | undefined;

  constructor(observer: ResponseObserver | undefined) {
    this.observer = observer;
  }

  /** Never there: what is told is told to the watcher. */
  onStatus?(error: StatusError | undefined, trailers: Metadata): void;

  /** A response begins; undefined: it is nothing to be watched. */
  abstract watch(response: WatchedResponse): ResponseWatcher | undefined;
}
