import { warn } from '../call/hooks.js';
import { Metadata } from '../grpc/metadata.js';
import { isReservedHeader } from '../grpc/reserved-headers.js';
import { appendHeaders, filterHeaders, type HeaderList } from '../port/headers.js';

/**
 * A response's header list with its metadata as the application changes it; gRPC's and HTTP's own fields stay as they
 * are. If that throws, the metadata is left out: what was to be taken away must not get through.
 */
export function editedHeaders(headers: HeaderList, edit: (metadata: Metadata) => void): HeaderList {
  const kept = filterHeaders(headers, (name) => name.startsWith(':') || isReservedHeader(name));
  const metadata = Metadata.fromHeaders(headers);
  try {
    edit(metadata);
  } catch (thrown) {
    warn(thrown);
    return kept;
  }
  return appendHeaders(kept, metadata.toHeaders());
}
