import { hasBrand } from '../port/brand.js';
import { headerListSize, isHeaderList } from '../port/headers.js';
import { type Code, isErrorCode } from './code.js';
import { Metadata } from './metadata.js';

/** What an error says that other code has made. */
export interface ForeignStatus {
  /** Undefined where it is no error's. */
  readonly code: Code | undefined;
  readonly message: string;
  readonly trailers: Metadata;
}

/**
 * The status that an error is, if it is one: a `StatusError` of another copy of this package; or an error of grpc-js, by its
 * `code`, `details` and `metadata`, all three, for a number as `code` alone has many an error, a child process's exit code,
 * say. What it has is read once, and may be anything. Never throws.
 */
export function foreignStatus(error: object): ForeignStatus | undefined {
  const code = property(error, 'code');
  if (hasBrand(error, 'StatusError')) {
    const message = property(error, 'message');
    const trailers = trailersOfAnotherCopy(error);
    if (trailers === undefined || typeof message !== 'string') return undefined;
    return { code: isErrorCode(code) ? code : undefined, message, trailers };
  }
  if (!isErrorCode(code)) return undefined;
  const details = property(error, 'details');
  if (typeof details !== 'string') return undefined;
  const trailers = metadataOfGrpcJs(property(error, 'metadata'));
  return trailers && { code, message: details, trailers };
}

function property(object: object, name: string): unknown {
  try {
    return Reflect.get(object, name);
  } catch {
    return undefined;
  }
}

/** By its list, where fields that a backend sent are as they came. Undefined where none is told, as by a clone or a proxy. */
function trailersOfAnotherCopy(error: object): Metadata | undefined {
  try {
    const list: unknown = Reflect.get(error, 'toTrailers').call(error);
    return isHeaderList(list) ? Metadata.fromHeaders(list) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * So much of the metadata of an error is sent on, in octets as header lists are counted, and what goes beyond is left out.
 * With the message it is below the 64 KiB that many clients take: they end the connection, with all of its calls, for more.
 */
const MAX_METADATA_BYTES = 16 * 1024;

/** What of it can be sent; undefined if it is no metadata of grpc-js. */
function metadataOfGrpcJs(metadata: unknown): Metadata | undefined {
  if (typeof metadata !== 'object' || metadata === null) return undefined;
  const getMap = property(metadata, 'getMap');
  const get = property(metadata, 'get');
  if (typeof getMap !== 'function' || typeof get !== 'function') return undefined;
  const copy = new SendableMetadata();
  try {
    for (const name of Object.keys(getMap.call(metadata))) {
      for (const value of get.call(metadata, name)) copy.append(name, value);
    }
  } catch {
    // The rest of it cannot be had.
  }
  return copy.fields;
}

class SendableMetadata {
  readonly fields = new Metadata();
  #room = MAX_METADATA_BYTES;

  /** Without gRPC's own fields: a client of grpc-js leaves there what came with the status, as `content-type`. */
  append(name: string, value: string | Uint8Array): void {
    try {
      const field = new Metadata([[name, value]]).toHeaders();
      const size = headerListSize(field);
      if (size > this.#room) return;
      this.fields.append(name, value);
      this.#room -= size;
    } catch {
      // A field that cannot be sent must not hide the status that it came with.
    }
  }
}
