import type { Failure } from '../call/outcome.js';
import type { HeaderList } from '../port/headers.js';

/** What a `ClientCall` delivers; `onOpen` and the two ends may come from inside its `start`. */
export interface CallReceiver {
  /** The request's HEADERS are out: data can be sent. */
  onOpen(): void;
  /** The stream could not be opened: the call is over, and the backend knows nothing of it. */
  onOpenFailed(failure: Failure): void;
  /** The response headers. Not called for a Trailers-Only response. */
  onHeaders(headers: HeaderList): void;
  /** DATA of the response: whole messages in the end, but cut anywhere. */
  onData(chunk: Buffer): void;
  /** `sendData` may be called again after it returned false. */
  onDrain(): void;
  /**
   * The call is over; a failure of undefined is OK. `trailers` is the list that the backend ended it with; without
   * one the proxy made the error itself.
   */
  onFinish(failure: Failure | undefined, trailers: HeaderList | undefined): void;
}
