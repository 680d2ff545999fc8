/**
 * The status codes of gRPC (statuscodes.md).
 *
 * @category Start here
 */
export enum Code {
  /** It succeeded. No `StatusError` has it. */
  OK = 0,
  /** Mostly its client has cancelled it. */
  CANCELLED = 1,
  /** It failed with an error that says no more: what a handler or a director throws that is no `StatusError`, say. */
  UNKNOWN = 2,
  /** The request makes no sense, whatever the state of the system. */
  INVALID_ARGUMENT = 3,
  /** Its time was over before it was done. */
  DEADLINE_EXCEEDED = 4,
  /** Something that it asks for does not exist. */
  NOT_FOUND = 5,
  /** What it was to make is there already. */
  ALREADY_EXISTS = 6,
  /** Its caller is known, and may not do this. */
  PERMISSION_DENIED = 7,
  /** A quota, a limit or room is used up: here, what a call or a client may cost. */
  RESOURCE_EXHAUSTED = 8,
  /** The system is not in the state that it needs; to try again is of no use until that is changed. */
  FAILED_PRECONDITION = 9,
  /** It met another one, as in a transaction; its client may begin anew at a higher level. */
  ABORTED = 10,
  /** It went past the end of something. */
  OUT_OF_RANGE = 11,
  /** Nobody serves this method here; or not in this way. */
  UNIMPLEMENTED = 12,
  /** Something is broken: a protocol, or what should always be true. */
  INTERNAL = 13,
  /** The service cannot be reached, or is shutting down; the call may be tried again. */
  UNAVAILABLE = 14,
  /** Data is lost or corrupt beyond repair. */
  DATA_LOSS = 15,
  /** It has no valid credentials. */
  UNAUTHENTICATED = 16,
}

/** Whether it is the code of an error. */
export function isErrorCode(code: unknown): code is Code {
  return (
    typeof code === 'number' &&
    Number.isInteger(code) &&
    code >= Code.CANCELLED &&
    code <= Code.UNAUTHENTICATED
  );
}
