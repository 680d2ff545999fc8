import { warn } from '../client/onlooker.js';
import { type HeaderList, headerValue, trailersOf } from '../grpc/headers.js';
import { MessageScanner } from '../grpc/scanner.js';
import { Code, StatusError } from '../grpc/status.js';
import type { CallOwner, ServerStream } from '../server/server-stream.js';
import type { IncomingStream } from '../transport/port.js';
import { type DestinationOwner, DestinationStream } from './destination-stream.js';
import type { StreamDirector, StreamParameters } from './director.js';
import { RequestFanout } from './fanout.js';
import { Peeker } from './peeker.js';

/** One call on its way: asks the director, opens the destinations, pours, and decides how the call ends. */
export class ProxyCall implements CallOwner, DestinationOwner {
  readonly #stream: ServerStream;
  readonly #client: IncomingStream;
  readonly #peeker: Peeker;
  readonly #onSettled: ((error: StatusError | undefined) => void) | undefined;
  /** Of the request; set before anything is poured. */
  #scanner!: MessageScanner;
  /** The director has. */
  #answered = false;
  #parameters: StreamParameters | undefined;
  readonly #destinations: DestinationStream[] = [];
  #primary: DestinationStream | undefined;
  /** Set from when all destinations are open. */
  #fanout: RequestFanout | undefined;
  /** How many destinations have not been opened, and how many have not ended. */
  #opening = 0;
  #running = 0;
  /** What ends the call at once: the client's error, the primary's, or that a stream could not be opened. */
  #fatalError: StatusError | undefined;
  #secondaryError: StatusError | undefined;
  #settled = false;

  /** @param onSettled called with the outcome, once */
  constructor(
    stream: ServerStream,
    maxPeekBytes: number,
    onSettled?: (error: StatusError | undefined) => void,
  ) {
    this.#stream = stream;
    this.#onSettled = onSettled;
    this.#client = stream.takeOver(this);
    this.#peeker = new Peeker(this.#client, stream.inputEnded, stream.context.headers, maxPeekBytes);
    // While an interceptor was thinking, say.
    if (stream.cancelled !== undefined) this.#fail(stream.cancelled);
  }

