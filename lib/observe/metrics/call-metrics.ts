import type { CallContext } from '../../call/context.js';
import type { CallObserver, RunningCall } from '../../call/observer.js';
import type {
  CallOutcome,
  DestinationOutcome,
  RefusedPeer,
  ShadowOutcome,
  ShadowResult,
} from '../../call/outcome.js';
import { Code } from '../../grpc/status.js';
import { headerValue } from '../../port/headers.js';
import type { ResponseVerdict } from '../../proxy/compare/verdict.js';
import { BoundedNames, OTHER } from './bounded-names.js';
import { METRICS_LIMITS } from './defaults.js';
import { type MessageCounts, MethodMetrics } from './method-metrics.js';
import type { MethodNames } from './method-names.js';
import { codeOf } from './status-code.js';
import type { TargetMetrics } from './target-metrics.js';

type ShadowCounts = Record<ShadowResult, number>;

/**
 * Counts calls while they go by. Nothing is made per call: the watcher of a call is the object that counts its method, that
 * of a destination the one that counts its target.
 */
export class CallMetrics implements CallObserver {
  readonly targetNames = new BoundedNames(METRICS_LIMITS.maxTargets);
  readonly names: MethodNames;
  /** By target. */
  readonly shadows = new Map<string, ShadowCounts>();
  /** By reason. */
  readonly refusals = new Map<string, number>();
  readonly #other: MethodMetrics;
  /** By path, `/service/method`. */
  readonly #methods = new Map<string, MethodMetrics>();

  /** @param since now: calls that began before it are not counted */
  constructor(names: MethodNames, since: number) {
    this.names = names;
    this.#other = new OtherMethods(this, since);
    // A client can call a method of this name.
    this.#methods.set(`/${OTHER}`, this.#other);
  }

  onCallStarted(call: RunningCall): MethodMetrics {
    const { method } = call;
    const metrics = this.#methods.get(method) ?? this.#newcomer(method, call.startedAt);
    metrics.started++;
    return metrics;
  }

  onShadow({ role, target, result }: ShadowOutcome): void {
    // A secondary that goes on after its call is told here, too.
    if (role !== 'shadow') return;
    const name = this.targetNames.nameOf(target);
    let counts = this.shadows.get(name);
    if (counts === undefined) {
      counts = { ok: 0, error: 0, lagged: 0, expired: 0, cancelled: 0 };
      this.shadows.set(name, counts);
    }
    counts[result]++;
  }

  onRefused(): void {
    this.#refused('not_grpc');
  }

  onPeerRefused({ reason }: RefusedPeer): void {
    this.#refused(reason);
  }

  onVerdict({ method, target, role, result }: ResponseVerdict): void {
    // What says what is noise is not judged.
    if (role === 'baseline') return;
    const metrics = this.#methods.get(method) ?? this.#other;
    metrics.targetOf(target).compared[result === 'noise' ? 'same' : result]++;
  }

  /** All that has been counted, by the names of methods. */
  *methods(): Iterable<readonly [string, MethodMetrics]> {
    for (const [path, metrics] of this.#methods) yield [path.slice(1), metrics];
  }

  /** All that has been counted, by the names of methods and targets. */
  *targets(): Iterable<readonly [string, string, TargetMetrics]> {
    for (const [method, { targets }] of this.methods()) {
      for (const [target, metrics] of targets) yield [method, target, metrics];
    }
  }

  get callsRunning(): number {
    let running = 0;
    for (const metrics of this.#methods.values()) running += metrics.started - metrics.ended;
    return running;
  }

  /**
   * Looks at the messages of calls that run, which {@link MethodMetrics.told} then has. Not from inside of what a call's end
   * tells: that one would be counted twice.
   */
  look(running: Iterable<RunningCall>): void {
    const all = new Map<MethodMetrics, MessageCounts>();
    for (const metrics of this.#methods.values()) all.set(metrics, { ...metrics.messages });
    for (const call of running) {
      const metrics = this.#watcherOf(call);
      const counts = metrics && all.get(metrics);
      if (counts === undefined) continue;
      counts.received += call.messagesReceived;
      counts.sent += call.messagesSent;
    }
    for (const [metrics, { received, sent }] of all) {
      // They must not fall, whatever an application has made of a running call's context.
      const { told } = metrics;
      metrics.told = { received: Math.max(told.received, received), sent: Math.max(told.sent, sent) };
    }
  }

  /** A call that is counted under no name of its own has ended. */
  onOtherEnded(outcome: CallOutcome): void {
    if (outcome.destinations.some(isAnswered)) this.names.onAnswered(pathOf(outcome));
  }

  #newcomer(path: string, at: number): MethodMetrics {
    if (!this.names.takes(path, at)) return this.#other;
    const metrics = new MethodMetrics(at, this.targetNames);
    this.#methods.set(path, metrics);
    return metrics;
  }

  /** Undefined for a call that began before anything was counted. */
  #watcherOf(call: RunningCall): MethodMetrics | undefined {
    const { startedAt } = call;
    const metrics = this.#methods.get(pathOf(call));
    if (metrics !== undefined && startedAt >= metrics.since) return metrics;
    return startedAt >= this.#other.since ? this.#other : undefined;
  }

  #refused(reason: string): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
  }
}

/** What the calls come to whose methods have no name of their own, or not yet. */
class OtherMethods extends MethodMetrics {
  readonly #owner: CallMetrics;

  constructor(owner: CallMetrics, since: number) {
    super(since, owner.targetNames);
    this.#owner = owner;
  }

  override onEnd(outcome: CallOutcome): void {
    super.onEnd(outcome);
    this.#owner.onOtherEnded(outcome);
  }
}

/** As the client named it: interceptors can give a call another context, and that another method. */
function pathOf({ context }: { readonly context: CallContext }): string {
  return headerValue(context.headers, ':path') ?? '';
}

/** By a backend that knows the method. */
function isAnswered({ failure, isRunning }: DestinationOutcome): boolean {
  if (failure === undefined) return isRunning !== true;
  return failure.reason === 'backend_status' && codeOf(failure) !== Code.UNIMPLEMENTED;
}
