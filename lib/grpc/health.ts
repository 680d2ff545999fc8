// What grpc.health.v1 says (gRPC's doc/health-checking.md), both ways, in as much of protobuf as its messages need.

/** "rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse)". */
export const HEALTH_WATCH_METHOD = '/grpc.health.v1.Health/Watch';

export const HEALTH_SERVICE = 'grpc.health.v1.Health';

/** `HealthCheckResponse.ServingStatus`. */
export const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;

export type ServingStatus = (typeof SERVING_STATUS)[number];

/** Field 1 of `HealthCheckRequest`, a string; of `HealthCheckResponse`, an enum. */
const SERVICE_TAG = (1 << 3) | 2;
const STATUS_TAG = (1 << 3) | 0;

/** `HealthCheckRequest { string service = 1; }` */
export function encodeHealthCheckRequest(service: string): Buffer {
  const name = Buffer.from(service);
  if (name.length === 0) return name;
  return Buffer.concat([Buffer.from([SERVICE_TAG, ...varint(name.length)]), name]);
}

/**
 * `HealthCheckResponse { ServingStatus status = 1; }`; a status that is not known here is UNKNOWN.
 *
 * @throws RangeError for bytes that are no such message
 */
export function decodeHealthCheckResponse(payload: Buffer): ServingStatus {
  let status = 0;
  for (let offset = 0; offset < payload.length; ) {
    const tag = readVarint(payload, offset);
    if (tag.value === STATUS_TAG) status = readVarint(payload, tag.end).value;
    offset = endOfField(payload, tag);
  }
  return SERVING_STATUS[status] ?? 'UNKNOWN';
}

/**
 * The service of a `HealthCheckRequest`.
 *
 * @throws RangeError for bytes that are no such message
 */
export function decodeHealthCheckRequest(payload: Buffer): string {
  let service = '';
  for (let offset = 0; offset < payload.length; ) {
    const tag = readVarint(payload, offset);
    const end = endOfField(payload, tag);
    if (tag.value === SERVICE_TAG) service = payload.toString('utf8', readVarint(payload, tag.end).end, end);
    offset = end;
  }
  return service;
}

/** `HealthCheckResponse { ServingStatus status = 1; }` */
export function encodeHealthCheckResponse(status: ServingStatus): Buffer {
  return Buffer.from([STATUS_TAG, SERVING_STATUS.indexOf(status)]);
}

/** `HealthListResponse { map<string, HealthCheckResponse> statuses = 1; }`, of the server as a whole, whose name is empty. */
export function encodeHealthListResponse(status: ServingStatus): Buffer {
  const value = encodeHealthCheckResponse(status);
  // An entry of a map is a message of a key, 1, and a value, 2: an empty key is left out.
  const entry = [(2 << 3) | 2, value.length, ...value];
  return Buffer.from([(1 << 3) | 2, entry.length, ...entry]);
}

/** Where a field ends, by its wire type: fields that later versions may have are passed over. */
function endOfField(payload: Buffer, tag: Varint): number {
  const end = tag.end + lengthOfField(payload, tag);
  if (end > payload.length) throw notHealth();
  return end;
}

function lengthOfField(payload: Buffer, { value: tag, end: start }: Varint): number {
  switch (tag & 7) {
    case 0:
      return readVarint(payload, start).end - start;
    case 1:
      return 8;
    case 2: {
      const { value, end } = readVarint(payload, start);
      return end - start + value;
    }
    case 5:
      return 4;
    default:
      throw notHealth();
  }
}

function notHealth(): RangeError {
  return new RangeError('no message of grpc.health.v1');
}

interface Varint {
  readonly value: number;
  /** The offset behind it. */
  readonly end: number;
}

function readVarint(bytes: Buffer, offset: number): Varint {
  let value = 0;
  let factor = 1;
  for (let end = offset; end < bytes.length && end < offset + 10; ) {
    const byte = bytes[end++]!;
    value += (byte & 0x7f) * factor;
    factor *= 128;
    if (byte < 128) return { value, end };
  }
  throw notHealth();
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}
