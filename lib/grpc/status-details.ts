import { wrongType } from '../port/errors.js';
import { checkOptions } from '../port/options.js';
import {
  type BadRequest,
  checkedList,
  checkedMessage,
  checkedText,
  decodeBadRequest,
  decodeErrorInfo,
  decodeRetryInfo,
  decodeText,
  type ErrorInfo,
  eachPart,
  encodeBadRequest,
  encodeErrorInfo,
  encodeRetryInfo,
  type RetryInfo,
} from './error-details.js';
import { lengthField, textField, varintField } from './protobuf-wire.js';
import { StatusError } from './status.js';

/** What a status says to programs, beside its code and message: gRPC's richer error model. */
export interface StatusDetails {
  /** When the client may try again. None by default. */
  readonly retryInfo?: RetryInfo | undefined;
  /** Why the call failed, in a program's words. None by default. */
  readonly errorInfo?: ErrorInfo | undefined;
  /** What was wrong with the request. None by default. */
  readonly badRequest?: BadRequest | undefined;
  /** Details of all other types, encoded. Default: none. */
  readonly others?: readonly EncodedDetail[] | undefined;
}

/** What {@link readStatusDetails} has found. */
export interface FoundStatusDetails extends StatusDetails {
  /** Empty if there are no others. */
  readonly others: readonly EncodedDetail[];
}

/** A message of any type, as `google.protobuf.Any` has it. */
export interface EncodedDetail {
  /** Its type: `type.googleapis.com/google.rpc.Help`. */
  readonly typeUrl: string;
  /** The message, encoded. */
  readonly value: Uint8Array;
}

const TRAILER = 'grpc-status-details-bin';

const TYPE_PREFIX = 'type.googleapis.com/';
const RETRY_INFO = 'google.rpc.RetryInfo';
const ERROR_INFO = 'google.rpc.ErrorInfo';
const BAD_REQUEST = 'google.rpc.BadRequest';

/**
 * More than this no status takes with its details. Libraries of gRPC have 8 KiB for all trailers, by default, and with more
 * clients lose the status itself: "this limit is more like 3 kiB, because the message is duplicated" and base64 adds a third
 * (github.com/grpc/grpc-go/issues/4265).
 */
const MAX_STATUS_BYTES = 3072;

/**
 * The error with details beside its code and message, as `google.rpc.Status` in the trailer `grpc-status-details-bin`, where
 * gRPC's libraries look for them. Its other trailers and its cause stay; details that it had are replaced, unless they are
 * given again: `withStatusDetails(error, { ...readStatusDetails(error), retryInfo })`.
 *
 * Message and details may take 3072 bytes, because clients lose a status that comes with large trailers. A detail for which
 * there is no room any more, in the order of {@link StatusDetails}, is left out.
 *
 * @throws TypeError for a detail that is not what its type says; RangeError for a delay that is NaN, or above 10 000 years
 */
export function withStatusDetails(error: StatusError, details: StatusDetails): StatusError {
  const { code, message, cause, trailers } = StatusError.from(error);
  const status = [varintField(1, code), textField(2, message)];
  let room = MAX_STATUS_BYTES - status[0]!.length - status[1]!.length;
  let isDetailed = false;
  for (const { typeUrl, value } of encodeDetails(details)) {
    const detail = lengthField(3, Buffer.concat([textField(1, typeUrl), lengthField(2, value)]));
    if (detail.length > room) continue;
    status.push(detail);
    room -= detail.length;
    isDetailed = true;
  }
  const detailed = new StatusError(code, message, trailers.clone());
  if (cause !== undefined) detailed.cause = cause;
  if (isDetailed) detailed.trailers.set(TRAILER, Buffer.concat(status));
  else detailed.trailers.delete(TRAILER);
  return detailed;
}

/**
 * The details of an error that a call failed with. Never throws: where there are none, or none that can be read, nothing but
 * empty `others` is there. Among them are details that are not of the type that they say, and more than one of a type.
 *
 * @param error whatever was caught
 */
export function readStatusDetails(error: unknown): FoundStatusDetails {
  const known: { retryInfo?: RetryInfo; errorInfo?: ErrorInfo; badRequest?: BadRequest } = {};
  const others: EncodedDetail[] = [];
  for (const { typeUrl, value } of decodeStatus(trailerOf(error))) {
    // "The last segment of the URL's path must represent the fully qualified name of the type" (google/protobuf/any.proto).
    const type = typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
    const retryInfo = type === RETRY_INFO && known.retryInfo === undefined && decodeRetryInfo(value);
    const errorInfo = type === ERROR_INFO && known.errorInfo === undefined && decodeErrorInfo(value);
    const badRequest = type === BAD_REQUEST && known.badRequest === undefined && decodeBadRequest(value);
    if (retryInfo) known.retryInfo = retryInfo;
    else if (errorInfo) known.errorInfo = errorInfo;
    else if (badRequest) known.badRequest = badRequest;
    else others.push({ typeUrl, value });
  }
  return { ...known, others };
}

function encodeDetails(details: StatusDetails): EncodedDetail[] {
  checkOptions(details, { retryInfo: true, errorInfo: true, badRequest: true, others: true }, 'details');
  const { retryInfo, errorInfo, badRequest, others = [] } = details;
  const encoded: EncodedDetail[] = [];
  const add = (type: string, value: Buffer) => encoded.push({ typeUrl: TYPE_PREFIX + type, value });
  if (retryInfo !== undefined) add(RETRY_INFO, encodeRetryInfo(retryInfo));
  if (errorInfo !== undefined) add(ERROR_INFO, encodeErrorInfo(errorInfo));
  if (badRequest !== undefined) add(BAD_REQUEST, encodeBadRequest(badRequest));
  for (const [index, other] of checkedList('others', others).entries()) {
    const { typeUrl, value } = checkedMessage(`others[${index}]`, other);
    if (!(value instanceof Uint8Array)) throw wrongType(`others[${index}].value`, 'a Uint8Array', value);
    encoded.push({ typeUrl: checkedText(`others[${index}].typeUrl`, typeUrl), value });
  }
  return encoded;
}

/** The bytes of the trailer; none if it is not there, or is no base64. */
function trailerOf(error: unknown): Buffer {
  try {
    return StatusError.from(error).trailers.get(TRAILER) ?? Buffer.alloc(0);
  } catch {
    return Buffer.alloc(0);
  }
}

/** `Status { int32 code = 1; string message = 2; repeated Any details = 3; }`; the status of the call is its trailers'. */
function decodeStatus(status: Buffer): { typeUrl: string; value: Buffer }[] {
  const details: { typeUrl: string; value: Buffer }[] = [];
  const isStatus = eachPart(status, (field, detail) => {
    if (field !== 3) return true;
    // `Any { string type_url = 1; bytes value = 2; }`
    let typeUrl: string | undefined = '';
    let value: Buffer = Buffer.alloc(0);
    const isAny = eachPart(detail, (part, bytes) => {
      if (part === 1) typeUrl = decodeText(bytes);
      if (part === 2) value = bytes;
      return typeUrl !== undefined;
    });
    details.push({ typeUrl, value });
    return isAny;
  });
  return isStatus ? details : [];
}
