import { now } from '../call/clock.js';
import { type Scoped, seeTo, tellOnlooker, warn } from '../call/hooks.js';
import type { AttemptOutcome, DestinationWatcher } from '../call/observer.js';
import type { Failure } from '../call/outcome.js';
import { PREFIX_LENGTH } from '../grpc/framing.js';
import type { Metadata } from '../grpc/metadata.js';
import { MessageScanner } from '../grpc/scanner.js';
import type { RequestContext } from './outgoing-request.js';

/** Tells an onlooker of the attempts of a `ClientCall`, one after the other: it is what is told of each. */
export class AttemptWatch implements AttemptOutcome {
  number = 0;
  failure: Failure | undefined;
  durationMilliseconds = 0;
  bytesSent = 0;
  bytesReceived = 0;
  readonly #watcher: DestinationWatcher;
  readonly #call: Scoped;
  /** Of the request, once a chunk of it was not a whole message; the response's has the call. */
  #scanner: MessageScanner | undefined;
  /** Chunks before that. */
  #messages = 0;
  /** Of the one that runs; undefined while none does. */
  #startedAt: number | undefined;
  #hasStream = false;
  #requestBytes = 0;
  #responseBytes = 0;

  /** @param call in whose async context the watcher is told: what makes an attempt possible may be another call */
  constructor(watcher: DestinationWatcher, call: Scoped) {
    this.#watcher = watcher;
    this.#call = call;
  }

  /** A connection is looked for, if that is not so already. */
  begin(): void {
    if (this.#startedAt !== undefined) return;
    this.#startedAt = now();
    this.#hasStream = false;
    this.number++;
    try {
      seeTo(this.#call.inScope(() => this.#watcher.onAttempt?.(this.number)));
    } catch (error) {
      warn(error);
    }
  }

  /** It has a stream: what was sent before is sent again on it. */
  onStream(): void {
    this.#hasStream = true;
  }

  /** What its request carries in place of the metadata that it was given; undefined: that. */
  requestMetadata(context: RequestContext): Metadata | undefined {
    let metadata: Metadata | undefined;
    tellOnlooker(() => {
      if (this.#watcher.editRequestMetadata === undefined) return;
      const edited = context.metadata.clone();
      metadata = edited;
      return this.#call.inScope(() => this.#watcher.editRequestMetadata?.(edited));
    });
    return metadata;
  }

  onRequestData(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#requestBytes += chunk.length;
    if (this.#scanner === undefined && isOneMessage(chunk)) this.#messages++;
    else this.#scan(chunk);
  }

  onResponseData(chunk: Buffer): void {
    this.#responseBytes += chunk.length;
  }

  /** @param messagesReceived complete ones of the response */
  end(failure: Failure | undefined, messagesReceived: number): void {
    if (this.#startedAt === undefined) return;
    this.failure = failure;
    this.durationMilliseconds = now() - this.#startedAt;
    this.bytesSent = this.#hasStream ? payloadBytes(this.#requestBytes, this.#requestMessages) : 0;
    this.bytesReceived = payloadBytes(this.#responseBytes, messagesReceived);
    this.#startedAt = undefined;
    try {
      seeTo(this.#call.inScope(() => this.#watcher.onAttemptEnd?.(this)));
    } catch (error) {
      warn(error);
    }
  }

  get #requestMessages(): number {
    return this.#messages + (this.#scanner?.messages ?? 0);
  }

  #scan(chunk: Buffer): void {
    this.#scanner ??= new MessageScanner();
    this.#scanner.push(chunk);
  }
}

/** As small calls are sent. */
function isOneMessage(chunk: Buffer): boolean {
  return chunk.length >= PREFIX_LENGTH && chunk.readUInt32BE(1) === chunk.length - PREFIX_LENGTH;
}

/** Without the prefixes of complete messages. */
function payloadBytes(bytes: number, messages: number): number {
  return Math.max(0, bytes - PREFIX_LENGTH * messages);
}
