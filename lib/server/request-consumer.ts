import type { RunningCallState } from '../call/observer.js';
import type { DestinationOutcome, Failure, ShadowState } from '../call/outcome.js';

/** Who takes a call's request. */
export interface RequestConsumer {
  /** DATA, as the port delivers it. */
  onData(chunk: Buffer): void;
  /** The client has half-closed. */
  onEnd(): void;
  /** There is room again for what is sent to the client. */
  onDrain(): void;
  /** The call has ended without the consumer: the client went, its time is over, or an interceptor has ended it. */
  onCancel(failure: Failure): void;
  /** The call has ended: what is held for it is of no use any more. */
  onFinished(): void;
  /** Complete messages so far, from the client and to it. */
  readonly messagesReceived: number;
  readonly messagesSent: number;
  readonly state: RunningCallState;
  /** Of a proxied call. */
  readonly route: string | undefined;
  readonly destinations: readonly DestinationOutcome[];
  readonly shadows: readonly ShadowState[];
}
