import {
  type Context,
  context,
  isSpanContextValid,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';
import type {
  CallObserver,
  CallWatcher,
  DestinationWatcher,
  RunningCall,
  StartedDestination,
} from '../../call/observer.js';
import type { CallOutcome, Failure } from '../../call/outcome.js';
import type { Metadata } from '../../grpc/metadata.js';
import { Code } from '../../grpc/status.js';
import {
  callAttributes,
  MAX_TEXT_LENGTH,
  type MethodName,
  methodAttributes,
  methodNameOf,
  OTHER_METHOD,
  targetAttributes,
} from './attributes.js';
import { contextIn, injectInto } from './propagation.js';

/** The scope of the spans. */
const TRACER = 'grpc-frame-proxy';

/** What is an error to a SERVER span; others are the client's own doing. To a CLIENT span all are that are not OK. */
const SERVER_ERRORS: ReadonlySet<Code> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
]);

/** Makes the spans of a server's calls. */
export class CallSpans implements CallObserver {
  onCallStarted(call: RunningCall): CallWatcher | undefined {
    const tracer = registeredTracer();
    if (tracer === undefined) return undefined;
    const parent = contextIn(call.context.headers);
    const method = methodNameOf(call.method);
    const attributes = { ...methodAttributes(method), ...callAttributes(call.context) };
    const span = tracer.startSpan(method.name, { kind: SpanKind.SERVER, attributes }, parent);
    // Nothing is recorded, and there is nothing to send on.
    if (!isSpanContextValid(span.spanContext())) return undefined;
    return new CallSpan(tracer, span, trace.setSpan(parent, span), method);
  }
}

/**
 * The tracer of the SDK that is registered, which may come later than the server; undefined while there is none. The API's
 * own would make spans without an SDK, too.
 */
function registeredTracer(): Tracer | undefined {
  const provider: TracerProvider & Partial<Delegating> = trace.getTracerProvider();
  return provider.getDelegateTracer === undefined
    ? trace.getTracer(TRACER)
    : provider.getDelegateTracer(TRACER);
}

/** What the API's provider can that passes on to the SDK's. */
interface Delegating {
  getDelegateTracer(name: string): Tracer | undefined;
}

/** The span of a call. */
class CallSpan implements CallWatcher {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #context: Context;
  readonly #method: MethodName;

  constructor(tracer: Tracer, span: Span, inside: Context, method: MethodName) {
    this.#tracer = tracer;
    this.#span = span;
    this.#context = inside;
    this.#method = method;
  }

  run<T>(handle: () => T): T {
    return context.with(this.#context, handle);
  }

  onDestination({ target }: StartedDestination): DestinationWatcher {
    const attributes = { ...methodAttributes(this.#method), ...targetAttributes(target) };
    const span = this.#tracer.startSpan(
      this.#method.name,
      { kind: SpanKind.CLIENT, attributes },
      this.#context,
    );
    return new DestinationSpan(span, trace.setSpan(this.#context, span), this.#method);
  }

  onEnd({ failure }: CallOutcome): void {
    const isError = failure !== undefined && SERVER_ERRORS.has(failure.error.code);
    endSpan(this.#span, this.#method, failure, isError);
  }
}

/** The span of a call to one destination, all its attempts together. */
class DestinationSpan implements DestinationWatcher {
  readonly #span: Span;
  readonly #context: Context;
  readonly #method: MethodName;

  constructor(span: Span, inside: Context, method: MethodName) {
    this.#span = span;
    this.#context = inside;
    this.#method = method;
  }

  editRequestMetadata(metadata: Metadata): void {
    injectInto(metadata, this.#context);
  }

  onEnd(failure: Failure | undefined): void {
    endSpan(this.#span, this.#method, failure, failure !== undefined);
  }
}

/** Ends it whatever the SDK, or an application's error, throws before. */
function endSpan(span: Span, method: MethodName, failure: Failure | undefined, isError: boolean): void {
  try {
    if (failure === undefined) span.setAttribute('rpc.status_code', 'OK');
    else tellFailure(span, method, failure, isError);
  } finally {
    span.end();
  }
}

function tellFailure(span: Span, method: MethodName, { error }: Failure, isError: boolean): void {
  const code = Code[error.code] ?? 'UNKNOWN';
  span.setAttributes({ 'rpc.status_code': code, 'error.type': code });
  if (isError) {
    const message = String(error.message).slice(0, MAX_TEXT_LENGTH);
    span.setStatus({ code: SpanStatusCode.ERROR, message });
  }
  // Nobody knows the method: clients make up such names, and backends group spans by them.
  if (error.code === Code.UNIMPLEMENTED && method.name !== OTHER_METHOD) {
    span.updateName(OTHER_METHOD);
    span.setAttributes(methodAttributes({ name: OTHER_METHOD, original: method.original }));
  }
}
