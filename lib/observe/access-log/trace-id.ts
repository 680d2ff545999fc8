import type { HeaderList } from '../../port/headers.js';

/** `version "-" trace-id "-" parent-id "-" trace-flags`, without the two ids that stand for none (W3C Trace Context). */
const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}/;

const NAME = 'traceparent';
const LENGTH = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'.length;
const TRACE_ID_AT = '00-'.length;
const TRACE_ID_END = TRACE_ID_AT + 32;

/** The trace that the client says its request belongs to; undefined without a `traceparent`, or one that is not valid. */
export function traceIdOf(headers: HeaderList): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    // The length first: to compare texts takes a call.
    if (name.length !== NAME.length || name !== NAME) continue;
    // Of two none is known to be the right one.
    if (value !== undefined) return undefined;
    value = headers[i + 1]!;
  }
  return value === undefined ? undefined : traceIdIn(value);
}

function traceIdIn(traceparent: string): string | undefined {
  if (!TRACEPARENT.test(traceparent) || traceparent.startsWith('ff')) return undefined;
  // Versions to come may have more behind what is known: "If a higher version is detected, the implementation SHOULD try
  // to parse it", by what follows the flags, "either end of string or a dash".
  const hasMore = traceparent.length > LENGTH;
  if (hasMore && (traceparent.startsWith('00') || traceparent[LENGTH] !== '-')) return undefined;
  return traceparent.slice(TRACE_ID_AT, TRACE_ID_END);
}
