import type { Socket } from 'node:net';
import { inspect } from 'node:util';
import { Metadata, type MetadataInit } from '../grpc/metadata.js';
import { brand, ofAnotherCopy } from '../port/brand.js';
import { ownError, wrongType } from '../port/errors.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import { type PeerCertificate, peerCertificateOf } from '../port/peer-certificate.js';
import { shownAs } from '../port/shown.js';
import { Cancellation } from './cancellation.js';
import { now } from './clock.js';
import { type ContextKey, type ContextValues, valueIn } from './context-key.js';
import { checkedTime } from './deadline.js';
import { checkedMethod } from './method.js';

/**
 * What a call carries besides its messages: metadata, deadline, cancellation, who is calling, and values of the
 * application's own. The `with…` methods derive a context from it, for a destination, or for what an interceptor hands on by
 * `next(context)`; they change nothing in the original.
 */
export class CallContext {
  /** `/service/method`. */
  readonly method: string;
  /** The request's header list as it came in, pseudo-header fields included. Not to be changed. */
  readonly headers: HeaderList;
  /** The connection's socket. To look at, not to use; for the client's certificate ask {@link peerCertificate}. */
  readonly socket: Socket;
  /** When the call must have ended, as milliseconds since the epoch, on a clock that is never set back; undefined: never. */
  readonly deadline: number | undefined;
  /** @internal What {@link withSignal} added to the incoming call's own cancellation. */
  readonly ownSignals: readonly AbortSignal[];
  readonly #shared: SharedState;
  readonly #values: ContextValues | undefined;
  #metadata: Metadata | undefined;
  #signal: AbortSignal | undefined;

  private constructor(
    method: string,
    headers: HeaderList,
    socket: Socket,
    deadline: number | undefined,
    shared: SharedState,
    metadata: Metadata | undefined,
    ownSignals: readonly AbortSignal[],
    values: ContextValues | undefined,
  ) {
    this.method = method;
    this.headers = headers;
    this.socket = socket;
    this.deadline = deadline;
    this.ownSignals = ownSignals;
    this.#shared = shared;
    this.#metadata = metadata;
    this.#values = values;
  }

  /** @internal For the server; derive others from it. */
  static ofRequest(
    method: string,
    headers: HeaderList,
    socket: Socket,
    deadline: number | undefined,
  ): CallContext {
    const shared = new SharedState(deadline);
    return new CallContext(method, headers, socket, deadline, shared, undefined, NO_SIGNALS, undefined);
  }

  /** The metadata: the client's, made from the header list when first asked for, or what replaced it. */
  get metadata(): Metadata {
    this.#metadata ??= Metadata.fromHeaders(this.headers);
    return this.#metadata;
  }

  /** @internal Whether a value is a context, and not something made to look like one. */
  static is(value: unknown): value is CallContext {
    return typeof value === 'object' && value !== null && #shared in value;
  }

  /** @internal Whether a value is a context of the same call as this one. */
  isOfSameCall(value: unknown): value is CallContext {
    return typeof value === 'object' && value !== null && #shared in value && value.#shared === this.#shared;
  }

  /** @internal Whether {@link metadata} may differ from the header list. */
  get hasOwnMetadata(): boolean {
    return this.#metadata !== undefined;
  }

  /** The authority that the client asked for: by `:authority`, or else by `host` (RFC 9113 section 8.3.1). */
  get authority(): string | undefined {
    return headerValue(this.headers, ':authority') ?? headerValue(this.headers, 'host');
  }

  /** The client's address, `host:port`; empty for a unix socket. */
  get peer(): string {
    this.#shared.peer ??= peerAddress(this.socket);
    return this.#shared.peer;
  }

  /**
   * The certificate that the client has shown and that has been verified, with mutual TLS; the same object for all calls
   * of a connection, also once that is closed. Undefined without one: over cleartext, and for a certificate that nobody
   * vouches for, which a server with `rejectUnauthorized: false` lets in: anybody can make one for any name.
   */
  get peerCertificate(): PeerCertificate | undefined {
    return peerCertificateOf(this.socket);
  }

  /**
   * Aborts, with a `StatusError` as its reason, when the client cancels or the deadline, of this context, passes; and
   * with its reason when a signal of {@link withSignal} aborts. Not after the call has ended. A listener of it that
   * throws is an uncaught exception, as with any `AbortSignal` (Node's EventTarget throws on the next tick).
   */
  get signal(): AbortSignal {
    const shared = this.#shared;
    const isCalls = this.deadline === shared.deadline;
    if (isCalls && this.ownSignals.length === 0) return shared.cancellation.signal;
    // The call has a timer for its deadline.
    const end = { signals: this.ownSignals, deadline: isCalls ? undefined : this.deadline };
    this.#signal ??= shared.cancellation.derive(end);
    return this.#signal;
  }

  /**
   * The same call with other metadata; gRPC's own fields (content-type, encodings) stay the client's.
   *
   * @throws TypeError for what is no metadata, nor can be made to be
   */
  withMetadata(metadata: Metadata | MetadataInit): CallContext {
    return this.#derive({ metadata: Metadata.of(metadata) });
  }

