import { appendHeaders, type HeaderList, headerValue } from '../port/headers.js';
import { Metadata, type MetadataInit } from './metadata.js';
import { decodeStatusMessage, encodeStatusMessage } from './status-message.js';
import { trailersOf } from './trailers.js';

export { decodeStatusMessage, encodeStatusMessage } from './status-message.js';

/** The status codes of gRPC (statuscodes.md). */
export enum Code {
  OK = 0,
  CANCELLED = 1,
  UNKNOWN = 2,
  INVALID_ARGUMENT = 3,
  DEADLINE_EXCEEDED = 4,
  NOT_FOUND = 5,
  ALREADY_EXISTS = 6,
  PERMISSION_DENIED = 7,
  RESOURCE_EXHAUSTED = 8,
  FAILED_PRECONDITION = 9,
  ABORTED = 10,
  OUT_OF_RANGE = 11,
  UNIMPLEMENTED = 12,
  INTERNAL = 13,
  UNAVAILABLE = 14,
  DATA_LOSS = 15,
  UNAUTHENTICATED = 16,
}

/** A call's end with any status but OK: what handlers and directors throw, and what backends answered. */
export class StatusError extends Error {
  /** Never OK. UNKNOWN when a backend sent a code that gRPC does not define. */
  readonly code: Code;
  #trailers: Metadata | undefined;
  #wireTrailers: HeaderList | undefined;

  /**
   * @param code any code but OK
   * @param message for people, any text; it becomes `grpc-message`, shortened to 4096 characters
   * @param trailers sent beside the status, or what they can be made of; none by default
   * @throws RangeError if the code is OK or none of gRPC's; TypeError if the trailers can't be metadata
   */
  constructor(code: Code, message: string, trailers?: Metadata | MetadataInit) {
    super(message);
    if (!isErrorCode(code)) {
      throw new RangeError(`a StatusError's code must be an integer from 1 to 16, not ${String(code)}`);
    }
    this.code = code;
    this.#trailers =
      trailers === undefined || trailers instanceof Metadata ? trailers : new Metadata(trailers);
  }

  // On the prototype rather than a field, so that `stack`, which is written by Error's constructor, shows it.
  override get name(): string {
    return 'StatusError';
  }

  /**
   * The metadata of the trailers. On an error that came from a backend it is a copy: what is changed there does
   * not show in {@link toTrailers}; make a new StatusError to change what is sent.
   */
  get trailers(): Metadata {
    this.#trailers ??= this.#wireTrailers ? Metadata.fromHeaders(this.#wireTrailers) : new Metadata();
    return this.#trailers;
  }

  /**
   * Whatever was thrown, as a StatusError: itself if it is one; else UNKNOWN with the error's message, or the
   * value's text if it is no Error, and the value as `cause`. Of a StatusError whose code or message has been replaced
   * by what is none, a new one is made. Never throws.
   */
  static from(error: unknown): StatusError {
    // By its fields: a copy of one with its prototype has none, and could not be sent.
    const isStatus = typeof error === 'object' && error !== null && #wireTrailers in error;
    if (isStatus && isIntact(error)) return error;
    const status = isStatus
      ? new StatusError(codeOf(error), textOf(error), error.#trailers)
      : new StatusError(Code.UNKNOWN, textOf(error));
    status.cause = error;
    return status;
  }

  /**
   * Reads the status of trailers, or of a Trailers-Only response; undefined if it is OK. The list must not be
   * changed afterwards: the error keeps it, for {@link toTrailers}. A `grpc-status` that is missing, malformed, or
   * contradicts another one gives UNKNOWN, with nothing kept.
   */
  static fromTrailers(headers: HeaderList): StatusError | undefined {
    const text = statusText(headers);
    if (text === '0') return undefined;
    if (text === undefined) return new StatusError(Code.UNKNOWN, 'missing grpc-status in trailers');
    // "Status → "grpc-status" 1*DIGIT ; 0-9" (PROTOCOL-HTTP2.md)
    if (!/^[0-9]+$/.test(text)) {
      return new StatusError(Code.UNKNOWN, `malformed grpc-status in trailers: ${JSON.stringify(text)}`);
    }
    const code = Number(text);
    if (code === Code.OK) return undefined;
    const message = decodeStatusMessage(headerValue(headers, 'grpc-message') ?? '');
    const status = StatusError.withoutStack(isErrorCode(code) ? code : Code.UNKNOWN, message);
    status.#wireTrailers = headers;
    return status;
  }

  /**
   * @internal An error that comes from a peer or the network: where the proxy notices it says nothing.
   */
  static withoutStack(code: Code, message: string): StatusError {
    return withoutStack(() => new StatusError(code, message));
  }

  /**
   * The trailers that say this, as a new list without pseudo-header fields. For an error that a backend
   * answered these are the fields that it sent, byte for byte, less `:status` and `content-type`, which a
   * Trailers-Only response holds and trailers must not.
   */
  toTrailers(): HeaderList {
    if (this.#wireTrailers) return trailersOf(this.#wireTrailers);
    const trailers: HeaderList = ['grpc-status', String(codeOf(this))];
    const message = shortened(textOf(this));
    if (message !== '') trailers.push('grpc-message', encodeStatusMessage(message));
    return this.#trailers === undefined ? trailers : appendHeaders(trailers, this.#trailers.toHeaders());
  }
}

/** It is not under `--frozen-intrinsics`. */
const stackTraceLimitIsWritable =
  Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true;

/** Makes an error that says nothing by where it is made: taking the stack costs more than the rest of it. */
export function withoutStack<T extends Error>(make: () => T): T {
  if (!stackTraceLimitIsWritable) return make();
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** The value of `grpc-status`. Several that differ, which clients would choose from, are joined: that is malformed. */
function statusText(headers: HeaderList): string | undefined {
  let text: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== 'grpc-status' || headers[i + 1] === text) continue;
    text = text === undefined ? headers[i + 1]! : `${text}, ${headers[i + 1]}`;
  }
  return text;
}

function isErrorCode(code: number): code is Code {
  return Number.isInteger(code) && code >= Code.CANCELLED && code <= Code.UNAUTHENTICATED;
}

/**
 * More of a message than this is not sent. Percent-encoded it is 36 KiB at most: peers refuse header lists above 64 KiB, or
 * less, and a field that is larger ends the connection with all of its calls (on Node 20 it only stands still).
 */
const MAX_MESSAGE_CHARACTERS = 4096;

function shortened(message: string): string {
  return message.length > MAX_MESSAGE_CHARACTERS ? `${message.slice(0, MAX_MESSAGE_CHARACTERS)}...` : message;
}

/** Whether code and message are what they must be: the error is the application's, which may have replaced them. */
function isIntact(error: StatusError): boolean {
  try {
    return isErrorCode(error.code) && typeof error.message === 'string';
  } catch {
    return false;
  }
}

/** UNKNOWN if the code has been replaced by what is none, OK included. */
function codeOf(error: StatusError): Code {
  try {
    return isErrorCode(error.code) ? error.code : Code.UNKNOWN;
  } catch {
    return Code.UNKNOWN;
  }
}

function textOf(value: unknown): string {
  try {
    return String(value instanceof Error ? value.message : value);
  } catch {
    // An object without a usable toString, or message.
    return 'unknown error';
  }
}
