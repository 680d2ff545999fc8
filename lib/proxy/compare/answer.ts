import type { Code } from '../../grpc/status.js';
import { type HeaderList, headerValue } from '../../port/headers.js';
import { COMPARE_LIMITS } from '../defaults.js';
import { Allowance, type ComparingMemory } from './allowance.js';
import { type Fields, fieldsOf } from './fields.js';
import type { MessageSummary } from './message-summary.js';
import type { CompareSettings } from './settings.js';
import { SummaryReader } from './summary-reader.js';

/** How an answer ended. */
export type AnswerEnd =
  /** By a status of the backend's own. */
  | { readonly name: 'whole'; readonly code: Code; readonly trailers: Fields }
  /** Otherwise; nobody knows what it would have been. */
  | { readonly name: 'cut'; readonly reason: string };

export const MEMORY_IS_FULL = 'all comparisons together hold as much as they may';

/** Fewer messages that are gone are not worth to move the others. */
const MIN_GONE = 64;

/** One destination's answer, and of its messages those that still are to be compared. */
export class Answer {
  /** The named response headers; undefined before, and for a Trailers-Only response. */
  headers: Fields | undefined;
  /** The value of `grpc-encoding`. */
  encoding: string | undefined;
  end: AnswerEnd | undefined;
  readonly #settings: CompareSettings;
  readonly #allowance: Allowance;
  readonly #onChange: () => void;
  readonly #reader: SummaryReader;
  /** The index of the first message that waits. */
  #first = 0;
  /** Those before `#gone` wait no more. */
  readonly #waiting: (MessageSummary | undefined)[] = [];
  #gone = 0;
  #closed = false;

  /** @param onChange something has come; also from within {@link push} */
  constructor(settings: CompareSettings, memory: ComparingMemory, onChange: () => void) {
    this.#settings = settings;
    this.#allowance = new Allowance(memory);
    this.#onChange = onChange;
    this.#reader = new SummaryReader(
      this.#allowance,
      (compressed) => this.#limitOf(compressed),
      (summary) => this.#add(summary),
    );
  }

  /** How many messages have come. */
  get count(): number {
    return this.#first + this.#waiting.length - this.#gone;
  }

  /** The message with this index, unless it has not come, or waits no more. */
  message(index: number): MessageSummary | undefined {
    return index < this.#first ? undefined : this.#waiting[this.#gone + index - this.#first];
  }

  onHeaders(headers: HeaderList): void {
    if (this.#closed) return;
    this.headers = fieldsOf(headers, this.#settings.metadata);
    this.encoding = headerValue(headers, 'grpc-encoding');
    this.#onChange();
  }

  push(chunk: Buffer): void {
    if (!this.#closed) this.#reader.push(chunk);
  }

  onEnd(end: AnswerEnd): void {
    if (this.end !== undefined) return;
    this.#reader.stop();
    this.end = end;
    this.#onChange();
  }

  /** Makes a message last, which may have come just now and be lent; undefined if nothing more may be held. */
  keep(index: number): MessageSummary | undefined {
    const summary = this.message(index);
    return summary?.keep(this.#allowance, this.#limitOf(summary.compressed)) === true ? summary : undefined;
  }

  /** The messages before this index have been compared with all that they are to be. */
  releaseTo(index: number): void {
    const waiting = this.#waiting;
    while (this.#first < index && this.#gone < waiting.length) {
      waiting[this.#gone]!.release(this.#allowance);
      waiting[this.#gone] = undefined;
      this.#gone++;
      this.#first++;
    }
    if (this.#gone >= MIN_GONE && 2 * this.#gone >= waiting.length) {
      waiting.splice(0, this.#gone);
      this.#gone = 0;
    }
  }

  /** Nobody compares its messages any more; how it ends may still matter. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.stop();
    this.releaseTo(this.count);
  }

  #add(summary: MessageSummary): void {
    this.#waiting.push(summary);
    const index = this.count - 1;
    this.#onChange();
    // What has not been compared at once waits.
    if (this.#first <= index && this.keep(index) === undefined)
      this.onEnd({ name: 'cut', reason: MEMORY_IS_FULL });
  }

  #limitOf(compressed: boolean): number {
    const isNeededWhole = compressed || this.#settings.decode !== undefined;
    return isNeededWhole ? COMPARE_LIMITS.wholeBytes : COMPARE_LIMITS.heldBytes;
  }
}
