import type { CallOptions } from '../client/call-options.js';
import { type CallReceiver, ClientCall } from '../client/client-call.js';
import { toClientConn } from '../client/client-conn.js';
import type { HeaderList } from '../grpc/headers.js';
import { StatusError } from '../grpc/status.js';
import type { ServerStream } from '../server/server-stream.js';
import type { Destination, ErrorVerdict } from './director.js';
import { FirstMessageReplacement } from './first-message.js';
import { Observation } from './response-observer.js';

const NOTHING = Buffer.alloc(0);

/** Who is told what a {@link DestinationStream} meets with. */
export interface DestinationOwner {
  onOpen(): void;
  onOpenFailed(destination: DestinationStream, error: StatusError): void;
  /** The primary's response headers. */
  onPrimaryHeaders(headers: HeaderList): void;
  /** The primary's DATA. */
  onPrimaryData(chunk: Buffer): void;
  onDrain(destination: DestinationStream): void;
  /** It has ended. */
  onEnded(destination: DestinationStream): void;
  /** What that means, once its error handler has said so. */
  onVerdict(
    destination: DestinationStream,
    error: StatusError | undefined,
    trailers: HeaderList | undefined,
  ): void;
}

/** A call's stream to one of its destinations. */
export class DestinationStream implements CallReceiver {
  readonly isPrimary: boolean;
  /** It has no room now: the client is held back. For the fan-out. */
  full = false;
  /** It takes and gives no more. */
  ended = false;
  readonly #owner: DestinationOwner;
  readonly #destination: Destination;
  readonly #call: ClientCall;
  readonly #replacement: FirstMessageReplacement | undefined;
  readonly #observation: Observation | undefined;

  constructor(
    owner: DestinationOwner,
    stream: ServerStream,
    destination: Destination,
    callOptions: CallOptions,
    isPrimary: boolean,
  ) {
    this.#owner = owner;
    this.#destination = destination;
    this.isPrimary = isPrimary;
    const { msg, observer } = destination;
    this.#replacement = msg === undefined ? undefined : new FirstMessageReplacement(msg);
    this.#observation = observer === undefined ? undefined : new Observation(observer);
    const context = destination.ctx ?? stream.context;
    const inheritsEnd = context.deadline === stream.deadline && context.ownSignal === undefined;
    this.#call = new ClientCall(toClientConn(destination.conn), context, callOptions, this, inheritsEnd);
  }

  start(): void {
    this.#call.start();
  }

  /** Sends what comes before the client's first byte. */
  begin(): boolean {
    return this.#replacement === undefined || this.#call.sendData(this.#replacement.message, false);
  }

  /** Sends a chunk of the request; false: no room for more until `onDrain`. */
  send(chunk: Buffer): boolean {
    const rest = this.#replacement === undefined ? chunk : this.#replacement.rest(chunk);
    return rest === undefined || this.#call.sendData(rest, false);
  }

  /** Half-closes. */
  end(): void {
    this.#call.sendData(NOTHING, true);
  }

  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  /** Ends the stream with RST_STREAM(CANCEL); nothing more is heard of it. */
  cancel(reason: StatusError): void {
    this.#call.cancel(reason);
    this.#observation?.status(reason, undefined);
  }

  /** Tells the error handler of a failure that is not its to decide about. */
  async tell(error: StatusError): Promise<void> {
    await this.#destination.errHandler?.(error);
  }

  onOpen(): void {
    this.#owner.onOpen();
  }

  onOpenFailed(error: StatusError): void {
    this.#observation?.status(error, undefined);
    this.#owner.onOpenFailed(this, error);
  }

  onHeaders(headers: HeaderList): void {
    this.#observation?.headers(headers);
    if (this.isPrimary) this.#owner.onPrimaryHeaders(headers);
  }

  onData(chunk: Buffer): void {
    this.#observation?.data(chunk);
    if (this.isPrimary) this.#owner.onPrimaryData(chunk);
  }

  onDrain(): void {
    this.#owner.onDrain(this);
  }

  onFinish(error: StatusError | undefined, trailers: HeaderList | undefined): void {
    this.#observation?.status(error, trailers);
    this.ended = true;
    this.#owner.onEnded(this);
    const { errHandler } = this.#destination;
    if (error === undefined || errHandler === undefined) {
      this.#owner.onVerdict(this, error, trailers);
      return;
    }
    let verdict: ErrorVerdict | Promise<ErrorVerdict>;
    try {
      verdict = errHandler(error);
    } catch (thrown) {
      this.#owner.onVerdict(this, StatusError.from(thrown), undefined);
      return;
    }
    if (verdict === undefined || verdict instanceof Error) {
      this.#onVerdict(verdict, error, trailers);
      return;
    }
    // A promise, or something like one; or what is no verdict, and fails the call.
    Promise.resolve(verdict).then(
      (answer) => this.#onVerdict(answer, error, trailers),
      (thrown) => this.#owner.onVerdict(this, StatusError.from(thrown), undefined),
    );
  }

  #onVerdict(verdict: ErrorVerdict | null, error: StatusError, trailers: HeaderList | undefined): void {
    if (verdict === undefined || verdict === null) this.#owner.onVerdict(this, undefined, undefined);
    else this.#owner.onVerdict(this, StatusError.from(verdict), verdict === error ? trailers : undefined);
  }
}
