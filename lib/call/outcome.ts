import type { StatusError } from '../grpc/status.js';
import type { PeerRefusalReason } from '../port/peer-refusal.js';
import type { CallContext } from './context.js';

export type { PeerRefusalReason } from '../port/peer-refusal.js';

/**
 * Who failed a call, and why, in one word:
 *
 * - `client_cancelled`: the client reset it; `client_gone`: the client's connection was lost;
 *   `client_protocol`: the client broke gRPC's framing;
 * - `deadline`: its time was over;
 * - `director`, `interceptor`, `handler`, `finalizer`: this code of the application failed it;
 * - `no_route`: no handler knows the method; `rejected`: the request is no gRPC call that can be served;
 * - `backend_status`: the backend answered with an error status;
 * - `backend_connect`: no connection to it could be made; `backend_connection_lost`: one was lost;
 * - `backend_reset`: it reset the stream; `backend_protocol`: it broke HTTP/2 or gRPC;
 * - `secondary`: a secondary failed it;
 * - `limit`: a limit was exceeded; `draining`: this side is shutting down.
 */
export type FailureReason =
  | 'client_cancelled'
  | 'client_gone'
  | 'client_protocol'
  | 'deadline'
  | 'director'
  | 'interceptor'
  | 'handler'
  | 'finalizer'
  | 'no_route'
  | 'rejected'
  | 'backend_status'
  | 'backend_connect'
  | 'backend_connection_lost'
  | 'backend_reset'
  | 'backend_protocol'
  | 'secondary'
  | 'limit'
  | 'draining';

/** A failed call's error, and whose it is. */
export interface Failure {
  /** The status that it ended with; what it came of here or in the network is its `cause`. */
  readonly error: StatusError;
  /** Who failed it, and why, in one word. */
  readonly reason: FailureReason;
}

/** How the call to one destination ended. */
export interface DestinationOutcome {
  /** What it is to the call. */
  readonly role: 'primary' | 'secondary' | 'shadow';
  /** The target that it was dialled by. */
  readonly target: string;
  /** How many streams were opened for it: 0 if there was no connection, 2 after a retry. */
  readonly attempts: number;
  /**
   * Its own failure, whatever an error handler made of it, or what it was cancelled for, as the primary's; undefined if it
   * ended OK.
   */
  readonly failure: Failure | undefined;
  /**
   * Set for a secondary that its quorum could do without, and that goes on after the call: {@link CallObserver.onShadow}
   * tells how it ends.
   */
  readonly isRunning?: true;
}

/**
 * How a shadow ended, in one word:
 *
 * - `ok`: it answered OK;
 * - `error`: it answered another status, or nothing that is an answer: no connection to it, a reset, a broken protocol;
 * - `lagged`: more was held for it than may be, of its own or all shadows together;
 * - `expired`: it had not answered when its grace was over;
 * - `cancelled`: by the client, a deadline, an early answer of the primary's, its own context, or the end of the server.
 */
export type ShadowResult = 'ok' | 'error' | 'lagged' | 'expired' | 'cancelled';

/** A shadow as it is when its call ends. */
export interface ShadowState extends DestinationOutcome {
  /** `running`: {@link CallObserver.onShadow} will tell how it ends. */
  readonly result: ShadowResult | 'running';
}

/** How a shadow ended, or a secondary that went on after its call. */
export interface ShadowOutcome extends DestinationOutcome {
  /** In one word. */
  readonly result: ShadowResult;
  /** Of its call: `/service/method`. */
  readonly method: string;
  /** Of its call, which may have ended before. */
  readonly context: CallContext;
}

/** How a call ended: what metrics, logs and traces are made of. */
export interface CallOutcome {
  /** `/service/method`. */
  readonly method: string;
  /** Metadata, peer and deadline. */
  readonly context: CallContext;
  /** The name of the route that it took, as its director said by `StreamParameters.route`. */
  readonly route: string | undefined;
  /** Undefined if it ended OK. An error that has a cause in this process or in the network has it as its `cause`. */
  readonly failure: Failure | undefined;
  /** When its request headers came in, as milliseconds since the epoch. */
  readonly startedAt: number;
  /** From then to its end. */
  readonly durationMilliseconds: number;
  /** From then to the response headers; undefined if there were none before the status. */
  readonly headersMilliseconds: number | undefined;
  /** Complete messages that came from the client. */
  readonly messagesReceived: number;
  /** Complete messages that were sent to it. */
  readonly messagesSent: number;
  /** Bytes of messages from the client, as on the wire, without their prefixes. */
  readonly bytesReceived: number;
  /** The same of messages to it. */
  readonly bytesSent: number;
  /** In the order of the director's answer, the primary first; empty for a call that was handled here. */
  readonly destinations: readonly DestinationOutcome[];
  /** In the order of the director's answer, without those that were not drawn. */
  readonly shadows: readonly ShadowState[];
}

/** A request that was refused before it became a call: answered by HTTP's own means. */
export interface RefusedRequest {
  /** What it was answered: 405 for another method than POST, 415 for what is no gRPC. */
  readonly httpStatus: number;
  /** `:method` as the client sent it. */
  readonly httpMethod: string;
  /** `:path` as the client sent it. */
  readonly path: string;
  /** The client's address, as `CallContext.peer`. */
  readonly peer: string;
}

/** A client whose connection was refused or ended for what it did. */
export interface RefusedPeer {
  /** Why, in one word. */
  readonly reason: PeerRefusalReason;
  /** The client's address, as `CallContext.peer`. */
  readonly peer: string;
  /** What it did, in words. */
  readonly text: string;
}
