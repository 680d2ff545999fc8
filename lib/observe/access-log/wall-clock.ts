/** The last millisecond that RFC 3339, whose years have four digits, can tell. */
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

const MILLISECONDS = Array.from({ length: 1000 }, (_, index) => String(index).padStart(3, '0'));

/** Three digits: of milliseconds, or behind a decimal point. @param number from 0 to 999 */
export function threeDigits(number: number): string {
  return MILLISECONDS[number]!;
}

/** Writes times in RFC 3339, in UTC with milliseconds; quickly if they are of the same second as the last one. */
export class TimeText {
  #second = Number.NaN;
  /** Up to the point behind the seconds. */
  #text = '';

  /** @param time as milliseconds since the epoch; what RFC 3339 cannot tell is cut to what it can */
  of(time: number): string {
    const whole = Math.floor(Math.min(Math.max(time, 0), LAST));
    const second = Math.floor(whole / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS.'.length);
    }
    return `${this.#text}${threeDigits(whole - second * 1000)}Z`;
  }
}