  /** Asks the director, and goes where it says. */
  direct(director: StreamDirector): void {
    if (this.#fatalError !== undefined) {
      this.#refuse(this.#fatalError);
      return;
    }
    const { context } = this.#stream;
    let answer: StreamParameters | Promise<StreamParameters>;
    try {
      answer = director(context, context.method, this.#peeker);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (isParameters(answer)) {
      this.open(answer);
    } else {
      // A promise, or something like one; or nonsense.
      Promise.resolve(answer).then(
        (parameters) => this.open(parameters),
        (error) => this.#refuse(error),
      );
    }
  }

  /** Opens the streams to all destinations. */
  open(parameters: StreamParameters): void {
    this.#answered = true;
    this.#parameters = parameters;
    if (this.#fatalError !== undefined) {
      this.#settle();
      return;
    }
    try {
      if (!isParameters(parameters)) throw new TypeError('the director named no primary destination');
      this.#createDestinations(parameters);
      for (const destination of this.#destinations) {
        destination.start();
        if (this.#settled) return;
      }
    } catch (error) {
      this.#fail(StatusError.from(error));
    }
  }

  onOpen(): void {
    this.#opening--;
    if (this.#opening === 0 && !this.#settled) this.#pour();
  }

  onOpenFailed(failed: DestinationStream, error: StatusError): void {
    const role = failed.isPrimary ? 'primary' : 'secondary';
    const told = new StatusError(error.code, `initiate ${role} stream: ${error.message}`);
    for (const destination of this.#destinations) {
      // The seed tells them all and ignores what they answer; an error of their own must not be lost.
      destination.tell(told).catch(warn);
    }
    this.#fail(error);
  }

  onPrimaryHeaders(headers: HeaderList): void {
    if (!this.#settled) this.#stream.sendHeaderList(headers);
  }

  onPrimaryData(chunk: Buffer): void {
    if (this.#settled) return;
    if (!this.#client.sendData(chunk, false)) this.#primary?.pause();
  }

  onEnded(destination: DestinationStream): void {
    this.#fanout?.drained(destination);
  }

  onVerdict(
    destination: DestinationStream,
    error: StatusError | undefined,
    trailers: HeaderList | undefined,
  ): void {
    if (this.#settled) return;
    this.#running--;
    if (!destination.isPrimary) {
      if (error !== undefined) {
        this.#secondaryError ??= new StatusError(
          Code.INTERNAL,
          `failed proxying to secondary: ${error.message}`,
        );
      }
    } else {
      if (trailers !== undefined) this.#keepTrailers(trailers, error);
      if (error !== undefined) {
        this.#fail(error);
        return;
      }
    }
    if (this.#running === 0) this.#settle();
  }

  // What follows is the client's side.

  onHeaders(): void {
    // Request trailers: gRPC has none, so they say no more than that the client half-closes.
    this.onEnd();
  }

  onData(chunk: Buffer): void {
    if (this.#settled) return;
    if (this.#fanout === undefined) this.#peeker.push(chunk);
    else this.#push(this.#fanout, chunk);
  }

  onEnd(): void {
    this.#stream.markInputEnded();
    if (this.#settled) return;
    if (this.#fanout === undefined) this.#peeker.end();
    else this.#end(this.#fanout);
  }

  onReset(code: number, connectionLost: boolean): void {
    this.#fail(this.#stream.cancelByReset(code, connectionLost));
  }

  onCancel(error: StatusError): void {
    this.#fail(error);
  }

  onDrain(destination?: DestinationStream): void {
    if (destination === undefined) this.#primary?.resume();
    else this.#fanout?.drained(destination);
  }

  #refuse(error: unknown): void {
    this.#settled = true;
    this.#peeker.take();
    const outcome = this.#fatalError ?? StatusError.from(error);
    this.#stream.end(outcome);
    this.#onSettled?.(outcome);
  }

  #createDestinations({ primary, secondaries = [], callOptions = {} }: StreamParameters): void {
    this.#scanner = new MessageScanner(callOptions.maxSendMessageBytes);
    this.#primary = new DestinationStream(this, this.#stream, primary, callOptions, true);
    this.#destinations.push(this.#primary);
    for (const secondary of secondaries) {
      this.#destinations.push(new DestinationStream(this, this.#stream, secondary, callOptions, false));
    }
    this.#opening = this.#destinations.length;
    this.#running = this.#destinations.length;
  }

  /** Everybody is there: sends what has been peeked at, and lets the client go on. */
  #pour(): void {
    const fanout = new RequestFanout(this.#client, this.#destinations);
    this.#fanout = fanout;
    fanout.begin();
    const held = this.#peeker.take();
    if (held !== undefined) this.#push(fanout, held);
    if (this.#settled) return;
    if (this.#stream.inputEnded) this.#end(fanout);
    else if (!fanout.full) this.#client.resume();
  }

  #push(fanout: RequestFanout, chunk: Buffer): void {
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      this.#fail(error as StatusError);
      return;
    }
    fanout.push(chunk);
  }

  #end(fanout: RequestFanout): void {
    try {
      this.#scanner.end();
    } catch (error) {
      // Half a message must not look like a whole request to the destinations.
      this.#fail(error as StatusError);
      return;
    }
    fanout.end();
  }

  /** Keeps what the primary ended with, to send it on as it is. */
  #keepTrailers(trailers: HeaderList, error: StatusError | undefined): void {
    const contentType = headerValue(trailers, 'content-type');
    // Only a Trailers-Only response has one there.
    if (contentType !== undefined) this.#stream.responseContentType = contentType;
    if (error === undefined) {
      this.#stream.setTrailerList(trailers[0]?.startsWith(':') ? trailersOf(trailers) : trailers);
    }
  }

  #fail(error: StatusError): void {
    if (this.#settled) return;
    this.#fatalError ??= error;
    this.#peeker.fail(error);
    // While the director thinks there is nobody to cancel; the call ends when it answers.
    if (this.#answered) this.#settle();
  }

  #settle(): void {
    this.#settled = true;
    const error = this.#fatalError ?? this.#secondaryError;
    if (this.#running > 0) {
      const reason = error ?? new StatusError(Code.CANCELLED, 'the call has ended');
      for (const destination of this.#destinations) destination.cancel(reason);
    }
    const finalizer = this.#parameters?.requestFinalizer;
    if (finalizer === undefined) {
      this.#finish(error);
      return;
    }
    let finalized: void | Promise<void>;
    try {
      finalized = finalizer(error);
    } catch (thrown) {
      this.#finish(error ?? StatusError.from(thrown));
      return;
    }
    if (finalized !== undefined) {
      Promise.resolve(finalized).then(
        () => this.#finish(error),
        (thrown) => this.#finish(error ?? StatusError.from(thrown)),
      );
    } else {
      this.#finish(error);
    }
  }

  #finish(error: StatusError | undefined): void {
    this.#stream.end(error);
    this.#onSettled?.(error);
  }
}

/** Whether a director's answer is one, as far as the types' word is worth: it is the application's. */
function isParameters(answer: StreamParameters | Promise<StreamParameters>): answer is StreamParameters {
  return (answer as Partial<StreamParameters> | null | undefined)?.primary !== undefined;
}
