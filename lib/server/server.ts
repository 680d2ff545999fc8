import type { TlsOptions } from 'node:tls';
import { CallContext, now } from '../grpc/call-context.js';
import { isGrpcContentType } from '../grpc/content-type.js';
import { type HeaderList, headerValue } from '../grpc/headers.js';
import { Code, StatusError } from '../grpc/status.js';
import { ResetCode } from '../grpc/status-mapping.js';
import { parseTimeout } from '../grpc/timeout.js';
import { Http2ServerTransport, type NodeHttp2Server } from '../transport/http2/server-transport.js';
import type { IncomingStream, ListenAddress, ServerTransport, StreamAcceptor } from '../transport/port.js';
import { parseListenAddress } from '../transport/target.js';
import { createServerTransport, type TransportName } from '../transport/transports.js';
import { intercept } from './intercept.js';
import { ServerStream } from './server-stream.js';
import { removeStaleSocket } from './stale-socket.js';

/**
 * Handles one call. It ends OK when the handler returns (or its promise resolves), and with the error's status
 * when it throws; anything but a `StatusError` is UNKNOWN.
 */
export type StreamHandler = (stream: ServerStream) => void | Promise<void>;

/**
 * Runs around a handler: `next()` runs the next interceptor or the handler, and settles with its outcome.
 * What an interceptor throws is the call's status; without `next()` the handler, and the director, never run.
 */
export type StreamInterceptor = (stream: ServerStream, next: () => Promise<void>) => void | Promise<void>;

/** What a {@link Server} can be told. */
export interface ServerOptions {
  /** Handles calls to services that are not registered; without it they are UNIMPLEMENTED. */
  unknownServiceHandler?: StreamHandler | undefined;
  /** Run in this order around every handler; none by default. */
  interceptors?: readonly StreamInterceptor[] | undefined;
  /** TLS, with these options of `tls.createServer()`; without it the server speaks cleartext HTTP/2 (h2c). */
  tls?: TlsOptions | undefined;
  /** What speaks HTTP/2: `http2` (node:http2), the default, or `frames` (this package's own engine). */
  transport?: TransportName | undefined;
  /** The longest message given to a local handler, in bytes; default 4 MiB. What is proxied has no such limit. */
  maxReceiveMessageBytes?: number | undefined;
}

const MAX_RECEIVE_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Takes gRPC calls in, and gives each to its handler. */
export class Server implements StreamAcceptor {
  readonly #services = new Map<string, ReadonlyMap<string, StreamHandler>>();
  readonly #unknownServiceHandler: StreamHandler | undefined;
  readonly #interceptors: readonly StreamInterceptor[];
  readonly #maxReceiveMessageBytes: number;
  readonly #transport: ServerTransport;
  #attached: Http2ServerTransport | undefined;
  readonly #onCallFinished = (): void => this.#callFinished();
  #runningCalls = 0;
  #idle: (() => void) | undefined;
  #closed: Promise<unknown> | undefined;

  constructor(options: ServerOptions = {}) {
    this.#unknownServiceHandler = options.unknownServiceHandler;
    this.#interceptors = options.interceptors ?? [];
    this.#maxReceiveMessageBytes = options.maxReceiveMessageBytes ?? MAX_RECEIVE_MESSAGE_BYTES;
    this.#transport = createServerTransport(options.transport ?? 'http2', this, options.tls);
  }

  /**
   * Registers the handlers of a service, by method name.
   *
   * @param service the full name, as in the path: `package.Service`
   * @throws Error if the service has been registered before
   */
  register(service: string, handlers: Readonly<Record<string, StreamHandler>>): void {
    if (this.#services.has(service)) {
      throw new Error(
        `service ${JSON.stringify(service)} is registered already: give all its methods at once`,
      );
    }
    this.#services.set(service, new Map(Object.entries(handlers)));
  }

  /**
   * Starts to listen; can be called again for further addresses.
   *
   * @param address `HOST:PORT`, `:PORT` or `unix:/path`, or the same as an object; port 0 takes a free one
   * @returns the address in use
   * @throws TypeError for a malformed address; Node's error (EADDRINUSE, say) if it cannot listen there
   */
  async listen(address: string | ListenAddress): Promise<ListenAddress> {
    const where = typeof address === 'string' ? parseListenAddress(address) : address;
    if ('path' in where) await removeStaleSocket(where.path);
    return this.#transport.listen(where);
  }

  /**
   * Takes the gRPC calls of a `node:http2` server that you have already, and leaves it everything else. It and its
   * sessions stay yours to close: first `await server.close()`, which refuses new calls (REFUSED_STREAM, which
   * clients may retry elsewhere) and lets running ones finish.
   */
  attach(server: NodeHttp2Server): void {
    this.#attached ??= new Http2ServerTransport(this);
    this.#attached.attach(server);
  }

