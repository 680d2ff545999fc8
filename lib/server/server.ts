import type { Socket } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { inspect } from 'node:util';
import { now } from '../call/clock.js';
import { CallContext } from '../call/context.js';
import { MAX_TIMER_MILLISECONDS } from '../call/deadline.js';
import type { CallObserver, FailedCall, RunningCall } from '../call/observer.js';
import type { Failure } from '../call/outcome.js';
import { isGrpcContentType } from '../grpc/content-type.js';
import { Code, StatusError } from '../grpc/status.js';
import { parseTimeout } from '../grpc/timeout.js';
import { unlessAborted } from '../port/abort.js';
import { type AddressInUse, formatAddress, type ListenAddress, listenAddressOf } from '../port/address.js';
import type { ServerTransport } from '../port/connection.js';
import { ErrorCode } from '../port/error-code.js';
import { outOfRange, ownError, wrongType } from '../port/errors.js';
import { type HeaderList, headerValue } from '../port/headers.js';
import {
  checkedBytes,
  checkFunction,
  checkOptions,
  checkSignal,
  type OptionNames,
  signalOf,
} from '../port/options.js';
import type { PeerRefusalReason } from '../port/peer-refusal.js';
import { shownAs } from '../port/shown.js';
import type { IncomingStream } from '../port/stream.js';
import { checkedLimits } from '../transport/check-limits.js';
import type { NodeHttp2Server } from '../transport/http2/node-types.js';
import { Http2ServerTransport } from '../transport/http2/server-transport.js';
import { DEFAULT_SERVER_LIMITS, type GivenLimits, type ServerLimits } from '../transport/limits.js';
import { ServerTls } from '../transport/server-tls.js';
import type { TransportName } from '../transport/transport-name.js';
import { createServerTransport } from '../transport/transports.js';
import { SERVER_DEFAULTS } from './defaults.js';
import type { StreamHandler, StreamInterceptor } from './handler.js';
import type { StreamHandlers } from './handlers.js';
import { runIntercepted } from './interceptors.js';
import { runHandler } from './run-handler.js';
import { RunningCalls } from './running-calls.js';
import type { ServerCall } from './server-call.js';
import { Services } from './services.js';

/** What a {@link Server} can be told. */
export interface ServerOptions {
  /** Handles calls to services that are not registered, `transparentHandler(director)` say; by default they are UNIMPLEMENTED. */
  unknownServiceHandler?: StreamHandler | undefined;
  /** Run in this order around every handler; none by default. */
  interceptors?: readonly StreamInterceptor[] | undefined;
  /** Looks on at every call; none by default, which costs nothing. More can be added by {@link Server.observe}. */
  observer?: CallObserver | undefined;
  /**
   * TLS, with these options of `tls.createServer()`; by default the server speaks cleartext HTTP/2 (h2c). `requestCert`
   * demands a certificate of clients, of the authorities in `ca` (without `ca`, of any that Node trusts).
   */
  tls?: TlsOptions | undefined;
  /** What speaks HTTP/2: `http2` (node:http2), the default, or `frames` (this package's own engine). */
  transport?: TransportName | undefined;
  /** The longest message given to a local handler, in bytes; default 4 MiB. What is proxied has no such limit. */
  maxReceiveMessageBytes?: number | undefined;
  /** What clients may cost; see {@link ServerLimits} for the defaults. */
  limits?: GivenLimits<ServerLimits> | undefined;
}

const SERVER_OPTIONS: OptionNames<ServerOptions> = {
  unknownServiceHandler: true,
  interceptors: true,
  observer: true,
  tls: true,
  transport: true,
  maxReceiveMessageBytes: true,
  limits: true,
};

/** How long it is waited for a server that begins to listen. */
export interface ListenOptions {
  /**
   * Gives it up while it is under way: what is listened at after all is given up as soon as it is. Without effect once the
   * server listens there. By default it is waited for.
   */
  readonly signal?: AbortSignal | undefined;
}

/** How a server is closed. */
export interface CloseOptions {
  /** After so long, calls that still run are ended with UNAVAILABLE, and connections closed. Default: never. */
  readonly timeoutMilliseconds?: number | undefined;
  /** Ends the waiting, and nothing else: the server goes on to drain. By default it is waited for the end. */
  readonly signal?: AbortSignal | undefined;
}

