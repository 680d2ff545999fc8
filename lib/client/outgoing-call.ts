import { type Deferred, deferred } from '../call/deferred.js';
import { MessageQueue } from '../call/message-queue.js';
import type { Failure } from '../call/outcome.js';
import { WaitingSenders } from '../call/waiting-senders.js';
import { encodeMessage } from '../grpc/framing.js';
import { Metadata } from '../grpc/metadata.js';
import { Code, StatusError } from '../grpc/status.js';
import { NO_HOLDER } from '../port/account.js';
import { callHasEnded } from '../port/errors.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import type { CallReceiver } from './call-receiver.js';
import type { CallRoute } from './call-route.js';
import { ClientCall } from './client-call.js';
import type { CallStatus, ClientStream } from './client-stream.js';
import type { OwnRequest } from './own-request.js';

const NOTHING = Buffer.alloc(0);

/** A {@link ClientStream}: drives a `ClientCall`, and keeps what comes until it is asked for. */
export class OutgoingCall implements ClientStream, CallReceiver {
  readonly method: string;
  readonly #call: ClientCall;
  readonly #messages: MessageQueue;
  readonly #senders = new WaitingSenders();
  /** What was sent before there was a stream; undefined: there is, or was, one. */
  #early: Buffer[] | undefined = [];
  #hasEnded = false;
  readonly #headers: Deferred<Metadata> = deferred();
  readonly #status: Deferred<CallStatus> = deferred();
  /** What {@link status} resolves with, once the call is over. */
  #end: CallStatus | undefined;

  /** Begins the call at once. */
  constructor(route: CallRoute, request: OwnRequest) {
    this.method = request.context.method;
    this.#call = new ClientCall(route, request, this, NO_HOLDER);
    const { maxReceiveMessageBytes } = request.options;
    this.#messages = new MessageQueue(this.#call, undefined, maxReceiveMessageBytes, NO_HOLDER);
    this.#headers.promise.catch(ignore);
    this.#call.start();
  }

  get headers(): Promise<Metadata> {
    return this.#headers.promise;
  }

  get status(): Promise<CallStatus> {
    return this.#status.promise;
  }

  send(payload: Uint8Array): Promise<void> {
    const sent = this.#send(payload);
    // The messages and the status tell of the same failure.
    sent.catch(ignore);
    return sent;
  }

  async #send(payload: Uint8Array): Promise<void> {
    this.#checkRuns();
    if (this.#hasEnded) {
      throw this.#fail(
        new StatusError(Code.INTERNAL, 'the call has been half-closed: it takes no more messages'),
      );
    }
    let message: Buffer;
    try {
      message = encodeMessage(payload);
    } catch (error) {
      // What is not sent must not be missing without a word.
      throw this.#fail(new StatusError(Code.INTERNAL, (error as Error).message));
    }
    if (this.#early !== undefined) this.#early.push(message);
    else if (this.#call.sendData(message, false)) return;
    await this.#senders.wait();
    this.#checkRuns();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#early === undefined && this.#end === undefined) this.#call.sendData(NOTHING, true);
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        this.cancel();
        return { done: true, value: undefined };
      },
    };
  }

  cancel(): void {
    this.#fail(StatusError.withoutStack(Code.CANCELLED, 'the call was cancelled'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
  }

  onOpen(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    let hasRoom = true;
    for (const message of early) hasRoom = this.#call.sendData(message, false);
    if (this.#hasEnded) this.#call.sendData(NOTHING, true);
    if (hasRoom) this.#senders.release();
  }

  onOpenFailed({ error }: Failure): void {
    this.#finish(error, undefined);
  }

  onHeaders(headers: HeaderList): void {
    this.#messages.encoding = headerValue(headers, 'grpc-encoding');
    this.#headers.resolve(Metadata.fromHeaders(headers));
  }

  onData(chunk: Buffer): void {
    this.#messages.onData(chunk);
  }

  onDrain(): void {
    this.#senders.release();
  }

  onFinish(failure: Failure | undefined, trailers: HeaderList | undefined): void {
    this.#finish(failure?.error, trailers);
  }

  async #next(): Promise<IteratorResult<Buffer, undefined>> {
    let result: IteratorResult<Buffer, undefined>;
    try {
      result = await this.#messages.next();
    } catch (error) {
      // What cannot be inflated; or the call's own end; or a second reader, which is nobody's failure.
      if (!(error instanceof StatusError)) throw error;
      throw this.#fail(ofClient(error));
    }
    // The end must not wait for who does not know that it comes next.
    if (this.#messages.isEmpty) this.#call.resume();
    return result;
  }

  /** Why nothing can be sent any more, thrown. */
  #checkRuns(): void {
    if (this.#end instanceof StatusError) throw this.#end;
    if (this.#end !== undefined) throw callHasEnded();
  }

  /** Ends the call for a reason of this side; returns what it has ended with. */
  #fail(error: StatusError): StatusError {
    if (this.#end !== undefined) return this.#end instanceof StatusError ? this.#end : error;
    this.#call.cancel();
    this.#finish(error, undefined);
    return error;
  }

  #finish(error: StatusError | undefined, trailers: HeaderList | undefined): void {
    if (this.#end !== undefined) return;
    this.#early = undefined;
    if (error === undefined) {
      this.#end = { code: Code.OK, message: '', trailers: Metadata.fromHeaders(trailers ?? []) };
      this.#headers.resolve(new Metadata());
      this.#messages.onEnd();
    } else {
      this.#end = error;
      this.#headers.reject(error);
      this.#messages.fail(error);
    }
    this.#status.resolve(this.#end);
    this.#messages.onFinished();
    this.#senders.release();
  }
}

function ignore(): void {}

/**
 * "Data sent from a server compressed with an algorithm not supported by the client WILL result in an `INTERNAL` error
 * status on the client side" (compression.md); to a server it is UNIMPLEMENTED.
 */
function ofClient(error: StatusError): StatusError {
  return error.code === Code.UNIMPLEMENTED ? new StatusError(Code.INTERNAL, error.message) : error;
}
