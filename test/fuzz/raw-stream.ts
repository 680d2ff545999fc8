import { fieldValue } from '../support/http2-client.js';

/** What has come on one stream of a {@link RawConnection}. */
export class RawStream {
  readonly lists: string[][] = [];
  received = 0;
  /** The other side has half-closed it. */
  ended = false;
  /** The code of the other side's RST_STREAM. */
  resetCode: number | undefined;
  /** This side has ended it, or reset it: nothing more is sent. */
  isOver = false;
  /** What this side may still send. */
  window: number;
  readonly #chunks: Buffer[] = [];

  constructor(
    readonly id: number,
    window: number,
  ) {
    this.window = window;
  }

  /** Nothing more will come. */
  get isDone(): boolean {
    return this.ended || this.resetCode !== undefined;
  }

  add(chunk: Buffer): void {
    this.received += chunk.length;
    this.#chunks.push(chunk);
  }

  get data(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** A field of the first list: of the request, or of the response headers. */
  field(name: string): string | undefined {
    return fieldValue(this.lists[0], name);
  }

  /** The status of a gRPC response that is complete. */
  get status(): string | undefined {
    return this.ended ? fieldValue(this.lists.at(-1), 'grpc-status') : undefined;
  }

  /** For messages of errors. */
  describe(): string {
    const { id, lists, received, ended, resetCode } = this;
    return JSON.stringify({ id, lists, received, ended, resetCode });
  }
}
