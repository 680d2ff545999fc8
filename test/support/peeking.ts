import { encodeMessage, type Message, type StreamPeeker } from '../../lib/index.js';
import type { World } from './behaviour.js';
import { respond } from './http2-backend.js';

export const METHOD = '/test.Echo/Bidi';
export const MIB = 1024 * 1024;

export function text(messages: readonly Message[]): string[] {
  return messages.map(({ payload }) => payload.toString());
}

export function wire(...messages: string[]): Buffer {
  return Buffer.concat(messages.map((message) => encodeMessage(Buffer.from(message))));
}

/** A proxy whose director does this with the peeker, and a client and a backend that see bytes. */
export async function peeking(
  world: World,
  look: (peeker: StreamPeeker, signal: AbortSignal) => Promise<unknown>,
  maxPeekBytes?: number,
  onArrival?: () => void,
) {
  const received: Buffer[] = [];
  const backend = await world.http2Backend(async ({ stream, body }) => {
    onArrival?.();
    received.push((await body()).data);
    if (!stream.destroyed) respond(stream);
  });
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(
    async (ctx, _method, peeker) => {
      await look(peeker, ctx.signal);
      return { primary: { conn } };
    },
    {},
    { maxPeekBytes },
  );
  return { client: world.http2Client(port), received, sessions: backend.sessions };
}

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'not rejected',
    (error) => error,
  );
}
