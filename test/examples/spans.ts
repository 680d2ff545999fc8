// Makes OpenTelemetry spans of calls: one for each call, which belongs to the client's trace, and one for what the backend
// did of it, which is what the backend is told of. Give them to an exporter of yours in place of the console's.
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, ConsoleSpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { dial, Server, transparentHandler } from 'grpc-frame-proxy';
import { tracing } from 'grpc-frame-proxy/tracing';

const spanProcessors = [new SimpleSpanProcessor(new ConsoleSpanExporter())];
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

const backend = dial('http://127.0.0.1:50061');
const server = new Server({
  unknownServiceHandler: transparentHandler((ctx) => {
    // The director runs inside of the call's span.
    trace.getActiveSpan()?.setAttribute('tenant', ctx.metadata.get('x-tenant') ?? 'none');
    return { primary: { conn: backend } };
  }),
});
tracing(server);
await server.listen('127.0.0.1:50051');
