import { warn } from '../call/hooks.js';
import type { Failure } from '../call/outcome.js';
import { StatusError } from '../grpc/status.js';
import type { ServerCall } from '../server/server-call.js';
import type { Straggler } from '../server/straggler.js';
import { holdCall, releaseCall } from './shadow-bytes.js';

/** A stream that may go on after the end of its call. */
export interface OutlivingStream {
  readonly hasEnded: boolean;
  /** Its call has ended, and it has all of the request, or will have; it ends within its grace. */
  outlive(): void;
  /** Ends it with RST_STREAM(CANCEL), if it has not ended. */
  cancel(reason: Failure): void;
}

/** The streams of a call that go on after its end. */
export class Afterlife implements Straggler {
  previous: Straggler | undefined;
  next: Straggler | undefined;
  readonly #call: ServerCall;
  readonly #streams: readonly OutlivingStream[];
  #running: number;
  /** For each that goes on. */
  #heldBytes = 0;
  /** The server waits for it. */
  #isAwaited = false;

  constructor(call: ServerCall, streams: readonly OutlivingStream[]) {
    this.#call = call;
    this.#streams = streams.filter(({ hasEnded }) => !hasEnded);
    this.#running = this.#streams.length;
  }

  /** To be called once, as soon as {@link onEnded} can be. */
  begin(): void {
    if (this.#running === 0) return;
    const isOver = this.#call.owner.awaitStraggler(this);
    if (isOver !== undefined) {
      this.#cancel(isOver);
      return;
    }
    this.#isAwaited = true;
    for (let i = 0; i < this.#running; i++) this.#heldBytes = holdCall(this.#call.context.headers);
    for (const stream of this.#streams) {
      try {
        if (!stream.hasEnded) stream.outlive();
      } catch (thrown) {
        warn(thrown);
        stream.cancel({ error: StatusError.from(thrown), reason: 'director' });
      }
    }
  }

  /** One of them has ended. */
  onEnded(): void {
    this.#running--;
    releaseCall(this.#heldBytes);
    if (this.#running > 0 || !this.#isAwaited) return;
    this.#isAwaited = false;
    this.#call.owner.onStragglerEnded(this);
  }

  /** The server ends. */
  end(failure: Failure): void {
    this.#isAwaited = false;
    this.#cancel(failure);
  }

  #cancel(reason: Failure): void {
    for (const stream of this.#streams) stream.cancel(reason);
  }
}
