import { once } from 'node:events';
import http2, {
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type Collected, collectBody } from './http2-body.js';

/** A request as it came over the wire. */
export interface Request {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  /** name, value, name, value, … */
  readonly rawHeaders: string[];
  /** Resolves at the end of the request, however it ends. Reads it. */
  body(): Promise<Collected>;
}

export type OnRequest = (request: Request) => void;

/** An HTTP/2 server whose every answer the test decides. */
export class Http2Backend {
  readonly port: number;
  readonly sessions: ServerHttp2Session[] = [];
  readonly server: Http2Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Http2Server) {
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on('session', (session) => this.sessions.push(session));
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(
    onRequest: OnRequest,
    options: http2.ServerOptions = {},
    port = 0,
    host = '127.0.0.1',
  ): Promise<Http2Backend> {
    const server = http2.createServer({ maxHeaderListPairs: 2000, ...options });
    server.on('sessionError', () => {});
    server.on('stream', (stream, headers, ...rest) => {
      // The raw list is the last argument, which the types leave out.
      const rawHeaders = (rest as unknown as [number, string[]])[1];
      stream.on('error', () => {});
      onRequest({ stream, headers, rawHeaders, body: () => collectBody(stream) });
    });
    server.listen(port, host);
    await once(server, 'listening');
    return new Http2Backend(server);
  }

  /** Cuts all connections, with nothing said on them (no GOAWAY, no RST_STREAM): by TCP's FIN, or its RST. */
  cutConnections(by: 'FIN' | 'RST'): void {
    for (const socket of this.#sockets) {
      if (by === 'FIN') socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  destroy(): void {
    this.server.close();
    for (const session of this.sessions) session.destroy();
  }
}

/** Answers with these messages (bytes with their prefixes) and trailers, once the request has ended. */
export function respond(
  stream: ServerHttp2Stream,
  body: Buffer = Buffer.alloc(0),
  trailers: http2.OutgoingHttpHeaders = { 'grpc-status': '0' },
  headers: http2.OutgoingHttpHeaders = {},
): void {
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', ...headers },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(body);
}
