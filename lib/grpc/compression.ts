import { constants } from 'node:buffer';
import { createGunzip, createInflate, type Gunzip, type Inflate } from 'node:zlib';
import { callHasEnded } from '../port/errors.js';
import { Code, StatusError } from './status.js';

/** What {@link decompress} knows, as a value for `grpc-accept-encoding`. */
export const SUPPORTED_ENCODINGS = 'identity,deflate,gzip';

/**
 * Inflates a message whose compressed flag is set.
 *
 * @param payload the message without its prefix
 * @param encoding the value of `grpc-encoding`, if there is one: `gzip`, or `deflate` (which is the zlib format)
 * @param maxBytes the longest result allowed, in bytes; inflating stops there
 * @param onGrowth told of so many more bytes of the result, as they come: a thousandfold of the payload's may be in the making
 *   for many calls at once. False: the result is wanted no more
 * @returns a promise that is rejected with a StatusError: UNIMPLEMENTED for any other encoding, INTERNAL for
 *   corrupt data and where there is no encoding, or `identity`; RESOURCE_EXHAUSTED for a result over the limit; or with an
 *   Error if it was wanted no more
 */
export async function decompress(
  payload: Buffer,
  encoding: string | undefined,
  maxBytes: number,
  onGrowth: (bytes: number) => boolean = () => true,
): Promise<Buffer> {
  return inflateBy(
    inflaterOf(encoding),
    payload,
    encoding,
    Math.min(maxBytes, constants.MAX_LENGTH),
    onGrowth,
  );
}

function inflaterOf(encoding: string | undefined): Gunzip | Inflate {
  switch (encoding) {
    case undefined:
    case 'identity':
      // "If the Message-Encoding header is omitted then the Compressed-Flag must be 0" (PROTOCOL-HTTP2). grpc-go
      // says INTERNAL in both cases.
      throw new StatusError(
        Code.INTERNAL,
        `a message is marked as compressed, but grpc-encoding is ${encoding === undefined ? 'missing' : encoding}`,
      );
    case 'gzip':
      return createGunzip();
    case 'deflate':
      return createInflate();
    default:
      // "If a client message is compressed by an algorithm that is not supported by a server, the message will
      // result in an UNIMPLEMENTED error status on the server" (compression.md).
      throw new StatusError(
        Code.UNIMPLEMENTED,
        `message encoding ${JSON.stringify(encoding)} is not supported; supported are ${SUPPORTED_ENCODINGS}`,
      );
  }
}

/** Not by `gunzip()` and the like, which tell nothing before they have all. */
function inflateBy(
  inflater: Gunzip | Inflate,
  payload: Buffer,
  encoding: string | undefined,
  maxBytes: number,
  onGrowth: (bytes: number) => boolean,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = (why: Error): void => {
      inflater.destroy();
      reject(why);
    };
    inflater.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) stop(tooLarge(maxBytes));
      else if (onGrowth(chunk.length)) chunks.push(chunk);
      else stop(callHasEnded());
    });
    inflater.on('error', ({ message }) =>
      reject(new StatusError(Code.INTERNAL, `message is not valid ${encoding} data: ${message}`)),
    );
    inflater.on('end', () => {
      try {
        resolve(Buffer.concat(chunks, size));
      } catch {
        // There is not so much memory in one piece.
        reject(tooLarge(maxBytes));
      }
    });
    inflater.end(payload);
  });
}

function tooLarge(maxBytes: number): StatusError {
  return new StatusError(
    Code.RESOURCE_EXHAUSTED,
    `message is over the limit of ${maxBytes} bytes when decompressed`,
  );
}
