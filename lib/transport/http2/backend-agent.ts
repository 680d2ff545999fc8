import type { ClientHttp2Session, SecureClientSessionOptions } from 'node:http2';
import type { Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { Agent } from 'http2-wrapper/source/agent.js';
import { connect } from '../connect.js';
import type { DialerOptions } from '../options.js';
import { clientSessionOptions } from './session-options.js';

/** Who waits for a session. */
export interface Dial {
  /** The connection is being made by this socket. */
  onSocket(socket: Socket): void;
  /** The session is made, and its peer's SETTINGS are known. */
  onSession(session: ClientHttp2Session): void;
  /** There will be no session; can come more than once, and beside the socket's own `error` and `close`. */
  onFailure(error: Error): void;
}

/** RFC 2606 reserves `.invalid`: no backend can be called so. */
const PSEUDO_DOMAIN = 'backend.invalid';

/**
 * http2-wrapper's Agent, as what makes sessions, and no more. It is a pool for `https://` URLs: it hands a session out
 * again to whoever asks for its origin, queues requests, and closes sessions as it sees fit. So each dial has an
 * origin of its own, there is nothing to share or to queue, and no limit that would close anything (NODE-HTTP2.md,
 * "http2-wrapper").
 */
export class BackendAgent extends Agent {
  readonly #options: DialerOptions;
  readonly #sessionOptions: SecureClientSessionOptions;
  /** The dials under way, by their origins' host names. */
  readonly #dials = new Map<string, Dial>();
  #dialCount = 0;
  /** The last TLS session, to be resumed by the next connection; the Agent's own cache goes by origin. */
  #tlsSession: { readonly session: Buffer; readonly madeBy: ConnectionOptions } | undefined;

  constructor(options: DialerOptions) {
    super({ maxSessions: Infinity, maxEmptySessions: Infinity, maxCachedTlsSessions: 1 });
    this.#options = options;
    this.#sessionOptions = clientSessionOptions(options.limits);
    this.on('session', (session: ClientHttp2Session) => this.#onSession(session));
  }

  /** Begins to make a session. The dial is not told of anything but its socket before this returns. */
  dial(dial: Dial): void {
    const { address } = this.#options;
    this.#dialCount++;
    const name = `${this.#dialCount}.${PSEUDO_DOMAIN}`;
    // The Agent compares the origin with what it makes of the socket's `servername` and `remotePort`.
    const origin = 'path' in address ? `https://${name}` : `https://${name}:${address.port}`;
    this.#dials.set(name, dial);
    const listener = {
      resolve() {},
      reject: (error: Error) => {
        this.#dials.delete(name);
        this.#tlsSession = undefined;
        dial.onFailure(error);
      },
    };
    void super.getSession(
      origin,
      this.#sessionOptions,
      // The types say that it is one listener; it is a list.
      [listener] as unknown as Parameters<Agent['getSession']>[2],
    );
  }

  /**
   * For the Agent itself: it asks once more for who could not be given a session that takes no streams for now
   * (MAX_CONCURRENT_STREAMS 0), and would connect once more, without end.
   */
  override getSession(): Promise<ClientHttp2Session> {
    return new Promise(() => {});
  }

  override async createConnection(origin: URL): Promise<TLSSocket> {
    const { address, serverName, tls } = this.#options;
    const name = origin.hostname;
    const dial = this.#dials.get(name)!;
    const options = tls?.optionsFor(serverName);
    const last = this.#tlsSession;
    const socket = connect(address, options, last?.madeBy === options ? last?.session : undefined);
    socket.on('session', (session: Buffer) => {
      if (options !== undefined && options === tls?.optionsFor(serverName))
        this.#tlsSession = { session, madeBy: options };
    });
    // For TLS the handshake would set it to the real name; the certificate is checked by that all the same.
    Object.defineProperty(socket, 'servername', { get: () => name, set() {} });
    // The Agent would check the certificate once more, against the pseudo-origin.
    Object.defineProperty(socket, 'getPeerX509Certificate', { value: undefined });
    // A TLS alert after the handshake (no client certificate, in TLS 1.3) comes as an error that ends nothing.
    socket.on('error', (error) => socket.destroy(error));
    dial.onSocket(socket);
    return socket as TLSSocket;
  }

  #onSession(session: ClientHttp2Session): void {
    const { servername } = session.socket as TLSSocket & { readonly servername: string };
    const dial = this.#dials.get(servername);
    this.#dials.delete(servername);
    // The Agent has put a `request` of its own before Node's, by which it counts streams, closes sessions, and looks
    // through all the others whenever a stream ends. (`delete` would make the session a dictionary for V8.)
    session.request = (Object.getPrototypeOf(session) as ClientHttp2Session).request;
    dial?.onSession(session);
  }
}
