import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { CLIENT_PREFACE, Flag, FrameType } from '../../lib/transport/frames/frame.js';
import { data, frame, headers, SETTINGS_ACK, settings, windowUpdate } from '../transport/frames/raw-peer.js';
import { FrameLog } from './frame-log.js';
import { CLEARTEXT } from './wire.js';

const LARGE_WINDOW = 2 ** 30;

/**
 * A backend that sends back what it gets, and knows no limits: node:http2's own would end the connection that honest
 * calls share with hostile ones after a thousand resets, on Node 20 whatever it is told.
 */
export class EchoBackend {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(wire = CLEARTEXT): Promise<EchoBackend> {
    const server = wire.createServer({}, (socket) => {
      echo(socket);
    });
    const backend = new EchoBackend(server);
    // Of TLS, the sockets under it: those that never come to speak HTTP/2 must end, too.
    server.on('connection', (socket: Socket) => {
      backend.#sockets.add(socket);
      socket.on('close', () => backend.#sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return backend;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  destroy(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function echo(socket: Socket): void {
  const log = new FrameLog(CLIENT_PREFACE.length, ({ type, flags, streamId, payload }, stream) => {
    const replies: Buffer[] = [];
    if (type === FrameType.SETTINGS && flags === 0) replies.push(SETTINGS_ACK);
    if (type === FrameType.PING && flags === 0) replies.push(frame(FrameType.PING, Flag.ACK, 0, payload));
    const isBlock = type === FrameType.HEADERS || type === FrameType.CONTINUATION;
    // DATA before the headers would be a breach of the protocol: node:http2 hangs by it.
    const endsBlock = isBlock && (flags & Flag.END_HEADERS) !== 0;
    if (endsBlock && stream?.lists.length === 1) {
      replies.push(headers(streamId, [':status', '200', 'content-type', 'application/grpc']));
    }
    if (type === FrameType.DATA && payload.length > 0) replies.push(data(streamId, payload));
    if (stream?.ended && (type === FrameType.DATA || endsBlock)) {
      replies.push(headers(streamId, ['grpc-status', '0'], Flag.END_STREAM | Flag.END_HEADERS));
    }
    if (replies.length > 0 && socket.writable) socket.write(Buffer.concat(replies));
    // The connection lives long, and nobody asks.
    log.frames.length = 0;
    if (stream?.ended || stream?.reset) log.streams.delete(streamId);
  });
  socket.setNoDelay(true);
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => log.push(chunk));
  socket.write(Buffer.concat([settings([4, LARGE_WINDOW]), windowUpdate(0, LARGE_WINDOW)]));
}
