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
  readonly durationMs: number;
  /** The target; null before the director has answered, and for a call that is handled here. */
  readonly primary: string | null;
  /** To the client, and from it. */
  readonly messagesSent: number;
  readonly messagesReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly state: RunningCallState;
}

/** Calls of {@link Server.runningCalls}, as they stand, the oldest first: at most the 1000 oldest. */
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

/** The running calls of several processes, as of one. */
export function mergeCalls(lists: readonly (readonly CallJson[])[]): CallJson[] {
  return lists
    .flat()
    .sort((a, b) => b.durationMs - a.durationMs)
    .slice(0, ADMIN_LIMITS.maxCalls);
}
