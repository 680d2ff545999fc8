import { LineWriter } from '../observe/access-log/line-writer.js';
import { SINKS, STANDARD_ERROR } from '../observe/access-log/sink.js';

/** What there is to say, on standard output or standard error: who should read it may not, and then lines wait, but no call. */
export class Output {
  readonly #writer: LineWriter;

  /** @param onLost told how many more lines are lost, and why; once a second at most */
  constructor(stream: 'stdout' | 'stderr', onLost: (count: number, why: string) => void) {
    this.#writer = new LineWriter('-', onLost, stream === 'stdout' ? SINKS : STANDARD_ERROR);
    process.on('exit', () => this.#writer.flush());
  }

  /** @param line with its end */
  write(line: string): void {
    // It takes a character for a byte.
    this.#writer.add(Buffer.from(line).toString('latin1'));
  }
}
