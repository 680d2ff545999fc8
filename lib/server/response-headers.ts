import { SUPPORTED_ENCODINGS } from '../grpc/compression.js';
import type { HeaderList } from '../port/headers.js';

/**
 * Response headers of this side's own.
 *
 * @param readsHere whether it is here that messages are read: "The server will then include a grpc-accept-encoding
 *   response header which specifies the algorithms that the server accepts" (compression.md); the proxy accepts whatever
 *   the backend does
 */
export function responseHeaders(contentType: string, readsHere: boolean): HeaderList {
  const headers = [':status', '200', 'content-type', contentType];
  if (readsHere) headers.push('grpc-accept-encoding', SUPPORTED_ENCODINGS);
  return headers;
}
