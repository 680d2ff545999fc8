import type { StatusError } from '../grpc/status.js';
import type { Server, StreamHandler } from '../server/server.js';
import type { ServerStream } from '../server/server-stream.js';
import type { StreamDirector, StreamParameters } from './director.js';
import { ProxyCall } from './proxy-call.js';

/** How calls are proxied. */
export interface ProxyOptions {
  /** What a director's `peek()` may hold of a call, in bytes; RESOURCE_EXHAUSTED beyond. Default 4 MiB. */
  readonly maxPeekBytes?: number | undefined;
}

const MAX_PEEK_BYTES = 4 * 1024 * 1024;

/**
 * A handler that sends calls where the director says, whatever they are: for a `Server`'s
 * `unknownServiceHandler`.
 */
export function transparentHandler(director: StreamDirector, options: ProxyOptions = {}): StreamHandler {
  const maxPeekBytes = options.maxPeekBytes ?? MAX_PEEK_BYTES;
  return (stream) => {
    new ProxyCall(stream, maxPeekBytes).direct(director);
  };
}

/**
 * Proxies one call from inside a handler that has found out itself where it goes. The handler must not have read
 * from the stream or answered on it.
 *
 * @returns the outcome: undefined for OK. The client has been told, or is once the interceptors are through.
 */
export function handleStream(
  stream: ServerStream,
  fullMethodName: string,
  parameters: StreamParameters,
): Promise<StatusError | undefined> {
  return new Promise((resolve) => {
    stream.context = stream.context.withMethod(fullMethodName);
    new ProxyCall(stream, MAX_PEEK_BYTES, resolve).open(parameters);
  });
}

/**
 * Proxies these methods of a service, and no others of it.
 *
 * @param service the full name, as in the path: `package.Service`
 * @throws Error if the service has been registered before
 */
export function registerService(
  server: Server,
  director: StreamDirector,
  service: string,
  ...methods: string[]
): void {
  const handler = transparentHandler(director);
  server.register(service, Object.fromEntries(methods.map((method) => [method, handler])));
}

/**
 * Answers these methods of a service here, each by its handler.
 *
 * @param service the full name, as in the path: `package.Service`
 * @throws Error if the service has been registered before
 */
export function registerStreamHandlers(
  server: Server,
  service: string,
  handlers: Readonly<Record<string, StreamHandler>>,
): void {
  server.register(service, handlers);
}
