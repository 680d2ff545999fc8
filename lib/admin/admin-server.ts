import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { warn } from '../call/hooks.js';
import { formatAddress, type ListenAddress, listenAddressOf } from '../port/address.js';
import { checkObject, checkOptions } from '../port/options.js';
import { Listeners } from '../transport/listeners.js';
import { AccessRules } from './access-rules.js';
import type { AdminSource } from './admin-source.js';
import { type Answer, Answers, line } from './answers.js';
import { ADMIN_LIMITS } from './defaults.js';
import { jsonText } from './json-text.js';
import { liveState } from './live-state.js';
import { pageFiles } from './page-files.js';
import { requestTarget } from './request-target.js';
import { Viewers } from './viewers.js';

/** Where the admin endpoint listens. */
export interface AdminOptions {
  /**
   * `HOST:PORT`, `:PORT` or `unix:/path`, a port, `{ host, port }` or `{ path }`; without a host it is every interface. By
   * default a free port of the loopback interface.
   */
  readonly address?: string | number | ListenAddress | undefined;
  /**
   * Names, without a port, by which it is reached, besides IP addresses and `localhost`: requests to other names are
   * refused. None by default.
   */
  readonly hosts?: readonly string[] | undefined;
}

/**
 * Makes an admin endpoint: health, metrics, state and a live page, over HTTP/1.1. It tells whoever can reach it all that
 * it knows, and lets them drain the process: it is for the loopback interface, or a network of operators.
 *
 *     const admin = adminServer(processSource({ server, backends: { files: conn } }), { address: '127.0.0.1:9901' });
 *     console.log(`admin at ${await admin.start()}`);
 *
 * @throws TypeError or RangeError for a source, an address or a host that is none
 */
export function adminServer(source: AdminSource, options: AdminOptions = {}): AdminServer {
  return new AdminServer(source, options);
}

/** What is done at a path; undefined: it has been done. */
type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<Answer | undefined>;

/** An admin endpoint; made by {@link adminServer}. */
export class AdminServer {
  readonly #source: AdminSource;
  readonly #address: ListenAddress;
  readonly #rules: AccessRules;
  readonly #answers = new Answers();
  readonly #viewers: Viewers;
  readonly #server: http.Server;
  readonly #listeners = new Listeners();
  readonly #gets: ReadonlyMap<string, Handler>;
  readonly #posts: ReadonlyMap<string, Handler>;
  /** Connections whose last request has not been answered. */
  readonly #busy = new WeakSet<Socket>();
  #page: ReadonlyMap<string, Answer> = new Map();

