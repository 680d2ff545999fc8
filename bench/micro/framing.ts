import { StreamDecoder } from '@grpc/grpc-js/build/src/stream-decoder.js';
import { bench, do_not_optimize, group, summary } from 'mitata';
import { MessageParser, PREFIX_LENGTH } from '../../lib/grpc/framing.js';
import { MessageScanner } from '../../lib/grpc/scanner.js';
import { stream } from './chunks.js';

const NO_LIMIT = -1;

/** What one writes first: join all there is, then cut off whole messages. */
class NaiveParser {
  readonly #onMessage: (payload: Buffer) => void;
  #held: Buffer = Buffer.alloc(0);

  constructor(onMessage: (payload: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= PREFIX_LENGTH) {
      const end = PREFIX_LENGTH + this.#held.readUInt32BE(1);
      if (this.#held.length < end) return;
      this.#onMessage(this.#held.subarray(PREFIX_LENGTH, end));
      this.#held = this.#held.subarray(end);
    }
  }
}

/** The names of the contestants are looked up in the results. */
export const SCANNER = 'MessageScanner';
export const PARSER = 'MessageParser';
export const GRPC_JS = "grpc-js's StreamDecoder";
const NAIVE = 'naive concatenation';

export const LADDER = [
  { messageBytes: 100, chunkBytes: 1024 },
  { messageBytes: 100, chunkBytes: 16 * 1024 },
  { messageBytes: 100, chunkBytes: 64 * 1024 },
  { messageBytes: 4 * 1024, chunkBytes: 16 * 1024 },
  { messageBytes: 64 * 1024, chunkBytes: 16 * 1024 },
  { messageBytes: 1024 * 1024, chunkBytes: 1024 },
  { messageBytes: 1024 * 1024, chunkBytes: 16 * 1024 },
];

export function framingTitle({ messageBytes, chunkBytes }: (typeof LADDER)[number]): string {
  return `framing: messages of ${messageBytes} bytes in chunks of ${chunkBytes}`;
}

/** One iteration is a stream of about a mebibyte. */
export function registerFraming(): void {
  for (const step of LADDER) {
    const { chunks } = stream(step.messageBytes, step.chunkBytes);
    group(framingTitle(step), () => {
      summary(() => {
        bench(SCANNER, () => {
          const scanner = new MessageScanner();
          for (const chunk of chunks) scanner.push(chunk);
          do_not_optimize(scanner.messages);
        });
        bench(PARSER, () => {
          const parser = new MessageParser(do_not_optimize, Number.POSITIVE_INFINITY);
          for (const chunk of chunks) parser.push(chunk);
        });
        bench(GRPC_JS, () => {
          const decoder = new StreamDecoder(NO_LIMIT);
          for (const chunk of chunks) do_not_optimize(decoder.write(chunk));
        }).baseline();
        bench(NAIVE, () => {
          const parser = new NaiveParser(do_not_optimize);
          for (const chunk of chunks) parser.push(chunk);
        });
      });
    });
  }
}
