import { now } from '../../call/clock.js';
import type { CallObserver } from '../../call/observer.js';
import type { CallOutcome, Failure, FailureReason, ShadowOutcome } from '../../call/outcome.js';
import { Code } from '../../grpc/status.js';
import { checkObject } from '../../port/options.js';
import type { ResponseVerdict } from '../../proxy/compare/verdict.js';
import type { Server } from '../../server/server.js';
import { STATISTICS_LIMITS } from '../defaults.js';
import { FailureKinds } from './failure-kinds.js';
import { type CallEnd, MethodCounts } from './method-counts.js';
import type { StatisticsSnapshot } from './snapshot.js';
import { TargetCounts } from './target-counts.js';
import { isTooLong, OTHER } from './texts.js';

/** What it takes to observe a server. */
export type ObservedServer = Pick<Server, 'observe'>;

/**
 * Counts the calls of a server from now on, for the live page.
 *
 *     const statistics = callStatistics(server);
 *     compareResponses(parameters, { onVerdict: (verdict) => statistics.onVerdict(verdict) });
 *
 * @throws TypeError for what is no server
 */
export function callStatistics(server: ObservedServer): CallStatistics {
  checkObject('the server', 'a Server', server, 'observe');
  const statistics = new CallStatistics();
  server.observe(statistics);
  return statistics;
}

/**
 * Counts calls by route and method, failures by kind, and shadows by target, in memory that is bounded; made by
 * {@link callStatistics}.
 */
export class CallStatistics implements CallObserver {
  readonly #startedAt = now();
  readonly #byMethod = new Map<string, MethodCounts>();
  readonly #other: MethodCounts;
  readonly #failures = new FailureKinds();
  readonly #targets = new TargetCounts();
  #running = 0;
  /** Those that are told apart; the other one is not among them. */
  #places = 0;
  /** When it was last looked for places that are not used. */
  #lookedAt = 0;

  /** @internal */
  constructor() {
    this.#other = new MethodCounts(undefined, OTHER, secondOf(this.#startedAt));
  }

  onCallStarted(): undefined {
    this.#running++;
  }

  onCall(outcome: CallOutcome): void {
    const { failure, durationMilliseconds } = outcome;
    const at = outcome.startedAt + durationMilliseconds;
    const second = Math.floor(at / 1000);
    const counts = this.#countsOf(outcome, second);
    this.#running--;
    if (failure !== undefined) {
      counts.add(second, durationMilliseconds, endOf(failure));
      this.#failures.add('failed', failure, outcome.route, counts.method, culpritsOf(outcome, failure), at);
      return;
    }
    counts.add(second, durationMilliseconds, 'ok');
    if (outcome.destinations.length > 1) this.#addIgnored(outcome, counts.method, at);
  }

  onShadow(outcome: ShadowOutcome): void {
    this.#targets.ended(outcome, now());
  }

  /** Counts what came of a comparison: for `onVerdict` of `compareResponses`. */
  onVerdict(verdict: ResponseVerdict): void {
    this.#targets.compared(verdict, now());
  }

  /** What has been counted until now. */
  snapshot(): StatisticsSnapshot {
    const at = now();
    const methods = [...this.#all(), this.#other].map((counts) => counts.snapshot(secondOf(at)));
    return {
      ageMilliseconds: at - this.#startedAt,
      running: this.#running,
      methods: methods.filter(({ calls }) => calls > 0),
      failures: this.#failures.snapshot(at),
      targets: this.#targets.snapshot(at),
    };
  }

  #addIgnored({ destinations, route }: CallOutcome, method: string, at: number): void {
    for (const { role, failure, target } of destinations) {
      if (role !== 'secondary' || failure === undefined) continue;
      this.#failures.add('ignored', failure, route, method, [target], at);
    }
  }

  #countsOf({ method, route, failure }: CallOutcome, second: number): MethodCounts {
    const first = this.#byMethod.get(method);
    for (let each = first; each !== undefined; each = each.next) if (each.route === route) return each;
    // A name that nobody here knows is a client's invention.
    if ((failure !== undefined && isUnknown(failure)) || isTooLong(method)) return this.#other;
    if (this.#places >= STATISTICS_LIMITS.maxMethods) this.#leaveIdle(second);
    if (this.#places >= STATISTICS_LIMITS.maxMethods) return this.#other;
    const counts = new MethodCounts(route, method, second);
    // Not from before, which may have lost its place.
    counts.next = this.#byMethod.get(method);
    this.#byMethod.set(method, counts);
    this.#places++;
    return counts;
  }

  /** Gives up the places of what has no calls any more; once a second, whoever asks. */
  #leaveIdle(second: number): void {
    if (second === this.#lookedAt) return;
    this.#lookedAt = second;
    const all = [...this.#all()];
    this.#byMethod.clear();
    this.#places = 0;
    for (const counts of all) {
      if (second - counts.lastCallSecond > STATISTICS_LIMITS.idleSeconds) {
        this.#other.addTotals(counts);
        continue;
      }
      counts.next = this.#byMethod.get(counts.method);
      this.#byMethod.set(counts.method, counts);
      this.#places++;
    }
  }

  *#all(): Iterable<MethodCounts> {
    for (const first of this.#byMethod.values()) {
      for (let each: MethodCounts | undefined = first; each !== undefined; each = each.next) yield each;
    }
  }
}

function secondOf(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}

function isUnknown({ reason, error }: Failure): boolean {
  return reason === 'no_route' || reason === 'rejected' || error.code === Code.UNIMPLEMENTED;
}

function endOf({ reason }: Failure): CallEnd {
  return reason === 'client_cancelled' || reason === 'client_gone' ? 'cancelled' : 'failed';
}

const OF_PRIMARY: ReadonlySet<FailureReason> = new Set([
  'backend_status',
  'backend_connect',
  'backend_connection_lost',
  'backend_reset',
  'backend_protocol',
  // That has not answered in time.
  'deadline',
]);

/** Whose failure it is, if it is a backend's. */
function culpritsOf({ destinations }: CallOutcome, { reason }: Failure): readonly string[] {
  if (reason === 'secondary') {
    return destinations.filter(isFailedSecondary).map(({ target }) => target);
  }
  const [primary] = destinations;
  return primary !== undefined && OF_PRIMARY.has(reason) ? [primary.target] : [];
}

function isFailedSecondary({ role, failure }: CallOutcome['destinations'][number]): boolean {
  return role === 'secondary' && failure !== undefined;
}
