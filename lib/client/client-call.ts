import { type CallContext, now } from '../grpc/call-context.js';
import { isGrpcContentType } from '../grpc/content-type.js';
import { type HeaderList, headerValue, withoutContentLength } from '../grpc/headers.js';
import { Metadata } from '../grpc/metadata.js';
import { MessageScanner } from '../grpc/scanner.js';
import { Code, StatusError } from '../grpc/status.js';
import { codeFromHttpStatus, codeFromResetCode, ResetCode, resetCodeName } from '../grpc/status-mapping.js';
import type { Stream, StreamReceiver, StreamRequester } from '../transport/port.js';
import type { CallOptions } from './call-options.js';
import type { ClientConn } from './client-conn.js';
import { ConnectionBackoff } from './connection-backoff.js';
import { tellOnlooker } from './onlooker.js';
import { requestHeaders } from './request-headers.js';
import { SentData } from './sent-data.js';

/** What a {@link ClientCall} delivers. */
export interface CallReceiver {
  /** The request's HEADERS are out: data can be sent. */
  onOpen(): void;
  /** The stream could not be opened: the call is over, and the backend knows nothing of it. */
  onOpenFailed(error: StatusError): void;
  /** The response headers. Not called for a Trailers-Only response. */
  onHeaders(headers: HeaderList): void;
  /** DATA of the response: whole messages in the end, but cut anywhere. */
  onData(chunk: Buffer): void;
  /** `sendData` may be called again after it returned false. */
  onDrain(): void;
  /**
   * The call is over. `trailers` is the list that the backend ended it with; without one the proxy made the error
   * itself.
   */
  onFinish(error: StatusError | undefined, trailers: HeaderList | undefined): void;
}

/**
 * One call to a backend: waits for a connection, retries a stream that the backend refused, and turns the end of
 * the HTTP/2 stream into a gRPC status.
 */
export class ClientCall implements StreamRequester, StreamReceiver {
  readonly #conn: ClientConn;
  readonly #context: CallContext;
  readonly #options: CallOptions;
  readonly #receiver: CallReceiver;
  readonly #scanner: MessageScanner;
  #stream: Stream | undefined;
  /** What has been sent, while a refused stream can still be retried. */
  readonly #sent = new SentData();
  #credentials: Metadata | undefined;
  readonly #deadline: number | undefined;
  readonly #watchesEnd: boolean;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #abortListener: (() => void) | undefined;
  #backoff: ConnectionBackoff | undefined;
  #opened = false;
  #retried = false;
  #holdBack = false;
  #done = false;

  /** @param inheritsEnd whether the receiver sees to the context's deadline and cancellation */
  constructor(
    conn: ClientConn,
    context: CallContext,
    options: CallOptions,
    receiver: CallReceiver,
    inheritsEnd: boolean,
  ) {
    this.#conn = conn;
    this.#context = context;
    this.#options = options;
    this.#receiver = receiver;
    this.#scanner = new MessageScanner(options.maxReceiveMessageBytes);
    const { deadline } = options;
    this.#deadline = earlier(context.deadline, deadline === undefined ? undefined : Number(deadline));
    this.#watchesEnd = !inheritsEnd || this.#deadline !== context.deadline;
  }

