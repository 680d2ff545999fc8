// Makes calls fail and wait where they say so, to find out what becomes of their clients: `x-fault-delay: 1500` waits so
// many milliseconds, and `x-fault-percent: 10` fails one call in ten.
import { setTimeout as pause } from 'node:timers/promises';
import {
  Code,
  dial,
  Server,
  StatusError,
  type StreamInterceptor,
  transparentHandler,
} from 'grpc-frame-proxy';

const MAX_DELAY_MILLISECONDS = 60_000;

const fault: StreamInterceptor = async (stream, next) => {
  const { metadata, signal } = stream.context;
  const delay = Number(metadata.get('x-fault-delay'));
  // No longer than the client waits: then the signal aborts.
  if (delay > 0) await pause(Math.min(delay, MAX_DELAY_MILLISECONDS), undefined, { signal });
  const percent = Number(metadata.get('x-fault-percent'));
  if (Math.random() * 100 < percent) throw new StatusError(Code.UNAVAILABLE, 'this fault was asked for');
  await next();
};

const backend = dial('http://127.0.0.1:50061');
const server = new Server({
  interceptors: [fault],
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: backend } })),
});
await server.listen('127.0.0.1:50051');