/** The time that the last statuses have to get to clients. */
const LAST_WORDS_MILLISECONDS = 100;

/**
 * Takes gRPC calls in, and gives each to its handler.
 *
 *     const server = new Server({ unknownServiceHandler: transparentHandler(director) });
 *     const { port } = await server.listen('127.0.0.1:0');
 *     process.once('SIGTERM', () => server.close({ timeoutMilliseconds: 30_000 }));
 *
 * @category Start here
 */
export class Server {
  readonly #services: Services;
  readonly #interceptors: readonly StreamInterceptor[];
  readonly #calls: RunningCalls;
  readonly #limits: ServerLimits;
  readonly #transportName: TransportName;
  readonly #tls: ServerTls | undefined;
  readonly #transport: ServerTransport;
  readonly #acceptor = {
    onStream: (stream: IncomingStream, headers: HeaderList, endStream: boolean) =>
      this.#accept(stream, headers, endStream),
    onPeerRefused: (socket: Socket, reason: PeerRefusalReason, text: string) =>
      this.#calls.peerRefused(socket, reason, text),
  };
  /** Where it has been listening. */
  readonly #addresses: string[] = [];
  #attached: Http2ServerTransport | undefined;
  readonly #closing = new AbortController();
  #closed: Promise<unknown> | undefined;
  /** The calls that {@link close} has ended. */
  #cutCalls = 0;

  /** @throws TypeError or RangeError for an option that makes no sense; Error for a certificate or key of no use */
  constructor(options: ServerOptions = {}) {
    checkOptions(options, SERVER_OPTIONS);
    const {
      unknownServiceHandler,
      observer,
      transport = SERVER_DEFAULTS.transport,
      maxReceiveMessageBytes,
    } = options;
    checkFunction('unknownServiceHandler', unknownServiceHandler);
    this.#services = new Services(unknownServiceHandler);
    this.#interceptors = checkedInterceptors(options.interceptors);
    const maxBytes = checkedBytes(
      'maxReceiveMessageBytes',
      maxReceiveMessageBytes,
      SERVER_DEFAULTS.maxReceiveMessageBytes,
    );
    this.#calls = new RunningCalls(maxBytes, observer === undefined ? undefined : checkedObserver(observer));
    this.#tls = options.tls === undefined ? undefined : new ServerTls(options.tls);
    this.#limits = checkedLimits(options.limits, DEFAULT_SERVER_LIMITS, 'limits');
    this.#transportName = transport;
    this.#transport = createServerTransport(transport, this.#acceptor, {
      tls: this.#tls,
      limits: this.#limits,
    });
  }

  /**
   * Registers the handlers of a service, by method name.
   *
   * @param service the full name, as in the path: `package.Service`
   * @param handlers a plain object, or an instance of a class: then all methods of the class, and of those which it
   *   extends, can be called by clients, but for `#private` ones
   * @throws Error (`ERR_SERVICE_REGISTERED`) if the service has been registered before; TypeError for what is no name of a
   *   service, if a handler is no function, or if there are none
   */
  register<T extends object>(service: string, handlers: StreamHandlers<T>): void {
    this.#services.register(service, handlers);
  }

  /** @internal As {@link register}; observers hear only of the calls that its handlers have observed. */
  registerUnobserved(service: string, handlers: Readonly<Record<string, StreamHandler>>): void {
    this.#services.register(service, handlers, false);
  }

  /**
   * Looks on at the calls that begin from now on, besides the observers that look on already.
   *
   * @throws TypeError for what is no object
   */
  observe(observer: CallObserver): void {
    this.#calls.addObserver(checkedObserver(observer));
  }

  /** @internal Tells of the calls that fail, for less than an observer costs those that do not. */
  set onFailedCall(listener: (call: FailedCall) => void) {
    this.#calls.onFailedCall = listener;
  }

  /** The calls that run and are observed, the oldest first: what began before there was any observer is left out. */
  get runningCalls(): readonly RunningCall[] {
    return this.#calls.observed;
  }

  /** Aborts when {@link close} or {@link destroy} begins: it takes no new calls then. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Starts to listen; can be called again for further addresses.
   *
   * @param address `HOST:PORT`, `:PORT` or `unix:/path`; a port; or `{ host, port }` or `{ path }`. Without a host it is
   *   every interface, as with `node:net`; port 0 takes a free one
   * @returns the address in use: `{ host, port }`, or `{ path }` for a unix socket
   * @throws TypeError or RangeError for what is no address; Node's error (EADDRINUSE, say) if it cannot listen there; Error
   *   (`ERR_CLOSED`) once the server is closed; the signal's reason when it aborts
   */
  async listen<Address extends string | number | ListenAddress>(
    address: Address,
    options: ListenOptions = {},
  ): Promise<AddressInUse<Address>> {
    const signal = signalOf(options);
    const inUse = await this.#transport.listen(listenAddressOf(address), signal);
    this.#addresses.push(formatAddress(inUse));
    return inUse as AddressInUse<Address>;
  }

  /**
   * Takes the gRPC calls of a `node:http2` server that you have already, and leaves it everything else. It and its
   * sessions stay yours to close: first `await server.close()`, which refuses new calls (REFUSED_STREAM, which
   * clients may retry elsewhere) and lets running ones finish.
   *
   * @throws TypeError for what is no such server; Error (`ERR_WRONG_TRANSPORT`) if this one was made with another
   *   `transport` than `http2`: that server speaks HTTP/2 itself
   */
  attach(server: NodeHttp2Server): void {
    if (typeof (server as Partial<NodeHttp2Server> | undefined | null)?.emit !== 'function') {
      throw wrongType('what is attached to', 'a server of node:http2', server);
    }
    if (this.#transportName !== 'http2') {
      throw ownError(
        'ERR_WRONG_TRANSPORT',
        "an attached server speaks HTTP/2 by node:http2: make a Server for it that has the transport 'http2'",
      );
    }
    this.#attached ??= new Http2ServerTransport(this.#acceptor, { tls: undefined, limits: this.#limits });
    this.#attached.attach(server, (headers) => isGrpcContentType(headerValue(headers, 'content-type')));
  }

  /**
   * Sets certificate, key, authorities and the like for the next handshakes, at every address; what is not given stays as
   * it is, and connections go on as they are. Does not concern an {@link attach}ed server.
   *
   * @throws Error (`ERR_TLS_OPTIONS`) that says what is wrong, a key of another certificate, say; Error (`ERR_NO_TLS`) for a
   *   server without TLS; TypeError for an option that is no `tls.SecureContextOptions`; then everything stays as it is
   */
  setSecureContext(options: SecureContextOptions): void {
    if (this.#tls === undefined) {
      throw ownError('ERR_NO_TLS', 'the server speaks no TLS: it was made without the option tls');
    }
    this.#tls.replace(options);
  }

  /**
   * Drains: no new connections and calls, running calls finish, and their shadows, connections close. Resolves when all
   * that is done, which is as long as the longest call, unless there is a timeout; {@link destroy} cuts it short.
   *
   * @returns how many calls had to be ended after the timeout
   * @throws TypeError or RangeError for an option that makes no sense; the signal's reason when it aborts: if it has before,
   *   nothing is begun
   */
  async close(options: CloseOptions = {}): Promise<number> {
    checkOptions(options, { timeoutMilliseconds: true, signal: true });
    const { timeoutMilliseconds = Infinity, signal } = options;
    checkTimeout(timeoutMilliseconds);
    checkSignal('signal', signal);
    signal?.throwIfAborted();
    this.#closing.abort();
    this.#closed ??= this.#drain();
    if (timeoutMilliseconds <= MAX_TIMER_MILLISECONDS) this.#limitDrain(this.#closed, timeoutMilliseconds);
    await unlessAborted(this.#closed, signal);
    return this.#cutCalls;
  }

  /** Whoever waits, or does not any more: the limit is the drain's. */
  #limitDrain(drained: Promise<unknown>, milliseconds: number): void {
    const timer = setTimeout(() => this.#cutShort(), milliseconds);
    const stop = (): void => clearTimeout(timer);
    drained.then(stop, stop);
  }

  async #drain(): Promise<void> {
    await Promise.all([this.#transport.close(), this.#attached?.close()]);
    // Not before: until its clients have heard of it calls come, and what goes on after those is waited for, too.
    await this.#calls.finished();
  }

  /** Ends the calls that still run, and then the connections, whatever their peers do. */
  #cutShort(): void {
    this.#cutCalls += this.#calls.end(shuttingDown());
    setTimeout(() => this.destroy(), LAST_WORDS_MILLISECONDS);
  }

  /** {@link close}, at the end of the block of an `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Ends all calls and connections at once, those of an {@link attach}ed server excepted: their sessions are yours to
   * destroy, which ends the calls on them.
   */
  destroy(): void {
    this.#closing.abort();
    this.#calls.endStragglers(shuttingDown());
    this.#transport.destroy();
  }

  /** For logs: where it has been listening, how many calls it has, and whether it is closing. */
  toJSON(): object {
    const { aborted: isClosing } = this.closing;
    return { addresses: [...this.#addresses], calls: this.#calls.count, isClosing };
  }

  /** @internal */
  [inspect.custom](): object | string {
    return shown(() => this.toJSON());
  }

  #accept(stream: IncomingStream, headers: HeaderList, endStream: boolean): void {
    if (headerValue(headers, ':method') !== 'POST') {
      this.#refuse(stream, headers, 405, 'allow', 'POST');
      return;
    }
    if (!isGrpcContentType(headerValue(headers, 'content-type'))) {
      // "If Content-Type does not begin with "application/grpc", gRPC servers SHOULD respond with HTTP status of
      // 415" (PROTOCOL-HTTP2, Requests).
      this.#refuse(stream, headers, 415);
      return;
    }
    const method = headerValue(headers, ':path') ?? '';
    const timeoutText = headerValue(headers, 'grpc-timeout');
    const timeout = timeoutText === undefined ? undefined : parseTimeout(timeoutText);
    const deadline = timeout === undefined ? undefined : now() + timeout;
    const context = CallContext.ofRequest(method, headers, stream.socket, deadline);
    const call = this.#calls.begin(stream, context, endStream);
    const handler = this.#services.handlerOf(method);
    if (!this.#services.isUnobserved(handler)) this.#calls.observe(call);
    if (timeoutText !== undefined && timeout === undefined) {
      const message = `malformed grpc-timeout: ${JSON.stringify(timeoutText)}`;
      call.end({ error: new StatusError(Code.INTERNAL, message), reason: 'rejected' });
      return;
    }
    if (typeof handler !== 'function') call.end({ error: handler, reason: 'no_route' });
    else if (call.observation?.isRunByWatcher) {
      call.observation.run(() => {
        // Where interceptors run, it is their context that observers are told in.
        if (this.#interceptors.length === 0) call.captureScope();
        this.#handle(call, handler);
      });
    } else this.#handle(call, handler);
  }

  #handle(call: ServerCall, handler: StreamHandler): void {
    if (this.#interceptors.length === 0) runHandler(call, handler);
    else runIntercepted(call, handler, this.#interceptors);
  }

  /** Answers what is no gRPC call by HTTP's own means. */
  #refuse(stream: IncomingStream, headers: HeaderList, httpStatus: number, ...fields: string[]): void {
    stream.sendHeaders([':status', String(httpStatus), ...fields], true);
    stream.reset(ErrorCode.NO_ERROR);
    this.#calls.refused(stream, headers, httpStatus);
  }
}

const shown = shownAs('Server');
/** A copy: what is none throws now, and not in each call. */
function checkedInterceptors(interceptors: ServerOptions['interceptors'] = []): readonly StreamInterceptor[] {
  if (!Array.isArray(interceptors)) throw wrongType('interceptors', 'an array of functions', interceptors);
  interceptors.forEach((interceptor, index) => {
    if (typeof interceptor !== 'function')
      throw wrongType(`interceptors[${index}]`, 'a function', interceptor);
  });
  return [...interceptors];
}

function checkedObserver(observer: CallObserver): CallObserver {
  if (typeof observer === 'object' && observer !== null) return observer;
  throw wrongType('an observer', 'an object with methods of CallObserver', observer);
}

function checkTimeout(timeoutMilliseconds: number): void {
  if (typeof timeoutMilliseconds !== 'number')
    throw wrongType('timeoutMilliseconds', 'a number', timeoutMilliseconds);
  if (timeoutMilliseconds >= 0) return;
  throw outOfRange('timeoutMilliseconds', 'a number from 0', timeoutMilliseconds);
}

function shuttingDown(): Failure {
  const error = StatusError.withoutStack(Code.UNAVAILABLE, 'server is shutting down');
  return { error, reason: 'draining' };
}
