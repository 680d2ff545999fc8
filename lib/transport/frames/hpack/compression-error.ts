/**
 * A field block that can't be decoded. "A receiver MUST terminate the connection with a connection error of
 * type COMPRESSION_ERROR if it does not decompress a field block" (RFC 9113 section 4.3), since the two
 * ends' dynamic tables no longer agree.
 */
export class CompressionError extends Error {
  override readonly name = 'CompressionError';
}