  /** Opens the stream. */
  start(): void {
    if (this.#watchesEnd) this.#watchEnd();
    if (this.#done) return;
    const { credentials } = this.#options;
    if (credentials === undefined) this.#conn.transport.openStream(this);
    else void this.#openWithCredentials(credentials);
  }

  /** Sends DATA; false: hold back until `onDrain`. */
  sendData(chunk: Buffer, endStream: boolean): boolean {
    if (this.#done) return true;
    this.#sent.add(chunk, endStream);
    if (this.#stream === undefined) {
      // A retry is waiting for its connection.
      this.#holdBack = true;
      return false;
    }
    return this.#stream.sendData(chunk, endStream);
  }

  /** Holds the response back. */
  pause(): void {
    this.#stream?.pause();
  }

  /** Goes on with the response. */
  resume(): void {
    this.#stream?.resume();
  }

  /** Ends the call, with RST_STREAM(CANCEL) if the backend knows of it; nothing is delivered any more. */
  cancel(error: StatusError): void {
    if (this.#done) return;
    this.#leave();
    this.#tellFinish(error);
  }

  onStream(stream: Stream): void {
    this.#stream = stream;
    stream.receiver = this;
    try {
      stream.sendHeaders(
        requestHeaders(
          this.#context,
          { scheme: this.#conn.scheme, authority: this.#authority(), deadline: this.#deadline },
          this.#credentials,
        ),
        false,
      );
    } catch (error) {
      this.#openFailed(new StatusError(Code.INTERNAL, `cannot send the request headers: ${String(error)}`));
      return;
    }
    stream.resume();
    if (!this.#opened) {
      this.#opened = true;
      this.#receiver.onOpen();
    } else if (this.#sent.replay(stream) && this.#holdBack) {
      this.onDrain();
    }
  }

  onConnectError(error: Error): void {
    if (this.#options.waitForReady === true) {
      this.#backoff ??= new ConnectionBackoff();
      this.#backoff.wait(() => this.#conn.transport.openStream(this));
      return;
    }
    this.#openFailed(
      new StatusError(Code.UNAVAILABLE, `cannot connect to ${this.#conn.target}: ${describe(error)}`),
    );
  }

  onHeaders(received: HeaderList, endStream: boolean): void {
    this.#sent.drop();
    const headers = withoutContentLength(received);
    if (endStream) {
      this.#onTrailers(headers);
      return;
    }
    const error = notGrpc(headers);
    if (error !== undefined) {
      this.#finish(error, undefined);
      return;
    }
    const { onHeaders } = this.#options;
    if (onHeaders !== undefined) tellOnlooker(() => onHeaders(Metadata.fromHeaders(headers)));
    this.#receiver.onHeaders(headers);
  }

  onData(chunk: Buffer): void {
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      this.#finish(error as StatusError, undefined);
      return;
    }
    this.#receiver.onData(chunk);
  }

  onEnd(): void {
    // "Response → (Response-Headers *Length-Prefixed-Message Trailers) / Trailers-Only" (PROTOCOL-HTTP2).
    this.#finish(
      new StatusError(Code.INTERNAL, `${this.#conn.target} ended the response without trailers`),
      undefined,
    );
  }

  onReset(code: number, connectionLost: boolean): void {
    if (code === ResetCode.REFUSED_STREAM && this.#sent.complete && !this.#retried) {
      // "If the RPC […] has not been processed by the server-side application logic, gRPC will retry it once"
      // (gRFC A6, transparent retries).
      this.#retried = true;
      this.#sent.keep();
      this.#stream = undefined;
      this.#conn.transport.openStream(this);
      return;
    }
    this.#finish(
      connectionLost
        ? new StatusError(Code.UNAVAILABLE, `the connection to ${this.#conn.target} was lost`)
        : new StatusError(
            codeFromResetCode(code),
            `${this.#conn.target} reset the stream: ${resetCodeName(code)}`,
          ),
      undefined,
    );
  }

  onDrain(): void {
    this.#holdBack = false;
    this.#receiver.onDrain();
  }

  async #openWithCredentials(credentials: NonNullable<CallOptions['credentials']>): Promise<void> {
    try {
      this.#credentials = await credentials(this.#context);
    } catch (error) {
      this.#openFailed(StatusError.from(error));
      return;
    }
    if (!this.#done) this.#conn.transport.openStream(this);
  }

  #authority(): string | undefined {
    const { authority, preserveAuthority } = this.#options;
    return authority ?? (preserveAuthority === true ? this.#context.authority : this.#conn.authority);
  }

  #watchEnd(): void {
    const signal = this.#context.ownSignal;
    if (signal?.aborted) {
      this.#onAbort();
      return;
    }
    if (signal !== undefined) {
      this.#abortListener = () => this.#onAbort();
      signal.addEventListener('abort', this.#abortListener, { once: true });
    }
    if (this.#deadline !== undefined) this.#armDeadline(this.#deadline);
  }

  #onAbort(): void {
    this.#finish(new StatusError(Code.CANCELLED, 'the call was cancelled by its context'), undefined);
  }

  #armDeadline(deadline: number): void {
    this.#deadlineTimer = setTimeout(
      () => {
        if (now() < deadline) this.#armDeadline(deadline);
        else this.#finish(new StatusError(Code.DEADLINE_EXCEEDED, 'the deadline has passed'), undefined);
      },
      Math.min(Math.max(0, deadline - now()), 2 ** 31 - 1),
    );
  }

  #onTrailers(trailers: HeaderList): void {
    const hasStatus = headerValue(trailers, 'grpc-status') !== undefined;
    let error = hasStatus ? StatusError.fromTrailers(trailers) : missingStatus(trailers);
    if (error === undefined) {
      try {
        this.#scanner.end();
      } catch (truncated) {
        error = truncated as StatusError;
      }
    }
    const { onTrailers } = this.#options;
    if (onTrailers !== undefined) tellOnlooker(() => onTrailers(Metadata.fromHeaders(trailers)));
    this.#finish(error, trailers);
  }

  #finish(error: StatusError | undefined, trailers: HeaderList | undefined): void {
    if (this.#done) return;
    if (!this.#opened && error !== undefined) {
      this.#openFailed(error);
      return;
    }
    this.#leave();
    this.#tellFinish(error);
    this.#receiver.onFinish(error, trailers);
  }

  #openFailed(error: StatusError): void {
    if (this.#done) return;
    this.#leave();
    this.#tellFinish(error);
    if (this.#opened) this.#receiver.onFinish(error, undefined);
    else this.#receiver.onOpenFailed(error);
  }

  #tellFinish(error: StatusError | undefined): void {
    const { onFinish } = this.#options;
    if (onFinish !== undefined) tellOnlooker(() => onFinish(error));
  }

  #leave(): void {
    this.#done = true;
    this.#sent.drop();
    clearTimeout(this.#deadlineTimer);
    this.#backoff?.cancel();
    if (this.#abortListener !== undefined) {
      this.#context.ownSignal?.removeEventListener('abort', this.#abortListener);
    }
    // Without effect on a stream that has ended on both sides; else the backend must know that nobody listens.
    if (this.#stream !== undefined) this.#stream.reset(ResetCode.CANCEL);
    else this.#conn.transport.cancelOpen(this);
  }
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** The error that a response is by its headers, when they aren't gRPC's. */
function notGrpc(headers: HeaderList): StatusError | undefined {
  const status = Number(headerValue(headers, ':status'));
  if (status !== 200) {
    return new StatusError(codeFromHttpStatus(status), `the backend answered with HTTP status ${status}`);
  }
  const contentType = headerValue(headers, 'content-type');
  if (isGrpcContentType(contentType)) return undefined;
  const what = contentType === undefined ? 'no content-type' : `content-type ${JSON.stringify(contentType)}`;
  return new StatusError(Code.UNKNOWN, `the backend answered with ${what}, which is not gRPC`);
}

function missingStatus(trailers: HeaderList): StatusError {
  const status = headerValue(trailers, ':status');
  const notGrpcAtAll = status === undefined ? undefined : notGrpc(trailers);
  return notGrpcAtAll ?? new StatusError(Code.UNKNOWN, 'the backend ended the call without a grpc-status');
}

function describe(error: Error): string {
  // What `net` reports when each of a name's addresses failed has no message of its own.
  if (error instanceof AggregateError) return error.errors.map((each: Error) => each.message).join('; ');
  return error.message;
}
