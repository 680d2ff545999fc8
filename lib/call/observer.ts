import type { Metadata } from '../grpc/metadata.js';
import type { CallContext } from './context.js';
import type {
  CallOutcome,
  DestinationOutcome,
  Failure,
  RefusedPeer,
  RefusedRequest,
  ShadowOutcome,
  ShadowState,
} from './outcome.js';

/**
 * Where a running call is: its director has not answered; its streams to backends are being opened; messages flow; a
 * handler of this process has it; it has ended for its backends, and its finalizer or interceptors are at work.
 */
export type RunningCallState = 'directing' | 'connecting' | 'streaming' | 'handling' | 'finishing';

/** A call that runs, each property as it stands when it is read. */
export interface RunningCall {
  /** `/service/method`. */
  readonly method: string;
  /** Metadata, peer and deadline. */
  readonly context: CallContext;
  /** Where it is. */
  readonly state: RunningCallState;
  /** As {@link CallOutcome.route}; undefined before its director has answered. */
  readonly route: string | undefined;
  /** When its request headers came in, as milliseconds since the epoch. */
  readonly startedAt: number;
  /** From then to the response headers; undefined before them. */
  readonly headersMilliseconds: number | undefined;
  /** Complete messages that came from the client. */
  readonly messagesReceived: number;
  /** Complete messages that were sent to it. */
  readonly messagesSent: number;
  /** Bytes of messages from the client, as on the wire, without their prefixes. */
  readonly bytesReceived: number;
  /** The same of messages to it. */
  readonly bytesSent: number;
  /** In the order of the director's answer, the primary first; empty before that. */
  readonly destinations: readonly DestinationOutcome[];
  /** In the order of the director's answer, without those that were not drawn; empty before that. */
  readonly shadows: readonly ShadowState[];
}

/**
 * Looks on at a server's calls: its metrics, logs and traces are made by these. What its methods throw, or their promises
 * are rejected with, is emitted as a process warning and breaks nothing.
 */
export interface CallObserver {
  /** A call has begun, before its interceptors, its handler and its director run; what is returned looks on at it alone. */
  onCallStarted?(call: RunningCall): CallWatcher | undefined;
  /** A call has ended: once for each that was accepted, whatever ended it. */
  onCall?(outcome: CallOutcome): void;
  /**
   * A shadow of a call has ended: once for each that was begun, before or after the end of its call. And so has a
   * secondary (by its role) that went on after its call.
   */
  onShadow?(outcome: ShadowOutcome): void;
  /** A request was refused before it became a call. */
  onRefused?(request: RefusedRequest): void;
  /** A client's connection was refused, or ended for what the client did. */
  onPeerRefused?(refusal: RefusedPeer): void;
}

/** @internal A call that has failed: less than its outcome, so that calls which end well cost nothing. */
export interface FailedCall {
  /** `/service/method`. */
  readonly method: string;
  readonly route: string | undefined;
  readonly failure: Failure;
  /** Of the primary, if the call came so far. */
  readonly target: string | undefined;
}

/** Looks on at one call. One object may be that of many calls: nothing is kept in it here. */
export interface CallWatcher {
  /** Runs what begins the call's handling, once; for what is bound to the async context, as spans are. */
  run?<T>(handle: () => T): T;
  /** A stream to a backend is about to be opened for the call; what is returned looks on at it alone, until its end. */
  onDestination?(destination: StartedDestination): DestinationWatcher | undefined;
  /** The call has ended. */
  onEnd?(outcome: CallOutcome): void;
}

/** One that is about to be called. */
export interface StartedDestination {
  /** What it is to the call. */
  readonly role: DestinationOutcome['role'];
  /** The target that it was dialled by. */
  readonly target: string;
}

/** Looks on at what becomes of one destination of a call. One object may be that of many. */
export interface DestinationWatcher {
  /** Changes the metadata that its request carries, a copy for it alone, before each attempt. */
  editRequestMetadata?(metadata: Metadata): void;
  /** An attempt begins: it looks for a connection. The first one is 1. */
  onAttempt?(number: number): void;
  /** The attempt that began last has ended. */
  onAttemptEnd?(attempt: AttemptOutcome): void;
  /** It has ended, all its attempts included. */
  onEnd?(failure: Failure | undefined): void;
}

/** How one attempt at a destination ended. To be read when it is told, not to be kept: the next attempt changes it. */
export interface AttemptOutcome {
  /** The first one is 1. */
  readonly number: number;
  /** Undefined if it ended OK. */
  readonly failure: Failure | undefined;
  /** From its beginning, the wait for a connection included, to its end. */
  readonly durationMilliseconds: number;
  /** Bytes of messages to the backend, as on the wire, without their prefixes. */
  readonly bytesSent: number;
  /** The same of messages from it. */
  readonly bytesReceived: number;
}