  /** @internal */
  constructor(source: AdminSource, options: AdminOptions) {
    checkObject('the source', 'an AdminSource, as processSource() gives it', source, 'ready');
    checkOptions(options, { address: true, hosts: true });
    const { address = '127.0.0.1:0', hosts = [] } = options;
    this.#source = source;
    this.#address = listenAddressOf(address);
    this.#rules = new AccessRules(hosts);
    this.#viewers = new Viewers(async () => jsonText(await liveState(source)));
    this.#gets = this.#getHandlers();
    this.#posts = this.#postHandlers();
    this.#server = http.createServer(
      {
        maxHeaderSize: ADMIN_LIMITS.maxHeaderBytes,
        headersTimeout: ADMIN_LIMITS.headersMilliseconds,
        requestTimeout: ADMIN_LIMITS.requestMilliseconds,
        keepAliveTimeout: ADMIN_LIMITS.keepAliveMilliseconds,
        connectionsCheckingInterval: ADMIN_LIMITS.checkMilliseconds,
      },
      (request, response) => void this.#onRequest(request, response),
    );
    this.#server.maxConnections = ADMIN_LIMITS.maxConnections;
  }

  /**
   * Starts to listen.
   *
   * @returns the URL of the live page; of a unix socket its address, `unix:/path`
   * @throws Node's error (EADDRINUSE, say) if it cannot listen there
   */
  async start(): Promise<string> {
    this.#page = await pageFiles();
    const address = await this.#listeners.listen(this.#server, this.#address);
    return 'path' in address ? formatAddress(address) : `http://${formatAddress(address)}/`;
  }

  /** Stops to listen, and closes its connections; what is being answered has a second to get there. Never rejected. */
  async close(): Promise<void> {
    this.#viewers.end();
    this.#listeners.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), ADMIN_LIMITS.closeMilliseconds);
    await closed;
    clearTimeout(timer);
  }

  /** {@link close}, at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Who asks for the next before he has this one (pipelining) could ask for thousands at once. Nobody does.
    const { socket } = request;
    if (this.#busy.has(socket)) {
      socket.destroy();
      return;
    }
    this.#busy.add(socket);
    response.once('close', () => this.#busy.delete(socket));
    // No request has a body that means anything.
    if (hasBody(request)) response.shouldKeepAlive = false;
    request.resume();
    try {
      const answer = await this.#answer(request, response);
      if (answer !== undefined) this.#answers.send(response, answer);
    } catch (error) {
      warn(error);
      this.#answers.send(response, line(500, 'this failed; the log says why'));
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> {
    const { method, url = '' } = request;
    const { host, path } = requestTarget(url);
    const refusal = this.#rules.refusalOf(request, host);
    if (refusal !== undefined) return line(403, refusal);
    const get = this.#gets.get(path);
    const post = this.#posts.get(path);
    const page = this.#page.get(path);
    if (post !== undefined) {
      return method === 'POST' ? post(request, response) : line(405, 'this takes POST', { allow: 'POST' });
    }
    if (get === undefined && page === undefined) return line(404, 'there is no such path');
    if (method !== 'GET' && method !== 'HEAD') return line(405, 'this takes GET', { allow: 'GET, HEAD' });
    return page ?? get?.(request, response);
  }

  #getHandlers(): ReadonlyMap<string, Handler> {
    const source = this.#source;
    const handlers = new Map<string, Handler>();
    const alive: Handler = async () => line(200, 'ok');
    handlers.set('/livez', alive);
    handlers.set('/healthz', alive);
    handlers.set('/readyz', async () => {
      const readiness = await source.ready();
      return readiness.ready ? line(200, 'ok') : line(503, readiness.reason);
    });
    handlers.set('/events', async (request, response) => this.#watch(request, response));
    if (source.metrics) {
      handlers.set('/metrics', async ({ headers }) => {
        const metrics = await source.metrics!(headers.accept);
        return { status: 200, ...metrics };
      });
    }
    for (const name of ['backends', 'calls', 'config'] as const) {
      if (source[name]) handlers.set(`/${name}`, async () => json(200, await source[name]!()));
    }
    return handlers;
  }

  #postHandlers(): ReadonlyMap<string, Handler> {
    const source = this.#source;
    const begin = (what: 'drain' | 'restart', why: string): Handler => {
      return async () => {
        if (source[what] === undefined) return line(409, why);
        void begun(source[what]());
        return line(202, 'begun');
      };
    };
    return new Map<string, Handler>([
      ['/drain', begin('drain', 'this cannot be drained from here')],
      ['/restart', begin('restart', 'there are no workers to replace')],
      [
        '/reload',
        async () => {
          if (source.reload === undefined) return line(409, 'there is no config to reload');
          const { mistakes } = await source.reload();
          return mistakes.length === 0 ? line(202, 'reloaded') : json(422, { mistakes });
        },
      ],
    ]);
  }

  #watch(request: IncomingMessage, response: ServerResponse): Answer | undefined {
    if (this.#viewers.isFull) return line(503, 'too many are looking already');
    if (response.destroyed) return undefined;
    this.#answers.head(response, 200, { 'content-type': 'text/event-stream; charset=utf-8' });
    if (request.method === 'HEAD') response.end();
    else this.#viewers.add(response);
    return undefined;
  }
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${jsonText(value)}\n` };
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

/** What has begun may fail later: then it is no answer any more. */
async function begun(promise: unknown): Promise<void> {
  try {
    await promise;
  } catch (error) {
    warn(error);
  }
}
