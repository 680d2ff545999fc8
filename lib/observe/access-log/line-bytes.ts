/**
 * The most that a line has. So much a pipe takes whole or not at all, whoever else writes to it: "Write requests of
 * {PIPE_BUF} bytes or less shall not be interleaved with data from other processes" (POSIX, write; 4096 on Linux).
 */
export const MAX_LINE_BYTES = 4096;

/**
 * Memory that lines are written to, one behind the other, in ASCII: a character is a byte. A string would be a tree of its
 * parts, which lives until it is written: that, and flattening it, took more than twice as long.
 */
export class LineBytes {
  /** Where the line begins that is being written, and where it goes on. */
  start = 0;
  at = 0;
  /** Chunks of it that somebody may still write from. */
  chunks = 0;
  readonly #bytes: Buffer;

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafeSlow(size);
  }

  /** How much there is behind the lines that are done. */
  get room(): number {
    return this.#bytes.length - this.start;
  }

  /** What is written between two places. */
  between(from: number, to: number): Buffer {
    return this.#bytes.subarray(from, to);
  }

  /** What is the same in many lines. @throws RangeError if there is no room for it */
  put(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  byte(byte: number): void {
    this.#bytes[this.at++] = byte;
  }

  /** As much of it as there is room for. */
  text(text: string): void {
    if (text.length > SHORT_LENGTH) {
      this.at += this.#bytes.write(text, this.at, 'latin1');
      return;
    }
    for (let i = 0; i < text.length; i++) this.#bytes[this.at + i] = text.charCodeAt(i);
    this.at += text.length;
  }

  /** A count, in decimal digits. */
  count(count: number): void {
    if (!(count >= 0 && count <= Number.MAX_SAFE_INTEGER)) {
      this.text(String(count));
      return;
    }
    let digits = 1;
    for (let bound = 10; count >= bound; bound *= 10) digits++;
    let rest = count;
    for (let at = this.at + digits - 1; at >= this.at; at--) {
      const tens = Math.floor(rest / 10);
      this.#bytes[at] = DIGIT_ZERO + (rest - 10 * tens);
      rest = tens;
    }
    this.at += digits;
  }

  /** Milliseconds with three digits behind the point. */
  milliseconds(time: number): void {
    const microseconds = Math.max(0, Math.round(time * 1000));
    const whole = Math.floor(microseconds / 1000);
    this.count(whole);
    this.byte(POINT);
    this.threeDigits(microseconds - 1000 * whole);
  }

  /** @param number from 0 to 999 */
  threeDigits(number: number): void {
    const hundreds = Math.floor(number / 100);
    const tens = Math.floor(number / 10);
    this.#bytes[this.at] = DIGIT_ZERO + hundreds;
    this.#bytes[this.at + 1] = DIGIT_ZERO + tens - 10 * hundreds;
    this.#bytes[this.at + 2] = DIGIT_ZERO + number - 10 * tens;
    this.at += 3;
  }
}

/** Up to here a loop takes less time than a call of Node's does, most of all on Node 20. */
const SHORT_LENGTH = 40;

const DIGIT_ZERO = 0x30;
const POINT = 0x2e;

/** For {@link LineBytes.put}. Not of Node's pool: what is kept would keep all that is beside it there. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
