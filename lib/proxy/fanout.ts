import type { Stream } from '../port/stream.js';
import type { DestinationStream } from './destination-stream.js';

/**
 * Pours a request into its destinations: every chunk to each of them, as it came. The client is held back while
 * any of them is full.
 */
export class RequestFanout {
  readonly #client: Pick<Stream, 'pause' | 'resume'>;
  readonly #destinations: readonly DestinationStream[];
  #full = 0;

  constructor(client: Pick<Stream, 'pause' | 'resume'>, destinations: readonly DestinationStream[]) {
    this.#client = client;
    this.#destinations = destinations;
  }

  /** Whether any destination has no room. */
  get full(): boolean {
    return this.#full > 0;
  }

  /** Sends what comes before the client's first byte. */
  begin(): void {
    for (const destination of this.#destinations) {
      if (!destination.ended) this.#note(destination, destination.begin());
    }
  }

  push(chunk: Buffer): void {
    for (const destination of this.#destinations) {
      if (!destination.ended) this.#note(destination, destination.send(chunk));
    }
    if (this.#full > 0) this.#client.pause();
  }

  /** Half-closes all destinations. */
  end(): void {
    for (const destination of this.#destinations) {
      if (!destination.ended) destination.end();
    }
  }

  /** The destination has room again, or takes no more: it holds nobody back. */
  drained(destination: DestinationStream): void {
    if (!destination.full) return;
    destination.full = false;
    this.#full--;
    if (this.#full === 0) this.#client.resume();
  }

  #note(destination: DestinationStream, hasRoom: boolean): void {
    if (hasRoom || destination.full || destination.ended || !destination.role.holdsClientBack) return;
    destination.full = true;
    this.#full++;
  }
}
