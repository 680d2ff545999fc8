import { ownError } from '../port/errors.js';
import { LENGTH, lengthField, readFields, textField, VARINT, varintAt } from './protobuf-wire.js';

// What grpc.health.v1 says (gRPC's doc/health-checking.md), both ways, in as much of protobuf as its messages need.

/** "rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse)". */
export const HEALTH_WATCH_METHOD = '/grpc.health.v1.Health/Watch';

export const HEALTH_SERVICE = 'grpc.health.v1.Health';

/** `HealthCheckResponse.ServingStatus`. */
export const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;

export type ServingStatus = (typeof SERVING_STATUS)[number];

/** `HealthCheckRequest { string service = 1; }` */
export function encodeHealthCheckRequest(service: string): Buffer {
  return textField(1, service);
}

/**
 * `HealthCheckResponse { ServingStatus status = 1; }`; a status that is not known here is UNKNOWN.
 *
 * @throws RangeError for bytes that are no such message
 */
export function decodeHealthCheckResponse(payload: Buffer): ServingStatus {
  let status = 0;
  readMessage(payload, (field, type, start, end) => {
    if (field === 1 && type === VARINT) status = Number(varintAt(payload, start, end));
  });
  return SERVING_STATUS[status] ?? 'UNKNOWN';
}

/**
 * The service of a `HealthCheckRequest`.
 *
 * @throws RangeError for bytes that are no such message
 */
export function decodeHealthCheckRequest(payload: Buffer): string {
  let service = '';
  readMessage(payload, (field, type, start, end) => {
    if (field === 1 && type === LENGTH) service = payload.toString('utf8', start, end);
  });
  return service;
}

/** `HealthCheckResponse { ServingStatus status = 1; }`; also UNKNOWN is written. */
export function encodeHealthCheckResponse(status: ServingStatus): Buffer {
  return Buffer.from([(1 << 3) | VARINT, SERVING_STATUS.indexOf(status)]);
}

/** `HealthListResponse { map<string, HealthCheckResponse> statuses = 1; }`, of the server as a whole, whose name is empty. */
export function encodeHealthListResponse(status: ServingStatus): Buffer {
  // An entry of a map is a message of a key, 1, and a value, 2: an empty key is left out.
  return lengthField(1, lengthField(2, encodeHealthCheckResponse(status)));
}

function readMessage(
  payload: Buffer,
  visit: (field: number, type: number, start: number, end: number) => void,
): void {
  const isMessage = readFields(payload, 0, payload.length, (field, type, start, end) => {
    visit(field, type, start, end);
    return true;
  });
  if (!isMessage) throw ownError('ERR_OUT_OF_RANGE', 'no message of grpc.health.v1');
}
