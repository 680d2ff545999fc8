import { inspect } from 'node:util';
import { brand } from '../port/brand.js';
import { ownError } from '../port/errors.js';
import { appendHeaders, type HeaderList, headerValue } from '../port/headers.js';
import { Code, isErrorCode } from './code.js';
import { foreignStatus } from './foreign-status.js';
import { Metadata, type MetadataInit } from './metadata.js';
import { decodeStatusMessage, encodeStatusMessage } from './status-message.js';
import { trailersOf } from './trailers.js';

export { Code } from './code.js';
export { decodeStatusMessage, encodeStatusMessage } from './status-message.js';

/**
 * A call's end with any status but OK: what handlers and directors throw, and what backends answered.
 *
 *     throw new StatusError(Code.PERMISSION_DENIED, 'not for you');
 *
 * @category Start here
 */
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
      throw ownError(
        'ERR_OUT_OF_RANGE',
        `a StatusError's code must be an integer from 1 to 16, not ${String(code)}`,
      );
    }
    this.code = code;
    this.#trailers = trailers === undefined ? undefined : Metadata.of(trailers);
  }

  // On the prototype rather than a field, so that `stack`, which is written by Error's constructor, shows it.
  /** `StatusError`, or that of a class which extends it. */
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
   * Whatever was thrown, as a StatusError:
   *
   * - itself, if it is one. If its code or message has been replaced by what is none, a new one is made of it
   * - the same code, message and trailers, if it is a StatusError of another copy of this package
   * - an error's code and details of grpc-js, and what of its metadata can be sent; by `code` (1 to 16), `details` and
   *   `metadata` together
   * - else UNKNOWN with the error's message, or the value's text if it is no Error; in the place of OpenSSL's text only the
   *   error's `code`
   *
   * What was thrown is the `cause` of a new one. Never throws.
   */
  static from(error: unknown): StatusError {
    const status = StatusError.#converted(error);
    if (status !== error) status.cause = error;
    return status;
  }

  static #converted(error: unknown): StatusError {
    if (typeof error !== 'object' || error === null) return new StatusError(Code.UNKNOWN, plainText(error));
    // By its fields: a copy of one with its prototype has none, and could not be sent.
    if (#wireTrailers in error) {
      return isIntact(error) ? error : new StatusError(codeOf(error), textOf(error), error.#trailers);
    }
    const foreign = foreignStatus(error);
    if (foreign === undefined) return new StatusError(Code.UNKNOWN, plainText(error));
    const { code = Code.UNKNOWN, message, trailers } = foreign;
    return new StatusError(code, message, trailers);
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

  /** For logs: the name, the code by name, the message, and the trailers if there are any, as {@link Metadata.toJSON}. */
  toJSON(): StatusErrorJson {
    const shown = { name: nameOf(this), code: codeName(this), message: textOf(this) };
    const trailers = this.#shownTrailers();
    return trailers === undefined ? shown : { ...shown, trailers };
  }

  /** @internal */
  [inspect.custom](): object | string {
    try {
      return this.#shown();
    } catch {
      // A proxy of one, the prototype, or one that the application has changed.
      return '[StatusError]';
    }
  }

  /** An error that Node shows as any: its class, stack, cause and what it has of its own. */
  #shown(): Error {
    const shown = new Error();
    Object.setPrototypeOf(shown, Object.getPrototypeOf(this));
    const trailers = this.#shownTrailers();
    const [name, message, stack] = [nameOf(this), textOf(this), this.stack as unknown];
    Object.defineProperties(shown, {
      ...Object.getOwnPropertyDescriptors(this),
      name: { value: name, enumerable: false },
      message: { value: message, enumerable: false },
      stack: { value: typeof stack === 'string' ? stack : `${name}: ${message}`, enumerable: false },
      code: { value: codeName(this), enumerable: true },
      ...(trailers && { trailers: { value: trailers, enumerable: true } }),
      [inspect.custom]: { value: undefined },
    });
    return shown;
  }

  #shownTrailers(): Record<string, string[]> | undefined {
    const trailers = this.#trailers ?? (this.#wireTrailers && Metadata.fromHeaders(this.#wireTrailers));
    return trailers === undefined || trailers.size === 0 ? undefined : trailers.toJSON();
  }
}

brand(StatusError, 'StatusError');

/** What {@link StatusError.toJSON} gives. */
export interface StatusErrorJson {
  /** `StatusError`, or the name of the class that extends it. */
  readonly name: string;
  /** The code by name: `NOT_FOUND`, say. */
  readonly code: keyof typeof Code;
  /** The error's message. */
  readonly message: string;
  /** The values of each name, secrets hidden; absent if there are none. */
  readonly trailers?: Readonly<Record<string, readonly string[]>>;
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

function codeName(error: StatusError): keyof typeof Code {
  return Code[codeOf(error)] as keyof typeof Code;
}

function nameOf(error: StatusError): string {
  try {
    return String(error.name);
  } catch {
    return 'StatusError';
  }
}

/**
 * OpenSSL's own text to the end of its line, as errors of node:tls and node:crypto have it: routines, and the paths and lines
 * of its source.
 */
const OPENSSL_TEXT = /(?:[0-9A-F]{1,20}:)?error:[0-9A-F]{8}:.*\n?/g;

/** The text of an error that is no status, without OpenSSL's: whom it is told is a client. */
function plainText(error: unknown): string {
  const text = textOf(error);
  if (!text.includes('error:')) return text;
  return text.replace(OPENSSL_TEXT, () => `OpenSSL error${codeText(error)}`);
}

function codeText(error: unknown): string {
  try {
    const { code } = error as NodeJS.ErrnoException;
    return typeof code === 'string' && /^ERR_[A-Z0-9_/]{1,100}$/.test(code) ? ` (${code})` : '';
  } catch {
    return '';
  }
}
