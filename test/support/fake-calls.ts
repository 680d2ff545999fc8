import type { Socket } from 'node:net';
import { now } from '../../lib/call/clock.js';
import { CallContext } from '../../lib/call/context.js';
import {
  type CallOutcome,
  type Code,
  type DestinationOutcome,
  type Failure,
  type FailureReason,
  type RunningCall,
  StatusError,
} from '../../lib/index.js';

const SOCKET = { remoteAddress: '10.0.0.7', remotePort: 50123, remoteFamily: 'IPv4' } as Socket;

/** What a fake call has that others have not. */
interface Given {
  readonly method?: string;
  readonly headers?: readonly string[];
  readonly deadline?: number;
}

export function contextOf({ method = '/test.Service/Method', headers = [], deadline }: Given): CallContext {
  return CallContext.ofRequest(method, [':path', method, ...headers], SOCKET, deadline);
}

export function failure(code: Code, reason: FailureReason, message = 'what went wrong'): Failure {
  return { error: new StatusError(code, message), reason };
}

export function destination(more: Partial<DestinationOutcome> = {}): DestinationOutcome {
  return { role: 'primary', target: '127.0.0.1:1', attempts: 1, failure: undefined, ...more };
}

/** A call that has ended, OK unless something else is given. */
export function outcome(more: Partial<CallOutcome> & Given = {}): CallOutcome {
  const { headers, deadline, ...rest } = more;
  const context = contextOf(more);
  return {
    method: context.method,
    context,
    route: undefined,
    failure: undefined,
    startedAt: now() - 1.5,
    durationMilliseconds: 1.5,
    headersMilliseconds: undefined,
    messagesReceived: 1,
    messagesSent: 2,
    bytesReceived: 3,
    bytesSent: 4,
    destinations: [],
    shadows: [],
    ...rest,
  };
}

/** A call that has run for so long. */
export function runningCall(milliseconds: number, more: Partial<CallOutcome> & Given = {}): RunningCall {
  return { ...outcome(more), state: 'streaming', startedAt: now() - milliseconds };
}

/** A failed call. */
export function failed(
  code: Code,
  reason: FailureReason,
  more: Partial<CallOutcome> & Given = {},
): CallOutcome {
  return outcome({ failure: failure(code, reason), ...more });
}