  /**
   * The same call to another method, `/service/method`.
   *
   * @throws TypeError if it is no path of printable ASCII
   */
  withMethod(method: string): CallContext {
    return this.#derive({ method: checkedMethod(method) });
  }

  /**
   * The same call with a deadline (milliseconds since the epoch) unless it has an earlier one already.
   *
   * @throws TypeError for what is no time
   */
  withDeadline(deadline: number | Date): CallContext {
    const time = checkedTime('a deadline', deadline);
    return this.#derive({ deadline: Math.min(time, this.deadline ?? Infinity) });
  }

  /**
   * The same call with at most so many milliseconds from now.
   *
   * @throws TypeError for what is no number
   */
  withTimeout(milliseconds: number): CallContext {
    // A text, of the environment say, would be put behind the digits of the time.
    if (typeof milliseconds !== 'number')
      throw wrongType('a timeout', 'a number of milliseconds', milliseconds);
    return this.withDeadline(now() + milliseconds);
  }

  /**
   * The same call, cancelled by this signal, too.
   *
   * @throws TypeError for what is no signal
   */
  withSignal(signal: AbortSignal): CallContext {
    if (!(signal instanceof AbortSignal)) throw wrongType('a signal', 'an AbortSignal', signal);
    return this.#derive({ ownSignals: [...this.ownSignals, signal] });
  }

  /** The value that {@link withValue} has set by this key, the last one if several did; undefined if none has. */
  value<T>(key: ContextKey<T>): T | undefined {
    return valueIn(this.#values, key);
  }

  /**
   * The same call with a value of the application's: who is calling, say. All contexts that are derived from the new one
   * have it, too; nothing of it is sent to anybody.
   *
   * @throws TypeError for what is no key
   */
  withValue<T>(key: ContextKey<T>, value: NoInfer<T>): CallContext {
    if (typeof key !== 'object' || key === null) throw wrongType('a key', 'a ContextKey', key);
    return this.#derive({ values: { key, value, before: this.#values } });
  }

  /** For logs: the method, who calls whom, the deadline, and the metadata as {@link Metadata.toJSON}. */
  toJSON(): object {
    const { method, authority, deadline } = this;
    // Nothing is kept: of metadata that has been made it is known that it may have been changed.
    const metadata = this.#metadata ?? Metadata.fromHeaders(this.headers);
    const peer = this.#shared.peer ?? peerAddress(this.socket);
    return { method, authority, peer, deadline, metadata: metadata.toJSON() };
  }

  /** @internal */
  [inspect.custom](): object | string {
    return shown(() => this.toJSON());
  }

  /** @internal For the server: aborts {@link signal} of all contexts of the call. */
  cancel(reason: Error): void {
    this.#shared.cancellation.cancel(reason);
  }

  /** @internal For the server: the call has ended, and no signal of it waits for anything any more. */
  end(): void {
    this.#shared.end();
  }

  #derive(changed: Changes): CallContext {
    return new CallContext(
      changed.method ?? this.method,
      this.headers,
      this.socket,
      changed.deadline ?? this.deadline,
      this.#shared,
      changed.metadata ?? this.#metadata,
      changed.ownSignals ?? this.ownSignals,
      changed.values ?? this.#values,
    );
  }
}

brand(CallContext, 'CallContext');

const shown = shownAs('CallContext');

interface Changes {
  readonly method?: string;
  readonly deadline?: number;
  readonly metadata?: Metadata;
  readonly ownSignals?: readonly AbortSignal[];
  readonly values?: ContextValues;
}

/** What is wrong with a value that was given as a context, and is none, or another copy's of this package. */
export function notAContext(role: string, value: unknown, which = 'a CallContext'): TypeError {
  const what = `${which}, as withMetadata() and the like make${ofAnotherCopy(value, 'CallContext')}`;
  return ownError('ERR_INVALID_ARG_TYPE', `${role} must be ${what}`);
}

/** The address of a socket's peer, `host:port`; empty for a unix socket, and once it is closed. */
export function peerAddress({ remoteAddress, remotePort, remoteFamily }: Socket): string {
  if (remoteAddress === undefined) return '';
  return remoteFamily === 'IPv6' ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

const NO_SIGNALS: readonly AbortSignal[] = [];

/** What all contexts of a call share. */
class SharedState {
  /** The client's. */
  readonly deadline: number | undefined;
  /** Once it was asked for. */
  peer: string | undefined;
  #isEnded = false;
  /** Made when somebody asks for a signal, or the call is cancelled: most calls have none. */
  #cancellation: Cancellation | undefined;

  constructor(deadline: number | undefined) {
    this.deadline = deadline;
  }

  get cancellation(): Cancellation {
    if (this.#cancellation === undefined) {
      this.#cancellation = new Cancellation();
      if (this.#isEnded) this.#cancellation.end();
    }
    return this.#cancellation;
  }

  end(): void {
    this.#isEnded = true;
    this.#cancellation?.end();
  }
}

/**
 * The context for an outgoing call with the metadata of an incoming one, as a copy to change: what
 * `metadata.IncomingToOutgoing` is in the Go package. A destination without a context gets this anyway, only cheaper.
 */
export function incomingToOutgoing(ctx: CallContext): CallContext {
  return ctx.withMetadata(ctx.metadata.clone());
}
