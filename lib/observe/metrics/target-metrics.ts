import type { AttemptOutcome, DestinationWatcher } from '../../call/observer.js';
import { Distributions } from './distribution.js';
import { codeOf } from './status-code.js';

/** What comparisons come to that are counted. */
export const COMPARED = ['same', 'different', 'inconclusive'] as const;

/** What one method's calls cost one target: the watcher of all these destinations. */
export class TargetMetrics implements DestinationWatcher {
  readonly attempts = new Distributions();
  readonly compared = { same: 0, different: 0, inconclusive: 0 };
  started = 0;
  retries = 0;

  onAttempt(number: number): void {
    this.started++;
    if (number > 1) this.retries++;
  }

  onAttemptEnd(attempt: AttemptOutcome): void {
    const { failure, durationMilliseconds, bytesSent, bytesReceived } = attempt;
    this.attempts.add(codeOf(failure), durationMilliseconds, bytesSent, bytesReceived);
  }
}
