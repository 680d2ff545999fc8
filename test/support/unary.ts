import { type Destination, encodeMessage } from '../../lib/index.js';
import type { World } from './behaviour.js';
import { type Http2Backend, type OnRequest, respond } from './http2-backend.js';
import { fieldValue, type Http2Client, type Response } from './http2-client.js';

export const METHOD = '/test.Service/Method';
export const MESSAGE = encodeMessage(Buffer.from('message'));

/** Answers OK, with a message. */
export const ok: OnRequest = ({ stream }) => respond(stream, MESSAGE);

/** The `grpc-status` of a response. */
export function status(response: Response): string | undefined {
  return fieldValue(response.trailers ?? response.headers, 'grpc-status');
}

/** The `grpc-message` of a response, as it is on the wire. */
export function message(response: Response): string | undefined {
  return fieldValue(response.trailers ?? response.headers, 'grpc-message');
}

/** A client of a proxy whose every call goes to one destination. */
export async function proxied(
  world: World,
  destination: Destination,
  callOptions = {},
): Promise<Http2Client> {
  const proxy = await world.proxy(() => ({ primary: destination, callOptions }));
  return world.http2Client(proxy.port);
}

/** Backends that answer so, and destinations that lead to them. */
export async function dialled(world: World, onRequests: readonly OnRequest[]) {
  const backends: Http2Backend[] = [];
  const destinations: Destination[] = [];
  for (const onRequest of onRequests) {
    const backend = await world.http2Backend(onRequest);
    backends.push(backend);
    destinations.push({ conn: world.dial(backend.port) });
  }
  return { backends, destinations };
}
