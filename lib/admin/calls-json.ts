import { now } from '../call/clock.js';
import type { RunningCall, RunningCallState } from '../call/observer.js';
import { ADMIN_LIMITS } from './defaults.js';
import { cut } from './statistics/texts.js';

/** A running call in `/calls`. */
export interface CallJson {
  /** `/service/method`. */
  readonly method: string;
  /** The client's address; empty for a unix socket. */
  readonly peer: string;
  /** RFC 3339, in UTC, with milliseconds. */
  readonly startedAt: string;
  /** From then until now, in whole milliseconds. */
  readonly durationMs: number;
  /** The target; null before the director has answered, and for a call that is handled here. */
  readonly primary: string | null;
  /** Complete messages that went to the client. */
  readonly messagesSent: number;
  /** Complete messages that came from it. */
  readonly messagesReceived: number;
  /** Bytes of messages that went to the client, as on the wire, without their prefixes. */
  readonly bytesSent: number;
  /** The same of what came from it. */
  readonly bytesReceived: number;
  /** Where it is. */
  readonly state: RunningCallState;
}

/**
 * Running calls as they stand, for {@link AdminSource.calls}: at most the first 1000.
 *
 * @param running `runningCalls` of a `Server`, which has the oldest first
 */
export function callsJson(running: Iterable<RunningCall>): CallJson[] {
  const at = now();
  const calls: CallJson[] = [];
  for (const call of running) {
    if (calls.length >= ADMIN_LIMITS.maxCalls) break;
    calls.push({
      method: cut(call.method),
      peer: call.context.peer,
      startedAt: new Date(call.startedAt).toISOString(),
      durationMs: Math.max(0, Math.round(at - call.startedAt)),
      primary: call.destinations[0]?.target ?? null,
      messagesSent: call.messagesSent,
      messagesReceived: call.messagesReceived,
      bytesSent: call.bytesSent,
      bytesReceived: call.bytesReceived,
      state: call.state,
    });
  }
  return calls;
}

/** The running calls of several processes, as of one: at most the 1000 oldest. */
export function mergeCalls(lists: readonly (readonly CallJson[])[]): CallJson[] {
  return lists
    .flat()
    .sort((a, b) => b.durationMs - a.durationMs)
    .slice(0, ADMIN_LIMITS.maxCalls);
}
