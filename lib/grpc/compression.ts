import { constants } from 'node:buffer';
import { promisify } from 'node:util';
import { gunzip, inflate } from 'node:zlib';
import { Code, StatusError } from './status.js';

const gunzipAsync = promisify(gunzip);
const inflateAsync = promisify(inflate);

/** What {@link decompress} knows, as a value for `grpc-accept-encoding`. */
export const SUPPORTED_ENCODINGS = 'identity,deflate,gzip';

/**
 * Inflates a message whose compressed flag is set.
 *
 * @param payload the message without its prefix
 * @param encoding the value of `grpc-encoding`, if there is one: `gzip`, or `deflate` (which is the zlib format)
 * @param maxBytes the longest result allowed, in bytes; inflating stops there
 * @returns a promise that is rejected with a StatusError: UNIMPLEMENTED for any other encoding, INTERNAL for
 *   corrupt data and where there is no encoding, or `identity`; RESOURCE_EXHAUSTED for a result over the limit
 */
export async function decompress(
  payload: Buffer,
  encoding: string | undefined,
  maxBytes: number,
): Promise<Buffer> {
  const inflated = await inflateWith(payload, encoding, maxBytes);
  if (inflated.length > maxBytes) throw tooLarge(maxBytes);
  return inflated;
}

function inflateWith(payload: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
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
      return inflateBy(gunzipAsync, payload, encoding, maxBytes);
    case 'deflate':
      return inflateBy(inflateAsync, payload, encoding, maxBytes);
    default:
      // "If a client message is compressed by an algorithm that is not supported by a server, the message will
      // result in an UNIMPLEMENTED error status on the server" (compression.md).
      throw new StatusError(
        Code.UNIMPLEMENTED,
        `message encoding ${JSON.stringify(encoding)} is not supported; supported are ${SUPPORTED_ENCODINGS}`,
      );
  }
}

async function inflateBy(
  algorithm: (payload: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>,
  payload: Buffer,
  encoding: string,
  maxBytes: number,
): Promise<Buffer> {
  // zlib refuses limits of 0 and beyond what a Buffer can be.
  const maxOutputLength = Math.max(1, Math.min(maxBytes, constants.MAX_LENGTH));
  try {
    return await algorithm(payload, { maxOutputLength });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
      throw tooLarge(maxBytes);
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new StatusError(Code.INTERNAL, `message is not valid ${encoding} data: ${reason}`);
  }
}

function tooLarge(maxBytes: number): StatusError {
  return new StatusError(
    Code.RESOURCE_EXHAUSTED,
    `message is over the limit of ${maxBytes} bytes when decompressed`,
  );
}
