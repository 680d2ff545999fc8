import type { StatusError } from '../grpc/status.js';

/**
 * Sees what the client of a call sends, as it goes to the destinations: what was peeked at, too, and whatever `msg` they get
 * in its place. It is called as things come, and holds nobody back; payloads are slices of what was received, not to be
 * written to. A message that comes in parts is put together for `onMessage`, which is charged to the client as what waits
 * for its calls is (see `ServerLimits.maxHeldBytesPerConnection`); `CallOptions.maxSendMessageBytes` limits it before that.
 * What it throws is emitted as a process warning, and ends its calls for this request: an onlooker must not break what it
 * looks at.
 */
export interface RequestObserver {
  /** One message; `compressed`: by the encoding that the header `grpc-encoding` names. */
  onMessage?(payload: Buffer, compressed: boolean): void;
  /**
   * The end, once: undefined if the client has half-closed, and the destinations have been given everything; else why they
   * have not: what the call fails with, or CANCELLED where it ended OK before.
   */
  onEnd?(error: StatusError | undefined): void;
}
