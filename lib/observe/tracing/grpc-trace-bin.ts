import { isSpanContextValid, type SpanContext, TraceFlags } from '@opentelemetry/api';
import type { HeaderList } from '../../port/headers.js';

/** What gRPC carried traces in before there was `traceparent`. */
export const GRPC_TRACE_BIN = 'grpc-trace-bin';

// OpenCensus's BinaryEncoding.md, version 0: a number before each field says which it is.
const VERSION = 0;
const TRACE_ID_FIELD = 0;
const SPAN_ID_FIELD = 1;
const OPTIONS_FIELD = 2;
const TRACE_ID_AT = 2;
const SPAN_ID_AT = 19;
const OPTIONS_AT = 28;
const LENGTH = 29;

/** In base64, with or without padding. */
const TEXT = /^[0-9A-Za-z+/]{36,40}={0,2}$/;

/** The span that `grpc-trace-bin` names; undefined if there is none, are several, or it is malformed. */
export function spanContextIn(headers: HeaderList): SpanContext | undefined {
  let text: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== GRPC_TRACE_BIN) continue;
    if (text !== undefined) return undefined;
    text = headers[i + 1]!;
  }
  if (text === undefined || !TEXT.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64');
  const isKnown =
    bytes[0] === VERSION &&
    bytes[TRACE_ID_AT - 1] === TRACE_ID_FIELD &&
    bytes[SPAN_ID_AT - 1] === SPAN_ID_FIELD;
  // "fields … can be missing": of these only the options may.
  const hasOptions = bytes.length >= LENGTH && bytes[OPTIONS_AT - 1] === OPTIONS_FIELD;
  if (!isKnown || bytes.length < OPTIONS_AT - 1) return undefined;
  const found: SpanContext = {
    traceId: bytes.toString('hex', TRACE_ID_AT, SPAN_ID_AT - 1),
    spanId: bytes.toString('hex', SPAN_ID_AT, OPTIONS_AT - 1),
    traceFlags: hasOptions ? bytes[OPTIONS_AT]! & TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  };
  return isSpanContextValid(found) ? found : undefined;
}

export function encodeSpanContext({ traceId, spanId, traceFlags }: SpanContext): Buffer {
  const bytes = Buffer.alloc(LENGTH);
  bytes.write(traceId, TRACE_ID_AT, 'hex');
  bytes[SPAN_ID_AT - 1] = SPAN_ID_FIELD;
  bytes.write(spanId, SPAN_ID_AT, 'hex');
  bytes[OPTIONS_AT - 1] = OPTIONS_FIELD;
  bytes[OPTIONS_AT] = traceFlags & TraceFlags.SAMPLED;
  return bytes;
}
