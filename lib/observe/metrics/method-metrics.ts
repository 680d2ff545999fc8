import type { CallWatcher, StartedDestination } from '../../call/observer.js';
import type { CallOutcome } from '../../call/outcome.js';
import type { BoundedNames } from './bounded-names.js';
import { Distributions } from './distribution.js';
import { codeOf } from './status-code.js';
import { TargetMetrics } from './target-metrics.js';

/** Messages that came from clients, and that were sent to them. */
export interface MessageCounts {
  received: number;
  sent: number;
}

/** What the calls that are counted under one name come to: the watcher of all of them. */
export class MethodMetrics implements CallWatcher {
  readonly calls = new Distributions();
  /** By their names: no more than there are {@link BoundedNames}. */
  readonly targets = new Map<string, TargetMetrics>();
  /** When the first call that is counted here began: those of the name that began before it are counted elsewhere. */
  readonly since: number;
  started = 0;
  ended = 0;
  /** Of calls that have ended. */
  readonly messages: MessageCounts = { received: 0, sent: 0 };
  /** Those that run included, as of the last look at them. */
  told: MessageCounts = { received: 0, sent: 0 };
  readonly #targetNames: BoundedNames;

  constructor(since: number, targetNames: BoundedNames) {
    this.since = since;
    this.#targetNames = targetNames;
  }

  onDestination({ target }: StartedDestination): TargetMetrics {
    return this.targets.get(target) ?? this.targetOf(target);
  }

  onEnd(outcome: CallOutcome): void {
    this.ended++;
    this.messages.received += outcome.messagesReceived;
    this.messages.sent += outcome.messagesSent;
    this.calls.add(
      codeOf(outcome.failure),
      outcome.durationMilliseconds,
      outcome.bytesSent,
      outcome.bytesReceived,
    );
  }

  targetOf(target: string): TargetMetrics {
    const name = this.#targetNames.nameOf(target);
    let metrics = this.targets.get(name);
    if (metrics === undefined) {
      metrics = new TargetMetrics();
      this.targets.set(name, metrics);
    }
    return metrics;
  }
}
