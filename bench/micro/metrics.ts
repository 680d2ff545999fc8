import type { Socket } from 'node:net';
import { bench, do_not_optimize, group } from 'mitata';
import { CallContext } from '../../lib/call/context.js';
import type { AttemptOutcome, RunningCall, StartedDestination } from '../../lib/call/observer.js';
import type { CallOutcome } from '../../lib/call/outcome.js';
import { callFamilies } from '../../lib/observe/metrics/call-families.js';
import { CallMetrics } from '../../lib/observe/metrics/call-metrics.js';
import { MethodNames } from '../../lib/observe/metrics/method-names.js';
import { snapshotOf } from '../../lib/observe/metrics/snapshot.js';
import { textOf } from '../../lib/observe/metrics/text.js';

const TARGET = 'http://backend:50051';
const DESTINATION: StartedDestination = { role: 'primary', target: TARGET };

/** A call that ended OK after so many milliseconds, with 100 bytes each way. */
function unary(path: string, durationMilliseconds: number) {
  const headers = [':method', 'POST', ':path', path, 'content-type', 'application/grpc'];
  const context = CallContext.ofRequest(path, headers, {} as Socket, undefined);
  const counts = { messagesReceived: 1, messagesSent: 1, bytesReceived: 100, bytesSent: 100 };
  const common = {
    method: path,
    context,
    route: undefined,
    startedAt: 1,
    headersMilliseconds: 1,
    shadows: [],
  };
  const running: RunningCall = { ...common, ...counts, state: 'streaming', destinations: [] };
  const destinations = [{ role: 'primary', target: TARGET, attempts: 1, failure: undefined }] as const;
  const outcome: CallOutcome = {
    ...common,
    ...counts,
    failure: undefined,
    durationMilliseconds,
    destinations,
  };
  const attempt: AttemptOutcome = {
    number: 1,
    failure: undefined,
    durationMilliseconds,
    bytesSent: 100,
    bytesReceived: 100,
  };
  return { running, outcome, attempt };
}

type Unary = ReturnType<typeof unary>;

function count(metrics: CallMetrics, { running, outcome, attempt }: Unary): void {
  const watcher = metrics.onCallStarted(running);
  const destination = watcher.onDestination(DESTINATION);
  destination.onAttempt(1);
  destination.onAttemptEnd(attempt);
  watcher.onEnd(outcome);
}

function pathOf(index: number): string {
  return `/package.Service${index}/Method${index}`;
}

/** What is added to a unary call with one destination, and what a scrape takes of the event loop. */
export function registerMetrics(): void {
  group('metrics: a unary call', () => {
    const names = new MethodNames(1000, () =>
      Array.from({ length: 1000 }, (_, index) => pathOf(index).slice(1)),
    );
    for (const milliseconds of [1, 100]) {
      const metrics = new CallMetrics(names, 0);
      const call = unary(pathOf(0), milliseconds);
      bench(`of one method, ${milliseconds} ms`, () => count(metrics, call));
    }
    const metrics = new CallMetrics(names, 0);
    const calls = Array.from({ length: 1000 }, (_, index) => unary(pathOf(index), 1 + (index % 50)));
    let next = 0;
    bench('of a thousand methods in turn', () => {
      count(metrics, calls[next]!);
      next = (next + 1) % calls.length;
    });
    const flood = new CallMetrics(new MethodNames(1000, undefined), 0);
    let number = 0;
    bench('of a method whose name comes once', () => count(flood, unary(`/random/${number++}`, 1)));
    bench('(to make the name and the call)', () => do_not_optimize(unary(`/random/${number++}`, 1)));
  });
  for (const methods of [10, 1000]) {
    const metrics = new CallMetrics(
      new MethodNames(1000, () => Array.from({ length: methods }, (_, i) => pathOf(i).slice(1))),
      0,
    );
    for (let index = 0; index < methods; index++) count(metrics, unary(pathOf(index), index % 50));
    const families = callFamilies(metrics);
    group(`metrics: a scrape of ${methods} methods`, () => {
      bench('snapshot, in turns', async () => do_not_optimize(await snapshotOf(families)));
      bench('text, in turns', async () => do_not_optimize(await textOf(await snapshotOf(families))));
    });
  }
}
