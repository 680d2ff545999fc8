import { once } from 'node:events';
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { encodeMessage } from '../../../lib/index.js';
import { answerQuestions, settingsOfChild } from './forked.js';

/**
 * A backend as they are common: `node:http2` with its default limits, nghttp2's against rapid resets among them (1000
 * at once, then 33 a second). Its methods:
 *
 * - `Echo` answers with the request; `Hang` never answers; `Swallow` reads and never answers;
 * - `Ticks` sends a small message every 20 ms, for ever;
 * - `Download` sends as many bytes as `x-bytes` says.
 */
export interface CommonBackendSettings {
  /** 0 for a free one. */
  readonly port: number;
}

export interface BackendCounts {
  /** Connections since the start, and now. */
  readonly opened: number;
  readonly open: number;
  /** Streams that have begun and not ended. */
  readonly streams: number;
  /** Connections that ended with an error, such as too many resets. */
  readonly sessionErrors: number;
}

const TICK_MILLISECONDS = 20;
const TICK = encodeMessage(Buffer.from('tick'));
const CHUNK = encodeMessage(Buffer.alloc(16_379, 'd'));
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

let opened = 0;
let streams = 0;
let sessionErrors = 0;
const sockets = new Set<Socket>();
const sessions = new Set<http2.ServerHttp2Session>();

function answerWithTrailers(stream: ServerHttp2Stream, trailers: http2.OutgoingHttpHeaders): void {
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    if (!stream.destroyed) stream.sendTrailers(trailers);
  });
}

function echo(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    if (stream.destroyed || stream.closed || stream.aborted) return;
    answerWithTrailers(stream, { 'grpc-status': '0' });
    stream.end(Buffer.concat(chunks));
  });
}

function ticks(stream: ServerHttp2Stream): void {
  stream.resume();
  answerWithTrailers(stream, { 'grpc-status': '0' });
  const timer = setInterval(() => {
    if (stream.writable && !stream.writableNeedDrain) stream.write(TICK);
  }, TICK_MILLISECONDS);
  stream.on('close', () => clearInterval(timer));
}

function download(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  let left = Number(headers['x-bytes']);
  stream.resume();
  answerWithTrailers(stream, { 'grpc-status': '0' });
  const write = (): void => {
    while (left > 0) {
      left -= CHUNK.length;
      if (!stream.writable) return;
      if (!stream.write(CHUNK)) return;
    }
    stream.end();
  };
  stream.on('drain', write);
  write();
}

function onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  streams++;
  stream.on('close', () => streams--);
  stream.on('error', () => {});
  const method = (headers[':path'] ?? '').split('/')[2];
  if (method === 'Echo') echo(stream);
  else if (method === 'Ticks') ticks(stream);
  else if (method === 'Download') download(stream, headers);
  else if (method === 'Swallow') stream.resume();
}

const { port } = settingsOfChild<CommonBackendSettings>();
const server = http2.createServer();
server.on('stream', onStream);
server.on('sessionError', () => {
  sessionErrors++;
});
server.on('session', (session) => {
  sessions.add(session);
  session.on('close', () => sessions.delete(session));
});
server.on('connection', (socket: Socket) => {
  opened++;
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
});
server.listen(port, '127.0.0.1');
const listening = once(server, 'listening');

answerQuestions(async (question) => {
  if (question === 'ready') {
    await listening;
    return (server.address() as AddressInfo).port;
  }
  if (question === 'goaway') {
    for (const session of sessions) session.close();
    return undefined;
  }
  const counts: BackendCounts = { opened, open: sockets.size, streams, sessionErrors };
  return counts;
});
