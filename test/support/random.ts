/** Random numbers that a seed tells, so that what a fuzzer has found can be done once more. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 bits: mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return (x ^ (x >>> 14)) >>> 0;
  }

  /** An integer from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + (this.next() % (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.next() % choices.length]!;
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length + 4);
    for (let at = 0; at < length; at += 4) bytes.writeUInt32LE(this.next(), at);
    return bytes.subarray(0, length);
  }

  /** Another source, which goes on by itself. */
  fork(): Random {
    return new Random(this.next());
  }
}
