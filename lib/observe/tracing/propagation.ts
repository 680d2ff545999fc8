import {
  type Context,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api';
import type { Metadata } from '../../grpc/metadata.js';
import type { HeaderList } from '../../port/headers.js';
import { encodeSpanContext, GRPC_TRACE_BIN, spanContextIn } from './grpc-trace-bin.js';

/** What W3C Trace Context names, and what contradicts itself if it is there twice. */
const PARENT = 'traceparent';
const STATE = 'tracestate';

const HEADERS: TextMapGetter<HeaderList> = {
  keys: (headers) => headers.filter((_, index) => index % 2 === 0),
  get(headers, key) {
    const name = key.toLowerCase();
    const values = headers.filter((_, index) => index % 2 === 1 && headers[index - 1] === name);
    if (values.length <= 1) return values[0];
    return name === PARENT ? undefined : values;
  },
};

/** What the client says its call is a part of, by the registered propagator, or else by `grpc-trace-bin`. */
export function contextIn(headers: HeaderList): Context {
  // Not in the context that is active: that of a connection, or of who started the server.
  const found = propagation.extract(ROOT_CONTEXT, headers, HEADERS);
  const named = trace.getSpanContext(found);
  if (named !== undefined && isSpanContextValid(named)) return found;
  const binary = spanContextIn(headers);
  return binary === undefined ? found : trace.setSpanContext(found, binary);
}

/** Puts the context's span in the place of what the client has sent of its trace. */
export function injectInto(metadata: Metadata, context: Context): void {
  const fields: Record<string, string> = {};
  propagation.inject(context, fields);
  const known = propagation.fields();
  for (const name of [PARENT, STATE]) if (known.includes(name)) metadata.delete(name);
  for (const [name, value] of Object.entries(fields)) set(metadata, name, value);
  const span = trace.getSpanContext(context);
  // Who reads it alone must not be told of another one.
  if (span !== undefined && metadata.has(GRPC_TRACE_BIN))
    metadata.set(GRPC_TRACE_BIN, encodeSpanContext(span));
}

function set(metadata: Metadata, name: string, value: string): void {
  try {
    metadata.set(name, value);
  } catch {
    // What cannot be sent, as a part of a client's `tracestate` or `baggage` may be, is left out.
  }
}
