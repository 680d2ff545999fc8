// Lets in who has a token, ten calls a second of each; who comes too often is told when to try again, in a way that gRPC's
// libraries understand. The backend learns who calls, and not by which token.
import { createHash } from 'node:crypto';
import { Code, dial, Server, StatusError, transparentHandler, withStatusDetails } from 'grpc-frame-proxy';

/** What a call takes of its user's time, in milliseconds, and how much of that may be borrowed. */
const CALL = 100;
const BURST = 1000;

/** By the SHA-256 of their tokens, so that neither this file nor the time of a lookup tells one: `s3cret` is alice's. */
const users = new Map([
  ['1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0', { name: 'alice', busyUntil: 0 }],
]);

const backend = dial('http://127.0.0.1:50061');
const server = new Server({
  interceptors: [
    (stream, next) => {
      const metadata = stream.context.metadata.clone();
      const token = metadata.get('authorization')?.replace(/^Bearer /, '') ?? '';
      const user = users.get(createHash('sha256').update(token).digest('hex'));
      if (user === undefined) throw new StatusError(Code.UNAUTHENTICATED, 'no valid token');

      const now = performance.now();
      const busyUntil = Math.max(user.busyUntil, now) + CALL;
      const delayMilliseconds = busyUntil - now - BURST;
      if (delayMilliseconds > 0) {
        const error = new StatusError(Code.RESOURCE_EXHAUSTED, 'too many calls');
        throw withStatusDetails(error, { retryInfo: { delayMilliseconds } });
      }
      user.busyUntil = busyUntil;

      metadata.delete('authorization');
      return next(stream.context.withMetadata(metadata.set('x-user', user.name)));
    },
  ],
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: backend } })),
});
await server.listen('127.0.0.1:50051');
