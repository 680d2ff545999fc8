/**
 * Spans of calls by OpenTelemetry, whose SDK the application registers.
 *
 *     import { tracing } from 'grpc-frame-proxy/tracing';
 *
 *     tracing(server);
 *
 * It needs the package `@opentelemetry/api`, an optional peer of this one.
 *
 * @module grpc-frame-proxy/tracing
 */

import { checkObject } from '../../port/options.js';
import type { Server } from '../../server/server.js';
import { CallSpans } from './call-spans.js';

/**
 * Traces the calls of a server that begin from now on, by the OpenTelemetry SDK that is registered: a SERVER span for each
 * call, and a CLIENT span for each of its destinations, which is told of it by the registered propagator. Directors and
 * handlers run inside of the call's span. Without an SDK there are no spans, and what clients send of traces passes as it is.
 *
 * @throws TypeError for what is no server
 */
export function tracing(server: Pick<Server, 'observe'>): void {
  checkObject('the server', 'a Server', server, 'observe');
  server.observe(new CallSpans());
}
