import { warn } from '../call/hooks.js';
import { Metadata } from '../grpc/metadata.js';
import { isReservedHeader } from '../grpc/reserved-headers.js';
import { appendHeaders, filterHeaders, type HeaderList } from '../port/headers.js';

/** A call whose response headers may be edited. */
interface EditedCall {
  readonly editResponseHeaders: ((metadata: Metadata) => void) | undefined;
  inScope<T>(hook: () => T): T;
}

/**
 * A response's header list with its metadata as the application changes it, if it does; gRPC's and HTTP's own fields stay
 * as they are. If that throws, the metadata is left out: what was to be taken away must not get through.
 */
export function editedHeaders(headers: HeaderList, call: EditedCall): HeaderList {
  const edit = call.editResponseHeaders;
  if (edit === undefined) return headers;
  const kept = filterHeaders(headers, (name) => name.startsWith(':') || isReservedHeader(name));
  const metadata = Metadata.fromHeaders(headers);
  try {
    call.inScope(() => edit(metadata));
  } catch (thrown) {
    warn(thrown);
    return kept;
  }
  return appendHeaders(kept, metadata.toHeaders());
}
