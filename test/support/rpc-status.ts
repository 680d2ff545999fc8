import protobuf from 'protobufjs';

/** `google.rpc.Status` and some of its details, as protobufjs has them: the judge of what is written and read here. */
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  package google;
  message rpc {
    message Any { string type_url = 1; bytes value = 2; }
    message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
    message Duration { int64 seconds = 1; int32 nanos = 2; }
    message RetryInfo { Duration retry_delay = 1; }
    message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
    message BadRequest {
      message FieldViolation { string field = 1; string description = 2; string reason = 3; }
      repeated FieldViolation field_violations = 1;
    }
    message Help {
      message Link { string description = 1; string url = 2; }
      repeated Link links = 1;
    }
  }`,
  { keepCase: true },
);

type Plain = Record<string, unknown>;

export function encode(type: string, message: Plain): Buffer {
  return Buffer.from(root.lookupType(`google.rpc.${type}`).encode(message).finish());
}

export function decode(type: string, bytes: Uint8Array): Plain {
  const found = root.lookupType(`google.rpc.${type}`);
  return found.toObject(found.decode(bytes), { longs: String, arrays: true, objects: true });
}

export const typeUrl = (type: string): string => `type.googleapis.com/google.rpc.${type}`;

/** A `google.rpc.Status` with these details, by their types. */
export function encodeStatus(
  code: number,
  message: string,
  ...details: readonly [type: string, value: Uint8Array][]
): Buffer {
  const any = details.map(([type, value]) => ({ type_url: typeUrl(type), value }));
  return encode('Status', { code, message, details: any });
}
