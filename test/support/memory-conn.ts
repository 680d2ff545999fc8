import type { Socket } from 'node:net';
import { CallContext } from '../../lib/call/context.js';
import type { Backend } from '../../lib/client/channel/backend.js';
import { Channel } from '../../lib/client/channel/channel.js';
import { ClientConn } from '../../lib/client/client-conn.js';
import type { StreamHandler } from '../../lib/index.js';
import { NO_HOLDER } from '../../lib/port/account.js';
import type { ClientConnection, ConnectionOwner } from '../../lib/port/connection.js';
import type { IncomingStream, Stream, StreamReceiver } from '../../lib/port/stream.js';
import { parseTarget } from '../../lib/port/target.js';
import { runHandler } from '../../lib/server/run-handler.js';
import { ServerCall } from '../../lib/server/server-call.js';
import { DEFAULT_DIAL_LIMITS } from '../../lib/transport/limits.js';

/** A stream that goes nowhere, and remembers which buffers it was given. */
export class MemoryStream implements IncomingStream {
  receiver!: StreamReceiver;
  holder = NO_HOLDER;
  readonly account = NO_HOLDER.account;
  readonly socket = {} as Socket;
  readonly sent: Buffer[] = [];
  paused = false;

  /** @param onSent what `sendData` answers: whether there is room for more */
  constructor(readonly onSent: (stream: MemoryStream) => boolean = () => true) {}

  sendHeaders(): void {}
  sendData(chunk: Buffer): boolean {
    this.sent.push(chunk);
    return this.onSent(this);
  }
  reset(): void {}
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
}

/** A connection to nowhere, that is ready, whose streams `open` makes. */
export async function memoryConn(open: () => Stream): Promise<ClientConn> {
  const backend: Backend = {
    name: 'memory',
    targets: [parseTarget('unix:memory')],
    authority: 'memory',
    loadBalancing: 'round_robin',
    watchHealth: undefined,
    ejectsOutliers: false,
    dialerOf: () => ({ dial: (owner) => new MemoryConnection(owner, open) }),
  };
  const channel = new Channel(backend, DEFAULT_DIAL_LIMITS);
  channel.connect();
  while (channel.state.name !== 'READY') await channel.waitForStateChange(channel.state.name);
  return ClientConn.over(channel, 'memory', 'memory', () => false);
}

class MemoryConnection implements ClientConnection {
  hasRoom = false;
  readonly streamCount = 0;
  readonly maxConcurrentStreams = Number.POSITIVE_INFINITY;
  readonly hasAnswered = true;
  isWatched = false;

  constructor(
    owner: ConnectionOwner,
    readonly openStream: () => Stream,
  ) {
    process.nextTick(() => {
      this.hasRoom = true;
      owner.onReady();
    });
  }

  shutDown(): void {}
  destroy(): void {}
}

/** Gives a handler a call that came on a stream. */
export function handle(stream: IncomingStream, handler: StreamHandler): void {
  const headers = [':method', 'POST', ':path', '/any.Service/Method', 'content-type', 'application/grpc'];
  const context = CallContext.ofRequest('/any.Service/Method', headers, stream.socket, undefined);
  const owner = {
    maxReceiveMessageBytes: 1e6,
    observe() {},
    onCallFinished() {},
    awaitStraggler: () => undefined,
    onStragglerEnded() {},
  };
  runHandler(new ServerCall(owner, stream, context, false), handler);
}
