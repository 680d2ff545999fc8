import type { Http2Stream } from 'node:http2';

/** One direction of a stream, up to its end. */
export class Collected {
  constructor(
    readonly data: Buffer,
    /** Code of RST_STREAM; 0 also where there was none. */
    readonly resetCode: number,
    /** Whether it ended before its END_STREAM, as far as node:http2 tells. */
    readonly aborted: boolean,
  ) {}
}

/** Reads a stream until it ends or is reset. */
export function collectBody(stream: Http2Stream): Promise<Collected> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    let settled = false;
    const settle = (): void => {
      if (settled) return;
      settled = true;
      resolve(new Collected(Buffer.concat(chunks), stream.rstCode ?? 0, stream.aborted));
    };
    stream.on('end', () => {
      // A reset shows as an end, too; `close` then has its code.
      if (!stream.aborted) settle();
    });
    stream.on('close', settle);
  });
}
