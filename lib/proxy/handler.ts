import { Code, StatusError } from '../grpc/status.js';
import { ofAnotherCopy } from '../port/brand.js';
import { wrongType, wrongValue } from '../port/errors.js';
import { checkObject } from '../port/options.js';
import type { StreamHandler } from '../server/handler.js';
import type { StreamHandlers } from '../server/handlers.js';
import type { Server } from '../server/server.js';
import { ServerCall } from '../server/server-call.js';
import type { ServerStream } from '../server/server-stream.js';
import { checkedLimits } from '../transport/check-limits.js';
import { PROXY_DEFAULTS } from './defaults.js';
import type { StreamDirector, StreamParameters } from './director.js';
import { ProxyCall } from './proxy-call.js';

/** How calls are proxied. */
export interface ProxyOptions {
  /** What a director's `peek()` may hold of a call, in bytes; RESOURCE_EXHAUSTED beyond. Default 4 MiB. */
  readonly maxPeekBytes?: number | undefined;
  /**
   * How long a director's `peek()` waits for the client, in milliseconds; DEADLINE_EXCEEDED beyond. By default as long
   * as the call's deadline allows.
   */
  readonly peekTimeoutMilliseconds?: number | undefined;
  /**
   * How long a director may take for its answer, peeks included, in milliseconds; the call is DEADLINE_EXCEEDED beyond.
   * By default as long as the call's deadline allows.
   */
  readonly directorTimeoutMilliseconds?: number | undefined;
  /**
   * What may be held for the shadows of all calls of the process together, in bytes, before the one that would hold more
   * is reset. Default 64 MiB.
   */
  readonly maxShadowBytes?: number | undefined;
}

/**
 * A handler that sends calls where the director says, whatever they are: for a `Server`'s
 * `unknownServiceHandler`.
 *
 *     const files = dial('dns:///files.example:50051');
 *     const server = new Server({ unknownServiceHandler: transparentHandler(() => ({ primary: { conn: files } })) });
 *
 * @throws TypeError or RangeError for a director or an option that makes no sense
 * @category Start here
 */
export function transparentHandler(director: StreamDirector, options: ProxyOptions = {}): StreamHandler {
  if (typeof director !== 'function') throw wrongType('the director', 'a function', director);
  const limits = checkedLimits(options, PROXY_DEFAULTS, 'options');
  return (stream) => {
    new ProxyCall(callOf(stream), limits).direct(director);
  };
}

/**
 * Proxies one call from inside a handler that has found out itself where it goes.
 *
 * @returns the outcome: undefined for OK. The client has been told, or is once the interceptors are through. Rejected
 *   with a StatusError INTERNAL if the handler, or an interceptor, has read from the stream or answered on it, or if
 *   the call is proxied already.
 */
export function handleStream(
  stream: ServerStream,
  fullMethodName: string,
  parameters: StreamParameters,
): Promise<StatusError | undefined> {
  return new Promise((resolve) => {
    const call = callOf(stream);
    const context = call.context.withMethod(fullMethodName);
    // Nobody peeks.
    const proxied = new ProxyCall(call, PROXY_DEFAULTS, resolve);
    call.context = context;
    proxied.open(parameters);
  });
}

/**
 * Proxies these methods of a service, and no others of it.
 *
 * @param service the full name, as in the path: `package.Service`
 * @throws Error (`ERR_SERVICE_REGISTERED`) if the service has been registered before; TypeError if no method is named, or
 *   for what is no director or name
 */
export function registerService(
  server: Server,
  director: StreamDirector,
  service: string,
  ...methods: string[]
): void {
  const handler = transparentHandler(director);
  checkObject('the server', 'a Server', server, 'register');
  for (const method of methods) checkMethodName(method);
  server.register(service, Object.fromEntries(methods.map((method) => [method, handler])));
}

/**
 * Answers these methods of a service here, each by its handler.
 *
 * @param service the full name, as in the path: `package.Service`
 * @param handlers as for {@link Server.register}: a plain object, or an instance of a class
 * @throws Error (`ERR_SERVICE_REGISTERED`) if the service has been registered before; TypeError if a handler is no function,
 *   or there are none
 */
export function registerStreamHandlers<T extends object>(
  server: Server,
  service: string,
  handlers: StreamHandlers<T>,
): void {
  checkObject('the server', 'a Server', server, 'register');
  server.register(service, handlers);
}

/** By another name no call would ever find it: of an array of names, or of options, say. */
function checkMethodName(method: string): void {
  const expected = 'the name of a method, without its service';
  if (typeof method !== 'string') throw wrongType('a method', expected, method);
  if (!/^[^/]+$/.test(method)) throw wrongValue('a method', expected, method);
}

/** The server's own object behind what handlers see of a call. */
function callOf(stream: ServerStream): ServerCall {
  if (ServerCall.is(stream)) return stream;
  const whose = ofAnotherCopy(contextIn(stream), 'CallContext');
  throw new StatusError(
    Code.INTERNAL,
    `the stream to proxy must be the one that a Server gave to its handler${whose}`,
  );
}

/** The context of what may be anything, such as an object that has a stream for its prototype. */
function contextIn(stream: unknown): unknown {
  try {
    return (stream as Partial<ServerStream>).context;
  } catch {
    return undefined;
  }
}
