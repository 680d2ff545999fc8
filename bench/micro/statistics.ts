import { bench, group } from 'mitata';
import { CallStatistics } from '../../lib/admin/statistics/call-statistics.js';
import { now } from '../../lib/call/clock.js';
import { CallContext } from '../../lib/call/context.js';
import type { CallOutcome, Failure } from '../../lib/call/outcome.js';
import { Code, StatusError } from '../../lib/grpc/status.js';

const METHODS = Array.from({ length: 20 }, (_, i) => `/package.Service/Method${i}`);

function outcomes(methods: readonly string[], failure?: Failure): CallOutcome[] {
  return methods.map((method, i) => ({
    method,
    context: CallContext.ofRequest(method, [], undefined as never, undefined),
    route: 'a route',
    failure,
    startedAt: now(),
    durationMilliseconds: 0.3 + i,
    headersMilliseconds: undefined,
    messagesReceived: 1,
    messagesSent: 1,
    bytesReceived: 100,
    bytesSent: 100,
    destinations: [{ role: 'primary', target: 'http://backend:50051', attempts: 1, failure }],
    shadows: [],
  }));
}

/** What the live page's statistics cost per call. */
export function registerStatistics(): void {
  const connect: Failure = {
    reason: 'backend_connect',
    error: StatusError.withoutStack(Code.UNAVAILABLE, 'cannot connect to http://backend:50051'),
  };
  const director: Failure = {
    reason: 'director',
    error: StatusError.withoutStack(Code.INTERNAL, 'it is broken'),
  };
  const random = Array.from({ length: 5000 }, (_, i) => `/made.Up/${i}`);
  group('statistics: a call', () => {
    register('OK', outcomes(METHODS));
    register('a backend that is not there', outcomes(METHODS, connect));
    register('names made up, all places taken', outcomes(random, director));
  });
}

function register(title: string, calls: readonly CallOutcome[]): void {
  const statistics = new CallStatistics();
  let turn = 0;
  bench(title, () => {
    turn = turn + 1 < calls.length ? turn + 1 : 0;
    statistics.onCallStarted();
    statistics.onCall(calls[turn]!);
  });
}
