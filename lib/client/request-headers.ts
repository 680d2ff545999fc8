import { now } from '../call/clock.js';
import type { Metadata } from '../grpc/metadata.js';
import { isConnectionHeader, isProtocolHeader } from '../grpc/reserved-headers.js';
import { formatTimeout } from '../grpc/timeout.js';
import { appendHeaders, filterHeaders, type HeaderList } from '../port/headers.js';
import type { RequestContext } from './outgoing-request.js';

/** Where a request goes, and by when it must have ended. */
export interface RequestLine {
  readonly scheme: string;
  readonly authority: string | undefined;
  readonly deadline: number | undefined;
  /** How often it has been tried by a retry policy before; undefined: there is none. */
  readonly previousAttempts: number | undefined;
}

const PREVIOUS_ATTEMPTS = 'grpc-previous-rpc-attempts';

/**
 * The header list of a call to a backend: the incoming one without what belongs to the incoming connection; with
 * the context's metadata in the place of the client's if it has its own; `grpc-timeout` as the time that is left.
 *
 * @param changed takes the place of the context's metadata
 */
export function requestHeaders(
  ctx: RequestContext,
  { scheme, authority, deadline, previousAttempts }: RequestLine,
  credentials: Metadata | undefined,
  changed?: Metadata,
): HeaderList {
  const incoming = ctx.headers;
  const headers: HeaderList = [':method', 'POST', ':scheme', scheme, ':path', ctx.method];
  if (authority !== undefined) headers.push(':authority', authority);
  // It speaks to the next hop, whatever the client said to this one (lib/BEHAVIOUR.md section 1).
  headers.push('te', 'trailers');
  const metadata = changed ?? (ctx.hasOwnMetadata ? ctx.metadata : undefined);
  const own = metadata?.toHeaders();
  for (let i = 0; i < incoming.length; i += 2) {
    const name = incoming[i]!;
    if (name.charCodeAt(0) === COLON || name === 'grpc-timeout' || isConnectionHeader(name)) continue;
    if (own === undefined || isProtocolHeader(name)) headers.push(name, incoming[i + 1]!);
  }
  if (own === undefined) headers.neverIndexed = incoming.neverIndexed;
  else appendHeaders(headers, own);
  if (credentials !== undefined) appendHeaders(headers, credentials.toHeaders());
  if (deadline !== undefined) headers.push('grpc-timeout', formatTimeout(deadline - now()));
  return previousAttempts === undefined ? headers : countAttempts(headers, previousAttempts);
}

/** Who tries again counts: "This value represents the number of preceding retry attempts" (gRFC A6), not the client's. */
function countAttempts(headers: HeaderList, previousAttempts: number): HeaderList {
  const counted = filterHeaders(headers, (name) => name !== PREVIOUS_ATTEMPTS);
  // "it will not be present on the first RPC"
  if (previousAttempts > 0) counted.push(PREVIOUS_ATTEMPTS, String(previousAttempts));
  return counted;
}

const COLON = 0x3a;
