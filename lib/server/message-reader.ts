import { MessageQueue } from '../call/message-queue.js';
import type { DestinationOutcome, Failure, ShadowState } from '../call/outcome.js';
import type { RequestConsumer } from './request-consumer.js';

/** Reads a call's request here. */
export class MessageReader extends MessageQueue implements RequestConsumer {
  readonly messagesSent = 0;
  readonly state = 'handling';
  readonly route = undefined;
  readonly destinations: readonly DestinationOutcome[] = [];

  /**
   * @param peeked what has come before
   * @param ended why no more will come, if that is so
   */
  begin(peeked: Buffer | undefined, ended: Error | undefined, inputEnded: boolean): void {
    if (peeked !== undefined) this.onData(peeked);
    if (ended !== undefined) this.fail(ended);
    else if (inputEnded) this.onEnd();
  }

  get shadows(): readonly ShadowState[] {
    return [];
  }

  onDrain(): void {}

  override onFinished(): void {
    super.onFinished();
    this.stopInflating();
  }

  onCancel({ error }: Failure): void {
    this.fail(error);
  }
}
