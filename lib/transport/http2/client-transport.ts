import type { ClientHttp2Session } from 'node:http2';
import type { ConnectionOptions } from 'node:tls';
import { Agent } from 'http2-wrapper';
import type { ClientTransport, StreamRequester } from '../port.js';
import type { ConnectTarget } from '../target.js';
import { BackendAgent } from './agent.js';
import { Keepalive, type KeepaliveTimes } from './keepalive.js';
import { NodeClientStream, newSessionState, type SessionState } from './stream.js';

const { kCurrentStreamCount } = Agent as unknown as { kCurrentStreamCount: symbol };

/** What an {@link Http2ClientTransport} can be told. */
export interface Http2ClientTransportOptions {
  /** TLS, with these options of `tls.connect()`; without it cleartext by prior knowledge (h2c). */
  tls?: ConnectionOptions | undefined;
  /** Milliseconds from the start of a connection attempt to the peer's SETTINGS. Default 20 000. */
  connectTimeoutMilliseconds?: number | undefined;
  /** Connections at a time at most; beyond it calls wait for room. Default 100. */
  maxConnections?: number | undefined;
  /** When to ask a silent session whether it lives. */
  keepalive?: KeepaliveTimes | undefined;
}

/** "MIN_CONNECT_TIMEOUT, 20 seconds" (gRPC connection-backoff.md). */
const CONNECT_TIMEOUT_MILLISECONDS = 20_000;

/** Enough for ten thousand calls at the usual SETTINGS_MAX_CONCURRENT_STREAMS of 100. */
const MAX_CONNECTIONS = 100;

/** {@link ClientTransport} on `node:http2`, with http2-wrapper's Agent as its pool. */
export class Http2ClientTransport implements ClientTransport {
  readonly #agent: BackendAgent;
  readonly #sessions = new Map<ClientHttp2Session, SessionState>();
  readonly #waiting = new Set<StreamRequester>();
  #closed = false;

  constructor(target: ConnectTarget, options: Http2ClientTransportOptions = {}) {
    this.#agent = new BackendAgent(target, {
      tls: options.tls,
      connectTimeoutMilliseconds: options.connectTimeoutMilliseconds ?? CONNECT_TIMEOUT_MILLISECONDS,
      maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
    });
    this.#agent.on('session', (session: ClientHttp2Session) => this.#connected(session, options.keepalive));
  }

  openStream(requester: StreamRequester): void {
    if (this.#closed) {
      requester.onConnectError(new Error('the connection is closed'));
      return;
    }
    const session = this.#waiting.size === 0 ? this.#sessionWithRoom() : undefined;
    if (session !== undefined) {
      this.#give(session, requester);
      return;
    }
    this.#waiting.add(requester);
    this.#ask(requester);
  }

  cancelOpen(requester: StreamRequester): void {
    this.#waiting.delete(requester);
  }

  async close(): Promise<void> {
    this.#refuseWaiting();
    await Promise.all(
      [...this.#sessions.keys()].map(
        (session) =>
          new Promise<void>((resolve) => {
            // The Agent lets the process end while a session is idle; somebody waits for this one.
            session.ref();
            session.once('close', resolve).close();
          }),
      ),
    );
    this.#agent.destroy();
  }

  destroy(): void {
    this.#refuseWaiting();
    this.#agent.destroy();
  }

  /** Asks the Agent for a session, for a requester that waits. */
  #ask(requester: StreamRequester): void {
    if (!this.#waiting.has(requester)) return;
    this.#agent.getSessionFor({
      resolve: (session) => {
        if (!this.#waiting.has(requester)) return;
        if (this.#isUsable(session)) {
          this.#waiting.delete(requester);
          this.#give(session, requester);
        } else {
          // When a stream ends, the Agent hands out the place even on a session that was retired meanwhile, and
          // would do so again at once: it is inside a loop over those who wait.
          queueMicrotask(() => this.#ask(requester));
        }
      },
      reject: (error) => {
        if (this.#waiting.delete(requester)) requester.onConnectError(error);
      },
    });
  }

  #connected(session: ClientHttp2Session, keepalive: KeepaliveTimes | undefined): void {
    const state: SessionState = newSessionState();
    this.#sessions.set(session, state);
    session.on('goaway', (_code, lastStreamId) => {
      state.goawayLastStreamId = lastStreamId;
      BackendAgent.retire(session);
    });
    const isNeeded = (): boolean => streamCount(session) > 0;
    const watch = new Keepalive(session, state, isNeeded, () => session.destroy(), keepalive);
    session.once('close', () => {
      watch.stop();
      this.#sessions.delete(session);
    });
  }

  #sessionWithRoom(): ClientHttp2Session | undefined {
    for (const session of this.#sessions.keys()) {
      if (!this.#isUsable(session)) continue;
      if (streamCount(session) < (session.remoteSettings.maxConcurrentStreams ?? Infinity)) return session;
    }
    return undefined;
  }

  /** Whether new streams may go there; if not, the Agent is told so. */
  #isUsable(session: ClientHttp2Session): boolean {
    if (BackendAgent.isRetired(session)) return false;
    // A peer that counts ended streams late refuses below its own limit (FINDINGS: C-core). The call is retried,
    // and must not meet the same connection.
    const refused = this.#sessions.get(session)?.refused ?? true;
    if (!refused && !session.destroyed && !session.closed) return true;
    BackendAgent.retire(session);
    if (streamCount(session) === 0) session.close();
    return false;
  }

  #give(session: ClientHttp2Session, requester: StreamRequester): void {
    const state = this.#sessions.get(session)!;
    requester.onStream(new NodeClientStream(session, state));
  }

  #refuseWaiting(): void {
    this.#closed = true;
    for (const requester of this.#waiting) {
      this.#waiting.delete(requester);
      requester.onConnectError(new Error('the connection is closed'));
    }
  }
}

function streamCount(session: ClientHttp2Session): number {
  return (session as unknown as Record<symbol, number>)[kCurrentStreamCount] ?? 0;
}

/**
 * A session that its owner connected and will close. It carries streams while it is open; node:http2 queues those
 * above the peer's SETTINGS_MAX_CONCURRENT_STREAMS.
 */
export class Http2SessionTransport implements ClientTransport {
  readonly #session: ClientHttp2Session;
  readonly #state: SessionState = newSessionState();

  constructor(session: ClientHttp2Session) {
    this.#session = session;
    session.on('goaway', (_code, lastStreamId) => {
      this.#state.goawayLastStreamId = lastStreamId;
    });
  }

  openStream(requester: StreamRequester): void {
    if (this.#session.closed || this.#session.destroyed) {
      requester.onConnectError(new Error('the HTTP/2 session is closed'));
    } else if (this.#state.goawayLastStreamId !== undefined) {
      requester.onConnectError(new Error('the HTTP/2 session is going away'));
    } else {
      requester.onStream(new NodeClientStream(this.#session, this.#state));
    }
  }

  cancelOpen(): void {}

  async close(): Promise<void> {}

  destroy(): void {}
}
