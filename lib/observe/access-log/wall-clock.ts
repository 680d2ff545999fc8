import { now } from '../../call/clock.js';
import { bytesOf, type LineBytes } from './line-bytes.js';

/** For how long it is believed that nobody has set the clock. */
const ASK_MILLISECONDS = 100;

/**
 * What the wall clock says at times of the clock of calls, which is never set, and so goes wrong over the months. It is
 * asked now and then: asking takes a third of the time that a line does.
 */
export class WallClock {
  #offset = Number.NaN;
  #askedAt = Number.NaN;

  /** @param time by the clock of calls: now, or a moment ago */
  of(time: number): number {
    if (!(Math.abs(time - this.#askedAt) < ASK_MILLISECONDS)) this.#ask(time);
    return time + this.#offset;
  }

  #ask(time: number): void {
    this.#askedAt = time;
    // In this order: whatever comes between the two, what is told is not in the future.
    const wallTime = Date.now();
    const offset = wallTime - now();
    // It leaves out what is less than a millisecond, so that of offsets which differ by less the largest is the right one.
    if (!(offset <= this.#offset && offset > this.#offset - 1)) this.#offset = offset;
  }
}

/** The last millisecond that RFC 3339, whose years have four digits, can tell. */
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Writes times in RFC 3339, in UTC with milliseconds; quickly if they are of the same second as the last one. */
export class TimeText {
  readonly #before: string;
  #second = Number.NaN;
  /** Up to the point behind the seconds. */
  #bytes = bytesOf('');

  /** @param before what to write before each */
  constructor(before = '') {
    this.#before = before;
  }

  /** @param time as milliseconds since the epoch; what RFC 3339 cannot tell is cut to what it can */
  write(time: number, line: LineBytes): void {
    const whole = Math.floor(Math.min(Math.max(time, 0), LAST));
    const second = Math.floor(whole / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const seconds = new Date(second * 1000).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS.'.length);
      this.#bytes = bytesOf(this.#before + seconds);
    }
    line.put(this.#bytes);
    line.threeDigits(whole - second * 1000);
    line.byte(LETTER_Z);
  }
}

const LETTER_Z = 0x5a;
