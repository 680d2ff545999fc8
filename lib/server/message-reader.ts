import { MessageQueue } from '../call/message-queue.js';
import type { DestinationOutcome, Failure, ShadowState } from '../call/outcome.js';
import type { RequestConsumer } from './request-consumer.js';

/** Reads a call's request here. */
export class MessageReader extends MessageQueue implements RequestConsumer {
  readonly messagesSent = 0;
  readonly state = 'handling';
  readonly route = undefined;
  readonly destinations: readonly DestinationOutcome[] = [];

  get shadows(): readonly ShadowState[] {
    return [];
  }

  onDrain(): void {}

  onCancel({ error }: Failure): void {
    this.fail(error);
  }
}
