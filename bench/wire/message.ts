import { encodeMessage } from '../../lib/grpc/framing.js';

/** A gRPC message of so many bytes, prefix included in what is returned. */
export function messageOf(bytes: number): Buffer {
  return encodeMessage(Buffer.alloc(bytes, 'x'));
}
