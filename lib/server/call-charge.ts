import { now } from '../call/clock.js';
import type { FailureReason } from '../call/outcome.js';
import type { Account } from '../port/account.js';

/** With less time than this, nobody can expect an answer; a millisecond has lost some of it by now. */
const SHORTEST_MILLISECONDS = 0.9;

/** Whether the client gave a call no time to be served in. */
export function isHopeless(deadline: number): boolean {
  return deadline - now() < SHORTEST_MILLISECONDS;
}

/**
 * Calls that were begun for nothing are charged to who made them, as their streams to backends are reset; see
 * `ServerLimits.abandonedCalls`.
 *
 * @param reason why it has failed, if it has
 * @param isWasted whether the client has seen to it that it would
 */
export function chargeCall(account: Account, reason: FailureReason | undefined, isWasted: boolean): void {
  switch (reason) {
    case undefined:
    case 'backend_status':
      account.onCallCompleted();
      break;
    case 'client_cancelled':
    case 'client_protocol':
      account.onCallAbandoned();
      break;
    case 'deadline':
    case 'limit':
      if (isWasted) account.onCallAbandoned();
  }
}
