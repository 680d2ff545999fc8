import { now } from '../call/clock.js';
import { tellOnlooker } from '../call/hooks.js';
import type { DestinationWatcher } from '../call/observer.js';
import type { Failure } from '../call/outcome.js';
import { PREFIX_LENGTH } from '../grpc/framing.js';
import type { Metadata } from '../grpc/metadata.js';
import { MessageScanner } from '../grpc/scanner.js';
import type { RequestContext } from './outgoing-request.js';

/** Tells an onlooker of the attempts of a `ClientCall`, one after the other. */
export class AttemptWatch {
  readonly #watcher: DestinationWatcher;
  /** Of the request: the response's own has the call. */
  readonly #scanner = new MessageScanner();
  #number = 0;
  /** Of the one that runs; undefined while none does. */
  #startedAt: number | undefined;
  #hasStream = false;
  #requestBytes = 0;
  #responseBytes = 0;

  constructor(watcher: DestinationWatcher) {
    this.#watcher = watcher;
  }

  /** A connection is looked for, if that is not so already. */
  begin(): void {
    if (this.#startedAt !== undefined) return;
    this.#startedAt = now();
    this.#hasStream = false;
    const number = ++this.#number;
    tellOnlooker(() => this.#watcher.onAttempt?.(number));
  }

  /** It has a stream: what was sent before is sent again on it. */
  onStream(): void {
    this.begin();
    this.#hasStream = true;
  }

  /** What its request carries in place of the metadata that it was given; undefined: that. */
  requestMetadata(context: RequestContext): Metadata | undefined {
    if (this.#watcher.editRequestMetadata === undefined) return undefined;
    const metadata = context.metadata.clone();
    tellOnlooker(() => this.#watcher.editRequestMetadata?.(metadata));
    return metadata;
  }

  onRequestData(chunk: Buffer): void {
    this.#requestBytes += chunk.length;
    this.#scanner.push(chunk);
  }

  onResponseData(chunk: Buffer): void {
    this.#responseBytes += chunk.length;
  }

  /** @param messagesReceived complete ones of the response */
  end(failure: Failure | undefined, messagesReceived: number): void {
    if (this.#startedAt === undefined) return;
    const attempt = {
      number: this.#number,
      failure,
      durationMilliseconds: now() - this.#startedAt,
      bytesSent: this.#hasStream ? payloadBytes(this.#requestBytes, this.#scanner.messages) : 0,
      bytesReceived: payloadBytes(this.#responseBytes, messagesReceived),
    };
    this.#startedAt = undefined;
    tellOnlooker(() => this.#watcher.onAttemptEnd?.(attempt));
  }
}

/** Without the prefixes of complete messages. */
function payloadBytes(bytes: number, messages: number): number {
  return Math.max(0, bytes - PREFIX_LENGTH * messages);
}
