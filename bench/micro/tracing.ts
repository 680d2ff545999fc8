import type { Socket } from 'node:net';
import { bench, do_not_optimize, group } from 'mitata';
import { now } from '../../lib/call/clock.js';
import { CallContext } from '../../lib/call/context.js';
import type { RunningCall } from '../../lib/call/observer.js';
import { CallSpans } from '../../lib/observe/tracing/call-spans.js';

const HEADERS = [':method', 'POST', ':path', '/bench.Bench/Call', 'content-type', 'application/grpc'];

/** One iteration is a call, in a process without an SDK. */
export function registerTracing(): void {
  const context = CallContext.ofRequest('/bench.Bench/Call', HEADERS, {} as Socket, undefined);
  const call: RunningCall = {
    method: context.method,
    context,
    state: 'handling',
    route: undefined,
    startedAt: now(),
    headersMilliseconds: undefined,
    messagesReceived: 0,
    messagesSent: 0,
    bytesReceived: 0,
    bytesSent: 0,
    destinations: [],
    shadows: [],
  };
  const spans = new CallSpans();
  group('traces', () => {
    bench('trace of a call, no SDK registered', () => do_not_optimize(spans.onCallStarted(call)));
  });
}
