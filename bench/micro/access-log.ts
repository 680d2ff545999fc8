import type { Socket } from 'node:net';
import { bench, do_not_optimize, group, summary } from 'mitata';
import { now } from '../../lib/call/clock.js';
import { CallContext } from '../../lib/call/context.js';
import type { CallOutcome } from '../../lib/call/outcome.js';
import { Code, StatusError } from '../../lib/grpc/status.js';
import { AccessLog } from '../../lib/observe/access-log/access-log.js';
import { CallLines } from '../../lib/observe/access-log/call-lines.js';
import { LineBytes, MAX_LINE_BYTES } from '../../lib/observe/access-log/line-bytes.js';

const HEADERS = [
  ...[':method', 'POST', ':scheme', 'http', ':path', '/bench.Bench/Call', ':authority', 'localhost'],
  ...['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'grpc-go/1.60.0'],
];
const TRACEPARENT = ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'];

const socket = { remoteAddress: '10.0.0.7', remotePort: 50123, remoteFamily: 'IPv4' } as Socket;

function outcomeOf(more: readonly string[], deadline: number | undefined, code?: Code): CallOutcome {
  const context = CallContext.ofRequest('/bench.Bench/Call', [...HEADERS, ...more], socket, deadline);
  const error = code === undefined ? undefined : new StatusError(code, 'no such repository');
  const failure = error && ({ error, reason: 'backend_status' } as const);
  return {
    method: context.method,
    context,
    route: 'writes',
    failure,
    startedAt: now(),
    durationMilliseconds: 1.234,
    headersMilliseconds: 1.1,
    messagesReceived: 1,
    messagesSent: 1,
    bytesReceived: 100,
    bytesSent: 100,
    destinations: [{ role: 'primary', target: 'http://10.0.0.8:50051', attempts: 1, failure }],
    shadows: [],
  };
}

/** What one writes first. */
function stringified(outcome: CallOutcome): string {
  const [, service, method] = outcome.method.split('/');
  return `${JSON.stringify({
    time: new Date().toISOString(),
    'grpc.service': service,
    'grpc.method': method,
    'grpc.code': Code[outcome.failure?.error.code ?? 0],
    'grpc.error': outcome.failure?.error.message,
    'grpc.time_ms': outcome.durationMilliseconds,
    'peer.address': outcome.context.peer,
    route: outcome.route,
    primary: outcome.destinations[0]?.target,
    attempts: outcome.destinations[0]?.attempts,
    reason: outcome.failure?.reason,
    messages_received: outcome.messagesReceived,
    messages_sent: outcome.messagesSent,
    bytes_received: outcome.bytesReceived,
    bytes_sent: outcome.bytesSent,
    first_byte_ms: outcome.headersMilliseconds,
  })}\n`;
}

/** One iteration is the line of one call. */
export function registerAccessLog(): void {
  const lines = new CallLines();
  const line = new LineBytes(MAX_LINE_BYTES);
  const cases = {
    OK: outcomeOf([], undefined),
    'OK, with a deadline and a trace': outcomeOf(TRACEPARENT, now() + 10_000),
    'a failure': outcomeOf([], undefined, Code.NOT_FOUND),
  };
  for (const [title, outcome] of Object.entries(cases)) {
    group(`access log: ${title}`, () => {
      summary(() => {
        bench('access log line', () => {
          line.at = 0;
          lines.ended(outcome, line);
          return do_not_optimize(line.at);
        });
        bench('access log line by JSON.stringify of an object', () =>
          do_not_optimize(Buffer.from(stringified(outcome))),
        ).baseline();
      });
    });
  }
  group('access log: to /dev/null', () => {
    const log = new AccessLog({ runningCalls: [] }, { file: '/dev/null' });
    const outcome = cases.OK;
    bench('access log of a hundred calls', async () => {
      for (let i = 0; i < 100; i++) log.onCall(outcome);
      await new Promise(setImmediate);
    });
  });
}
