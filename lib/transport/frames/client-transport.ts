import type net from 'node:net';
import type tls from 'node:tls';
import type { ClientTransport, StreamRequester } from '../port.js';
import { ClientConnection, type ClientConnectionOwner } from './client-connection.js';
import { type ClientTarget, Connector } from './connector.js';
import { DEFAULT_LIMITS, type FramesLimits } from './limits.js';
import { Watchdog } from './watchdog.js';

export type { ClientTarget } from './connector.js';

/** How {@link createFramesClientTransport} connects. */
export interface FramesClientOptions {
  /** Speaks TLS, with ALPN `h2`; without it, h2c by prior knowledge. */
  readonly tls?: tls.ConnectionOptions | undefined;
  /** From the first packet to the peer's SETTINGS, TLS included; default 20 s. */
  readonly connectTimeoutMilliseconds?: number | undefined;
  /** The most connections that are opened when the peer limits the streams of each; default 100. */
  readonly maxConnections?: number | undefined;
  readonly limits?: Partial<FramesLimits> | undefined;
  /** The first stream identifier of every connection: for tests. */
  readonly firstStreamId?: number | undefined;
}

/** Creates the connections to one backend, on this engine. */
export function createFramesClientTransport(
  target: ClientTarget,
  options: FramesClientOptions = {},
): ClientTransport {
  return new FramesClientTransport(target, options);
}

/** How long no further connection is tried after one could not be made, while others are open. */
const GROWTH_PAUSE_MILLISECONDS = 1000;

/** The pool of connections, and the requesters that wait for room on one of them. */
class FramesClientTransport implements ClientTransport, ClientConnectionOwner {
  readonly limits: FramesLimits;
  private readonly connections = new Set<ClientConnection>();
  /** The connection that had room last. */
  private current: ClientConnection | undefined = undefined;
  /** In the order in which they asked. */
  private readonly waiting = new Set<StreamRequester>();
  private connector: Connector | undefined = undefined;
  private growthPausedUntil = 0;
  private serving = false;
  private readonly maxConnections: number;
  private readonly watchdog: Watchdog;
  private closing: Promise<void> | undefined = undefined;
  private resolveClosed: (() => void) | undefined = undefined;
  private destroyed = false;

  constructor(
    private readonly target: ClientTarget,
    private readonly options: FramesClientOptions,
  ) {
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.maxConnections = options.maxConnections ?? 100;
    this.watchdog = new Watchdog(this.limits);
  }

  openStream(requester: StreamRequester): void {
    if (this.closing !== undefined || this.destroyed) {
      process.nextTick(() => requester.onConnectError(new Error('the connection is closed')));
      return;
    }
    // Those who wait already go first.
    const connection = this.waiting.size === 0 ? this.findRoom() : undefined;
    if (connection !== undefined) {
      connection.open(requester);
      return;
    }
    this.waiting.add(requester);
    this.connect();
  }

  cancelOpen(requester: StreamRequester): void {
    this.waiting.delete(requester);
    this.resolveIfClosed();
  }

  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.resolveClosed = resolve;
      if (this.waiting.size === 0) this.shutDown();
      this.resolveIfClosed();
    });
    return this.closing;
  }

  destroy(): void {
    this.destroyed = true;
    this.connector?.abort(new Error('the connection is closed'));
    this.rejectWaiting(new Error('the connection is closed'));
    for (const connection of [...this.connections]) connection.destroy();
  }

  onCapacityChanged(connection: ClientConnection): void {
    if (
      this.connector !== undefined &&
      this.connector.connection === connection &&
      connection.settingsReceived
    ) {
      this.connector.succeed();
      this.connector = undefined;
      this.connections.add(connection);
      this.watchdog.add(connection);
    }
    if (this.waiting.size > 0) this.serveWaiting();
  }

  onConnectionClosed(connection: ClientConnection): void {
    this.watchdog.remove(connection);
    this.connections.delete(connection);
    if (this.current === connection) this.current = undefined;
    this.connector?.onConnectionClosed(connection);
    if (this.waiting.size > 0 && !this.destroyed) this.connect();
    this.resolveIfClosed();
  }

  private findRoom(): ClientConnection | undefined {
    if (this.current?.hasRoom) return this.current;
    for (const connection of this.connections) {
      if (!connection.hasRoom) continue;
      this.current = connection;
      return connection;
    }
    return undefined;
  }

  private serveWaiting(): void {
    // A requester may end a stream at once, which leads back to here.
    if (this.serving) return;
    this.serving = true;
    try {
      for (const requester of this.waiting) {
        const connection = this.findRoom();
        if (connection === undefined) break;
        this.waiting.delete(requester);
        connection.open(requester);
      }
    } finally {
      this.serving = false;
    }
    if (this.waiting.size > 0) this.connect();
    else if (this.closing !== undefined) this.shutDown();
  }

  /** Opens one more connection, if that is allowed and none is being opened. */
  private connect(): void {
    if (this.connector !== undefined || this.destroyed) return;
    if (this.usableConnections() >= this.maxConnections || this.peerAllowsNoStreams()) return;
    if (this.connections.size > 0 && performance.now() < this.growthPausedUntil) return;
    const { tls, connectTimeoutMilliseconds = 20_000, firstStreamId = 1 } = this.options;
    this.connector = new Connector(this.target, tls, connectTimeoutMilliseconds, {
      onSocket: (socket: net.Socket) => new ClientConnection(socket, this, firstStreamId),
      onFailure: (error: Error) => this.onConnectFailure(error),
    });
  }

  /** What a peer does not allow on one connection now it will not allow on another. */
  private peerAllowsNoStreams(): boolean {
    for (const connection of this.connections) {
      if (!connection.goingAway && connection.peer.maxConcurrentStreams === 0) return true;
    }
    return false;
  }

  private usableConnections(): number {
    let count = 0;
    for (const connection of this.connections) if (!connection.goingAway) count++;
    return count;
  }

  private onConnectFailure(error: Error): void {
    this.connector = undefined;
    if (this.usableConnections() > 0) {
      // Those who wait get their turn on the connections that there are.
      this.growthPausedUntil = performance.now() + GROWTH_PAUSE_MILLISECONDS;
      setTimeout(() => this.growAgain(), GROWTH_PAUSE_MILLISECONDS + 1).unref();
      return;
    }
    this.rejectWaiting(error);
    this.resolveIfClosed();
  }

  private growAgain(): void {
    if (this.waiting.size > 0) this.connect();
  }

  private rejectWaiting(error: Error): void {
    const requesters = [...this.waiting];
    this.waiting.clear();
    for (const requester of requesters) requester.onConnectError(error);
  }

  private shutDown(): void {
    for (const connection of [...this.connections]) connection.shutDown();
  }

  private resolveIfClosed(): void {
    if (this.resolveClosed === undefined || this.connections.size > 0 || this.waiting.size > 0) return;
    this.connector?.abort(new Error('the connection is closed'));
    this.resolveClosed();
  }
}
