import type { StreamAcceptor } from '../../../lib/port/connection.js';
import type { HeaderList } from '../../../lib/port/headers.js';
import type { IncomingStream, StreamReceiver } from '../../../lib/port/stream.js';

/** Answers like an echo, now and then differently, and notes if the port's order of calls is broken. */
class Judge implements StreamReceiver {
  private state: 'open' | 'half-closed' | 'over' = 'open';

  constructor(
    private readonly stream: IncomingStream,
    endStream: boolean,
    private readonly violations: string[],
  ) {
    if (endStream) this.state = 'half-closed';
  }

  onHeaders(_headers: HeaderList, endStream: boolean): void {
    if (this.state !== 'open' || !endStream) this.violate(`trailers while ${this.state}`);
    this.onEnd();
  }
  onData(chunk: Buffer): void {
    if (this.state !== 'open') this.violate(`data while ${this.state}`);
    if (chunk.length === 0) this.violate('empty data');
    if (chunk[0] === 7) {
      this.finish();
      this.stream.reset(2);
    } else if (!this.stream.sendData(chunk, false) || chunk[0] === 9) {
      this.stream.pause();
      if (chunk[0] === 9) setImmediate(() => this.stream.resume());
    } else if (chunk[0] === 11) {
      // For good: what is held goes with the connection at the latest.
      this.stream.pause();
    }
  }
  onEnd(): void {
    if (this.state !== 'open') this.violate(`end while ${this.state}`);
    this.state = 'half-closed';
    this.answer();
  }
  onReset(): void {
    if (this.state === 'over') this.violate('reset twice, or after a reset');
    this.finish();
  }
  onDrain(): void {
    this.stream.resume();
  }

  answer(): void {
    this.stream.sendHeaders(['grpc-status', '0'], true);
  }

  private finish(): void {
    this.state = 'over';
  }

  /** What a receiver throws ends its stream, and no test. */
  private violate(what: string): never {
    this.violations.push(what);
    throw new Error(what);
  }
}

export class JudgingAcceptor implements StreamAcceptor {
  /** How the port's order of calls has been broken. */
  readonly violations: string[] = [];

  onStream(stream: IncomingStream, headers: HeaderList, endStream: boolean): void {
    if (headers[0] !== ':method') this.violations.push(`not a request: ${headers}`);
    const judge = new Judge(stream, endStream, this.violations);
    stream.receiver = judge;
    stream.sendHeaders([':status', '200'], false);
    stream.resume();
    if (endStream) judge.answer();
  }
}
