import net from 'node:net';
import { FrameConnection, type FrameReceiver } from '../wire/frame-connection.js';
import { REQUEST_HEADERS } from './call-driver.js';

/** Opens streams through a proxy, each up to the response headers, and leaves them so. */
export class IdleStreams implements FrameReceiver {
  readonly #connection: FrameConnection;
  readonly #count: number;
  readonly #settle: (error?: Error) => void;
  #answered = 0;

  private constructor(socket: net.Socket, count: number, settle: (error?: Error) => void) {
    this.#count = count;
    this.#settle = settle;
    this.#connection = new FrameConnection(socket, this, false);
  }

  /** Resolves when all have their response headers. */
  static open(port: number, count: number): Promise<IdleStreams> {
    return new Promise((resolve, reject) => {
      const streams = new IdleStreams(net.connect(port, '127.0.0.1'), count, (error) =>
        error === undefined ? resolve(streams) : reject(error),
      );
    });
  }

  close(): void {
    this.#connection.close();
  }

  onReady(): void {
    for (let index = 0; index < this.#count; index++) {
      this.#connection.sendHeaders(this.#connection.open(2 * index + 1), REQUEST_HEADERS);
    }
  }

  onHeaders(_streamId: number, endStream: boolean): void {
    if (endStream) this.#settle(new Error('a stream ended that should have stayed open'));
    this.#answered++;
    if (this.#answered === this.#count) this.#settle();
  }

  onData(): void {}

  onReset(): void {
    this.#settle(new Error('a stream was reset'));
  }

  onGone(): void {
    this.#settle(new Error('the connection was lost'));
  }
}
