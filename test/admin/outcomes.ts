import { CallContext, type CallOutcome, Code, type FailureReason, StatusError } from '../../lib/index.js';

/** What a made up outcome has beside the defaults. */
export interface OutcomeOptions {
  readonly method?: string;
  readonly route?: string | undefined;
  /** How it ended; undefined: OK. */
  readonly failure?: readonly [FailureReason, Code, string?] | undefined;
  /** When it ended. */
  readonly endedAt?: number;
  readonly durationMilliseconds?: number;
  readonly destinations?: CallOutcome['destinations'];
}

const context = CallContext.ofRequest('/test.Service/Method', [], undefined as never, undefined);

/** An outcome as a server tells it. */
export function outcomeOf({
  method = '/test.Service/Method',
  route,
  failure,
  endedAt = performance.timeOrigin + performance.now(),
  durationMilliseconds = 1,
  destinations = [{ role: 'primary', target: 'backend:1', attempts: 1, failure: undefined }],
}: OutcomeOptions = {}): CallOutcome {
  return {
    method,
    context,
    route,
    failure: failure && {
      reason: failure[0],
      error: StatusError.withoutStack(failure[1], failure[2] ?? 'it failed'),
    },
    startedAt: endedAt - durationMilliseconds,
    durationMilliseconds,
    headersMilliseconds: undefined,
    messagesReceived: 1,
    messagesSent: 1,
    bytesReceived: 1,
    bytesSent: 1,
    destinations,
    shadows: [],
  };
}

/** A backend's failure, as most are. */
export const UNAVAILABLE: OutcomeOptions['failure'] = ['backend_connect', Code.UNAVAILABLE, 'cannot connect'];
