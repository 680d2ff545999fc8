import type { Stream } from '../port/stream.js';
import type { DestinationStream } from './destination-stream.js';
import type { Quorum } from './quorum.js';
import type { Shadows } from './shadows.js';

/**
 * Pours a request into its destinations: every chunk to each of them, as it came, and last to the shadows. The client is
 * held back while any of them is full, or a quorum of them says so; never for a shadow.
 */
export class RequestFanout {
  /** All of the request has been given to them. */
  isComplete = false;
  readonly #client: Pick<Stream, 'pause' | 'resume'>;
  readonly #destinations: readonly DestinationStream[];
  readonly #quorum: Quorum | undefined;
  readonly #shadows: Shadows | undefined;
  #full = 0;

  constructor(
    client: Pick<Stream, 'pause' | 'resume'>,
    destinations: readonly DestinationStream[],
    quorum: Quorum | undefined,
    shadows: Shadows | undefined,
  ) {
    this.#client = client;
    this.#destinations = destinations;
    this.#quorum = quorum;
    this.#shadows = shadows;
  }

  /** Whether any destination that is waited for has no room. */
  get full(): boolean {
    return this.#full > 0 || this.#quorum?.holdsClientBack === true;
  }

  /** Sends what comes before the client's first byte. */
  begin(): void {
    for (const destination of this.#destinations) {
      if (!destination.ended) this.#note(destination, destination.begin());
    }
    this.#shadows?.begin();
  }

  push(chunk: Buffer): void {
    for (const destination of this.#destinations) {
      if (!destination.ended) this.#note(destination, destination.send(chunk));
    }
    this.#shadows?.push(chunk);
    if (this.full) this.#client.pause();
    this.#judgeLag();
  }

  /** Half-closes all destinations. */
  end(): void {
    this.isComplete = true;
    for (const destination of this.#destinations) {
      if (!destination.ended) destination.end();
    }
    this.#shadows?.finishRequest();
  }

  /** The primary answers: who has all of the request tells of no more room, but need not be waited for any longer. */
  onAnswered(): void {
    if (!this.isComplete) return;
    this.#quorum?.judge(true);
    this.#shadows?.judgeLag();
  }

  /** The destination has room again, or takes no more: it holds nobody back. */
  drained(destination: DestinationStream): void {
    if (destination.full) {
      destination.full = false;
      this.#full--;
    } else if (this.#quorum === undefined) {
      return;
    }
    if (!this.full) this.#client.resume();
    this.#judgeLag();
  }

  #note(destination: DestinationStream, hasRoom: boolean): void {
    if (hasRoom || destination.full || destination.ended || !destination.role.holdsClientBack) return;
    destination.full = true;
    this.#full++;
  }

  /** Who is not waited for is to keep up with the others. */
  #judgeLag(): void {
    this.#quorum?.judge(!this.full);
    if (this.#shadows !== undefined && !this.full) this.#shadows.judgeLag();
  }
}
