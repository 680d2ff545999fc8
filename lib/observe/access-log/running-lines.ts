import { now } from '../../call/clock.js';
import type { CallContext } from '../../call/context.js';
import type { RunningCall } from '../../call/observer.js';

/** Lines that are made in one turn of the event loop: a fraction of a millisecond. */
const LINES_PER_TURN = 200;

/** The part of the interval by which a line may be late, so that those of many calls are found together. */
const LATENESS = 1 / 60;

/** What has running calls. */
export interface CallsOwner {
  readonly runningCalls: readonly RunningCall[];
}

/** Finds the calls that have run for another interval, again and again. Costs a call nothing that ends before. */
export class RunningLines {
  readonly #owner: CallsOwner;
  readonly #intervalMilliseconds: number;
  readonly #write: (call: RunningCall) => void;
  #lookedAt = now();
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  /** Of calls that ended while lines of others, or theirs, were still to be made. */
  #ended: Set<CallContext> | undefined;

  /** @param write makes the line of a call that is due */
  constructor(owner: CallsOwner, intervalMilliseconds: number, write: (call: RunningCall) => void) {
    this.#owner = owner;
    this.#intervalMilliseconds = intervalMilliseconds;
    this.#write = write;
    this.#lookIn(intervalMilliseconds);
  }

  /** A call has ended: it is due no more. */
  onEnded(context: CallContext): void {
    this.#ended?.add(context);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
  }

  #lookIn(milliseconds: number): void {
    const least = this.#intervalMilliseconds * LATENESS;
    this.#timer = setTimeout(() => this.#look(), Math.max(milliseconds, least)).unref();
  }

  #look(): void {
    const time = now();
    const interval = this.#intervalMilliseconds;
    const due: RunningCall[] = [];
    let next = time + interval;
    for (const call of this.#owner.runningCalls) {
      const intervals = Math.floor((time - call.startedAt) / interval);
      if (intervals > Math.max(0, Math.floor((this.#lookedAt - call.startedAt) / interval))) due.push(call);
      next = Math.min(next, call.startedAt + (intervals + 1) * interval);
    }
    this.#lookedAt = time;
    this.#ended = new Set();
    this.#writeSome(due, 0, next);
  }

  #writeSome(due: readonly RunningCall[], from: number, next: number): void {
    const to = Math.min(due.length, from + LINES_PER_TURN);
    for (let i = from; i < to; i++) {
      if (!this.#ended?.has(due[i]!.context)) this.#write(due[i]!);
    }
    if (to < due.length) {
      this.#turn = setImmediate(() => this.#writeSome(due, to, next)).unref();
      return;
    }
    this.#ended = undefined;
    this.#lookIn(next - now());
  }
}
