import type { DestinationOutcome, Failure, ShadowState } from '../call/outcome.js';
import { callHasEnded } from '../port/errors.js';
import type { HeaderList } from '../port/headers.js';
import { MessageReader } from './message-reader.js';
import { type PeekedCall, Peeker } from './peeker.js';
import type { RequestConsumer } from './request-consumer.js';

/** What has been peeked at, for who takes the request from now on. */
export function takePeeked(consumer: RequestConsumer | undefined): Buffer | undefined {
  return consumer instanceof HeldRequest ? consumer.peeker.take() : undefined;
}

/** Whether a request is looked at here, and not the proxy's. */
export function isReadHere(consumer: RequestConsumer | undefined): boolean {
  return consumer instanceof MessageReader || consumer instanceof HeldRequest;
}

/** The beginning of a request that somebody has peeked at, until somebody takes it. */
export class HeldRequest implements RequestConsumer {
  readonly messagesSent = 0;
  readonly state = 'handling';
  readonly route = undefined;
  readonly destinations: readonly DestinationOutcome[] = [];
  readonly shadows: readonly ShadowState[] = [];
  readonly peeker: Peeker;

  constructor(call: PeekedCall, headers: HeaderList, maxPeekBytes: number) {
    this.peeker = new Peeker(call, headers, { maxPeekBytes, peekTimeoutMilliseconds: Infinity });
  }

  get messagesReceived(): number {
    return this.peeker.messages;
  }

  onData(chunk: Buffer): void {
    this.peeker.push(chunk);
  }

  onEnd(): void {
    this.peeker.end();
  }

  onDrain(): void {}

  onCancel({ error }: Failure): void {
    this.peeker.fail(error);
  }

  onFinished(): void {
    // Nothing more will come for a peek that waits.
    this.peeker.fail(callHasEnded());
    this.peeker.drop();
  }
}
