/**
 * This package's own errors by their `code`, which stays when a message is worded anew. A `StatusError` is none of them: its
 * `code` is gRPC's number. Errors of the system (EADDRINUSE, say) keep the code that Node gives them.
 */
export interface ProxyErrors {
  /** An argument or an option is of another type than it must be; the message names it. As Node's. */
  ERR_INVALID_ARG_TYPE: TypeError;
  /** An argument or an option is of the right type, but no such value as it takes; the message names it. As Node's. */
  ERR_INVALID_ARG_VALUE: TypeError;
  /** A number is too small or too large, or no number where one is to be counted by. As Node's. */
  ERR_OUT_OF_RANGE: RangeError;
  /** There is no option of that name. */
  ERR_UNKNOWN_OPTION: TypeError;
  /** A config has mistakes: a `ConfigError`, which lists them. */
  ERR_INVALID_CONFIG: Error;
  /** TLS cannot be spoken by the options given: a key that is not the certificate's, say. */
  ERR_TLS_OPTIONS: Error;
  /** Certificates can be set only where TLS is made here: not for cleartext, nor over a session of yours. */
  ERR_NO_TLS: Error;
  /** Only a server on `node:http2` can be attached to one. */
  ERR_WRONG_TRANSPORT: Error;
  /** The service has handlers already. */
  ERR_SERVICE_REGISTERED: Error;
  /** What was closed can neither listen nor be changed any more. */
  ERR_CLOSED: Error;
  /** The call has ended: nothing more can be sent or read. */
  ERR_CALL_ENDED: Error;
  /** The call is proxied: its messages and its answer are no more for a handler. */
  ERR_CALL_PROXIED: Error;
  /** Response headers have been sent already. */
  ERR_HEADERS_SENT: Error;
  /** A peek after the director has answered, or a handler has begun to read. */
  ERR_PEEK_TOO_LATE: Error;
  /** The messages of a call are being waited for already: there is one reader. */
  ERR_ONE_READER: Error;
  /** An interceptor has called `next()` before, or has ended the call. */
  ERR_NEXT_CALLED: Error;
  /** A mistake in this package. As Node's. */
  ERR_INTERNAL_ASSERTION: Error;
}

/** The `code` of an error of this package; {@link ProxyErrors} says what each means. */
export type ProxyErrorCode = keyof ProxyErrors;

/** Those of which it is no plain `Error`. */
const CLASSES: { readonly [Code in ProxyErrorCode]?: new (message: string) => ProxyErrors[Code] } = {
  ERR_INVALID_ARG_TYPE: TypeError,
  ERR_INVALID_ARG_VALUE: TypeError,
  ERR_OUT_OF_RANGE: RangeError,
  ERR_UNKNOWN_OPTION: TypeError,
};

/** An error with its code. */
export function ownError<Code extends ProxyErrorCode>(
  code: Code,
  message: string,
): ProxyErrors[Code] & { readonly code: Code } {
  const error: Error = new (CLASSES[code] ?? Error)(message);
  return Object.assign(error, { code }) as ProxyErrors[Code] & { readonly code: Code };
}

/** @param name of the argument or option @param expected what it must be, with its article: `a number` */
export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return ownError('ERR_INVALID_ARG_TYPE', `${name} must be ${expected}, not ${typeOf(value)}`);
}

/** As {@link wrongType}, for a value of the right type. */
export function wrongValue(name: string, expected: string, value: unknown): TypeError {
  return ownError('ERR_INVALID_ARG_VALUE', `${name} must be ${expected}, not ${shown(value)}`);
}

/** As {@link wrongType}, for a number. */
export function outOfRange(name: string, expected: string, value: number): RangeError {
  return ownError('ERR_OUT_OF_RANGE', `${name} must be ${expected}, not ${value}`);
}

/** Nothing more can come of it. */
export function callHasEnded(): Error {
  return ownError('ERR_CALL_ENDED', 'the call has ended');
}

/** @param rest what becomes of what is asked for: its messages, say, go elsewhere */
export function callIsProxied(rest: string): Error {
  return ownError('ERR_CALL_PROXIED', `the call is proxied: its ${rest}`);
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** Longer texts are cut: they may be whole files, by mistake. */
const MAX_SHOWN = 100;

/** A value as the application wrote it, or what it is; never throws. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
    case 'object':
    case 'function':
    case 'symbol':
      return value === null ? 'null' : `a value of type ${typeOf(value)}`;
    default:
      return String(value);
  }
}
