import { isUtf8 } from 'node:buffer';
import { outOfRange, wrongType } from '../port/errors.js';
import {
  LENGTH,
  lengthField,
  readFields,
  textField,
  VARINT,
  varintAt,
  varintField,
} from './protobuf-wire.js';

// Messages of google/rpc/error_details.proto, both ways. Reading gives undefined for bytes that are no such message.

/** `google.rpc.RetryInfo`. */
export interface RetryInfo {
  /** How long to wait, in milliseconds, sent in nanoseconds. A time that is over may be given as a negative one: it is 0. */
  readonly delayMilliseconds: number;
}

/** `google.rpc.ErrorInfo`. */
export interface ErrorInfo {
  /** The cause, as a constant of its domain: `RATE_LIMIT_EXCEEDED`. */
  readonly reason: string;
  /** Whose constants these are, mostly the name of a service: `storage.example.com`. */
  readonly domain: string;
  /** What else is to be known. Default: nothing. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** `google.rpc.BadRequest`. */
export interface BadRequest {
  /** Each field that is wrong. */
  readonly fieldViolations: readonly FieldViolation[];
}

/** `google.rpc.BadRequest.FieldViolation`. */
export interface FieldViolation {
  /** The path to a field: `user.addresses[1].street`. */
  readonly field: string;
  /** Why its value is bad, for people. */
  readonly description: string;
}

/** 10 000 years: "Must be from -315,576,000,000 to +315,576,000,000 inclusive" (google/protobuf/duration.proto). */
const MAX_SECONDS = 315_576_000_000;

/** `RetryInfo { Duration retry_delay = 1; }`, `Duration { int64 seconds = 1; int32 nanos = 2; }` */
export function encodeRetryInfo(retryInfo: RetryInfo): Buffer {
  const { delayMilliseconds } = checkedMessage('retryInfo', retryInfo);
  if (typeof delayMilliseconds !== 'number') {
    throw wrongType('retryInfo.delayMilliseconds', 'a number', delayMilliseconds);
  }
  if (!(delayMilliseconds <= MAX_SECONDS * 1000)) {
    throw outOfRange('retryInfo.delayMilliseconds', 'a number below 10 000 years', delayMilliseconds);
  }
  const delay = Math.max(0, delayMilliseconds);
  const seconds = Math.floor(delay / 1000);
  // Not rounded: it must stay below a second.
  const nanos = Math.floor((delay - seconds * 1000) * 1e6);
  return lengthField(1, Buffer.concat([varintField(1, seconds), varintField(2, nanos)]));
}

/** Undefined also for a delay that is negative, or none of protobuf's. */
export function decodeRetryInfo(message: Buffer): RetryInfo | undefined {
  let seconds = 0n;
  let nanos = 0n;
  const isMessage = eachPart(message, (field, duration) => {
    if (field !== 1) return true;
    return readFields(duration, 0, duration.length, (part, type, start, end) => {
      if (part === 1 && type === VARINT) seconds = varintAt(duration, start, end);
      if (part === 2 && type === VARINT) nanos = varintAt(duration, start, end);
      return true;
    });
  });
  const isDelay = seconds >= 0n && seconds <= MAX_SECONDS && nanos >= 0n && nanos < 1_000_000_000n;
  if (!isMessage || !isDelay) return undefined;
  return { delayMilliseconds: Number(seconds * 1_000_000_000n + nanos) / 1e6 };
}

/** `ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }` */
export function encodeErrorInfo(errorInfo: ErrorInfo): Buffer {
  const { reason, domain, metadata = {} } = checkedMessage('errorInfo', errorInfo);
  // Of a Map there would be nothing, and no word of it.
  if (Symbol.iterator in checkedMessage('errorInfo.metadata', metadata)) {
    throw wrongType('errorInfo.metadata', 'an object of texts by name', metadata);
  }
  const entries = Object.entries(metadata).map(([key, value]) =>
    lengthField(3, textFields(key, checkedText(`errorInfo.metadata.${key}`, value))),
  );
  return Buffer.concat([
    textFields(checkedText('errorInfo.reason', reason), checkedText('errorInfo.domain', domain)),
    ...entries,
  ]);
}

export function decodeErrorInfo(message: Buffer): ErrorInfo | undefined {
  const entries: [string, string][] = [];
  const isMessage = eachPart(message, (field, entry) => {
    if (field !== 3) return true;
    const texts = decodeTexts(entry);
    if (texts !== undefined) entries.push(texts);
    return texts !== undefined;
  });
  const texts = decodeTexts(message);
  if (!isMessage || texts === undefined) return undefined;
  const [reason, domain] = texts;
  // Any key is a property of its own by this, also `__proto__`.
  return { reason, domain, metadata: Object.fromEntries(entries) };
}

/** `BadRequest { repeated FieldViolation field_violations = 1; }`, `FieldViolation { string field = 1; string description = 2; }` */
export function encodeBadRequest(badRequest: BadRequest): Buffer {
  const { fieldViolations } = checkedMessage('badRequest', badRequest);
  const violations = checkedList('badRequest.fieldViolations', fieldViolations).map((violation, index) => {
    const name = `badRequest.fieldViolations[${index}]`;
    const { field, description } = checkedMessage(name, violation);
    return lengthField(
      1,
      textFields(checkedText(`${name}.field`, field), checkedText(`${name}.description`, description)),
    );
  });
  return Buffer.concat(violations);
}

export function decodeBadRequest(message: Buffer): BadRequest | undefined {
  const fieldViolations: FieldViolation[] = [];
  const isMessage = eachPart(message, (field, violation) => {
    if (field !== 1) return true;
    const texts = decodeTexts(violation);
    if (texts !== undefined) fieldViolations.push({ field: texts[0], description: texts[1] });
    return texts !== undefined;
  });
  return isMessage ? { fieldViolations } : undefined;
}

/** Reads the fields that are bytes, text or messages. */
export function eachPart(message: Buffer, visit: (field: number, part: Buffer) => boolean): boolean {
  return readFields(
    message,
    0,
    message.length,
    (field, type, start, end) => type !== LENGTH || visit(field, message.subarray(start, end)),
  );
}

/** What another library made of such a message will do, whatever else it holds. @throws TypeError if it is no object */
export function checkedMessage<T extends object>(name: string, value: T): T {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'an object', value);
  return value;
}

/** @throws TypeError if it is no array */
export function checkedList<T>(name: string, value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw wrongType(name, 'an array', value);
  return value;
}

/** @throws TypeError if it is no text */
export function checkedText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
  return value;
}

/** Text for people or programs; undefined if it is not UTF-8. */
export function decodeText(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

/** Fields 1 and 2, both text: how more than one message here begins. */
function textFields(first: string, second: string): Buffer {
  return Buffer.concat([textField(1, first), textField(2, second)]);
}

function decodeTexts(message: Buffer): [first: string, second: string] | undefined {
  const texts: [string, string] = ['', ''];
  const isMessage = eachPart(message, (field, bytes) => {
    if (field !== 1 && field !== 2) return true;
    const text = decodeText(bytes);
    if (text !== undefined) texts[field - 1] = text;
    return text !== undefined;
  });
  return isMessage ? texts : undefined;
}