  /**
   * Drains: no new connections and calls, running calls finish, connections close. Resolves when all that is
   * done, which is as long as the longest call; {@link destroy} cuts it short.
   */
  async close(): Promise<void> {
    this.#closed ??= Promise.all([this.#transport.close(), this.#attached?.close(), this.#callsFinished()]);
    await this.#closed;
  }

  /** Ends all calls and connections at once. */
  destroy(): void {
    this.#transport.destroy();
  }

  /** @internal */
  onStream(stream: IncomingStream, headers: HeaderList, endStream: boolean): void {
    if (headerValue(headers, ':method') !== 'POST') {
      refuse(stream, [':status', '405', 'allow', 'POST']);
      return;
    }
    if (!isGrpcContentType(headerValue(headers, 'content-type'))) {
      // "If Content-Type does not begin with "application/grpc", gRPC servers SHOULD respond with HTTP status of
      // 415" (PROTOCOL-HTTP2, Requests).
      refuse(stream, [':status', '415']);
      return;
    }
    const method = headerValue(headers, ':path') ?? '';
    const timeoutText = headerValue(headers, 'grpc-timeout');
    const timeout = timeoutText === undefined ? undefined : parseTimeout(timeoutText);
    const deadline = timeout === undefined ? undefined : now() + timeout;
    const context = new CallContext(method, headers, stream.socket, deadline);
    this.#runningCalls++;
    const call = new ServerStream(
      stream,
      context,
      endStream,
      this.#maxReceiveMessageBytes,
      this.#onCallFinished,
    );
    if (timeoutText !== undefined && timeout === undefined) {
      call.finish(new StatusError(Code.INTERNAL, `malformed grpc-timeout: ${JSON.stringify(timeoutText)}`));
      return;
    }
    const handler = this.#handlerOf(method);
    if (handler instanceof StatusError) call.finish(handler);
    else if (this.#interceptors.length === 0) run(call, handler);
    else void this.#runIntercepted(call, handler);
  }

  #handlerOf(path: string): StreamHandler | StatusError {
    const slash = lastSlash(path);
    if (path[0] !== '/' || slash <= 1 || slash === path.length - 1) {
      return new StatusError(Code.UNIMPLEMENTED, `malformed method name: ${JSON.stringify(path)}`);
    }
    if (this.#services.size === 0 && this.#unknownServiceHandler !== undefined) {
      return this.#unknownServiceHandler;
    }
    const service = path.slice(1, slash);
    const method = path.slice(slash + 1);
    const handlers = this.#services.get(service);
    const handler = handlers?.get(method) ?? this.#unknownServiceHandler;
    if (handler !== undefined) return handler;
    return new StatusError(
      Code.UNIMPLEMENTED,
      handlers === undefined
        ? `unknown service ${service}`
        : `unknown method ${method} for service ${service}`,
    );
  }

  async #runIntercepted(call: ServerStream, handler: StreamHandler): Promise<void> {
    let next = (): Promise<void> =>
      new Promise((resolve, reject) => {
        call.interceptOutcome((error) => (error === undefined ? resolve() : reject(error)));
        if (call.cancelled === undefined) run(call, handler);
        else call.end(call.cancelled);
      });
    for (const interceptor of this.#interceptors.toReversed()) {
      const inner = next;
      next = () => intercept(call, interceptor, inner);
    }
    try {
      await next();
      call.finish(undefined);
    } catch (error) {
      call.finish(StatusError.from(error));
    }
  }

  #callFinished(): void {
    this.#runningCalls--;
    if (this.#runningCalls === 0) this.#idle?.();
  }

  #callsFinished(): Promise<void> {
    if (this.#runningCalls === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}

/** `lastIndexOf('/')`, without the call into V8's runtime that it takes. */
function lastSlash(path: string): number {
  let at = path.length - 1;
  while (at >= 0 && path.charCodeAt(at) !== SLASH) at--;
  return at;
}

const SLASH = 0x2f;

function run(call: ServerStream, handler: StreamHandler): void {
  let result: void | Promise<void>;
  try {
    result = handler(call);
  } catch (error) {
    call.end(StatusError.from(error));
    return;
  }
  if (result !== undefined) {
    Promise.resolve(result).then(
      () => {
        if (!call.takenOver) call.end();
      },
      (error) => call.end(StatusError.from(error)),
    );
  } else if (!call.takenOver) {
    call.end();
  }
}

/** Answers what is no gRPC call by HTTP's own means. */
function refuse(stream: IncomingStream, headers: HeaderList): void {
  stream.sendHeaders(headers, true);
  stream.reset(ResetCode.NO_ERROR);
}
