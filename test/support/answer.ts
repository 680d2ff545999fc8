import type { ClientHttp2Stream } from 'node:http2';
import { collectResponse, type Response } from './http2-client.js';

/**
 * What comes back on a stream that is read slowly, once all of it has been read. node:http2 does not close a stream
 * that was paused when a complete response and RST_STREAM(NO_ERROR) came, before all of the request was written.
 */
export async function collectAnswer(stream: ClientHttp2Stream): Promise<Response> {
  let headers: string[] | undefined;
  let trailers: string[] | undefined;
  const chunks: Buffer[] = [];
  stream.on('response', (_headers, _flags, ...rest) => {
    headers = (rest as unknown as [string[]])[0];
  });
  stream.on('trailers', (_trailers, _flags, ...rest) => {
    trailers = (rest as unknown as [string[]])[0];
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise<Response>((resolve) => {
    stream.on('end', () => {
      // A reset ends it, too.
      if (!stream.aborted && (trailers ?? headers)?.includes('grpc-status')) {
        const data = Buffer.concat(chunks);
        resolve({ headers, data, trailers, trailersOnly: trailers === undefined, resetCode: 0 });
      }
    });
  });
  const response = await Promise.race([collectResponse(stream), ended]);
  // The others close themselves. To destroy them here would reset each of them, which nghttp2 in a server takes for
  // a rapid reset attack (a burst of 1000, then 33 a second): it ends the connection with GOAWAY(INTERNAL_ERROR).
  if (!stream.writableFinished) stream.destroy();
  return response;
}
