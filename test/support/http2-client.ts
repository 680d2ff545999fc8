import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { CLEARTEXT } from './wire.js';

/** A response as it came over the wire. */
export interface Response {
  /** Undefined if the stream ended without any. */
  readonly headers: string[] | undefined;
  /** The response was one HEADERS frame with END_STREAM. */
  readonly trailersOnly: boolean;
  readonly data: Buffer;
  /** Undefined if none came. */
  readonly trailers: string[] | undefined;
  readonly resetCode: number;
}

/** An HTTP/2 client whose every frame the test decides. */
export class Http2Client {
  readonly session: ClientHttp2Session;

  constructor(port: number, wire = CLEARTEXT) {
    this.session = http2.connect(wire.target(port), { ...wire.dialOptions.tls, maxHeaderListPairs: 2000 });
    this.session.on('error', () => {});
  }

  /**
   * Opens a stream with gRPC's request headers, and these. To cancel it, set `waitForTrailers`: else node:http2
   * sends END_STREAM before the RST_STREAM.
   */
  open(path: string, headers: http2.OutgoingHttpHeaders = {}, waitForTrailers = false): ClientHttp2Stream {
    const stream = this.session.request(
      {
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      },
      { endStream: false, waitForTrailers },
    );
    stream.on('error', () => {});
    return stream;
  }

  /** Sends a whole request, and collects the response. */
  async call(path: string, body: Buffer, headers: http2.OutgoingHttpHeaders = {}): Promise<Response> {
    const stream = this.open(path, headers);
    const response = collectResponse(stream);
    stream.end(body);
    return response;
  }

  /** Resolves when the peer has answered a PING, and so has read what was sent before it. */
  roundTrip(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.session.ping((error) => (error === null ? resolve() : reject(error)));
    });
  }

  destroy(): void {
    this.session.destroy();
  }
}

/** What comes back on a stream, once it has ended. Reads it. */
export function collectResponse(stream: ClientHttp2Stream): Promise<Response> {
  const chunks: Buffer[] = [];
  let headers: string[] | undefined;
  let trailers: string[] | undefined;
  let trailersOnly = false;
  stream.on('response', (_headers, flags, ...rest) => {
    headers = (rest as unknown as [string[]])[0];
    trailersOnly = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
  });
  stream.on('trailers', (_trailers, _flags, ...rest) => {
    trailers = (rest as unknown as [string[]])[0];
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    stream.on('close', () => {
      resolve({
        headers,
        trailersOnly,
        data: Buffer.concat(chunks),
        trailers,
        resetCode: stream.rstCode ?? 0,
      });
    });
  });
}

/** The value of a field in a raw header list. */
export function fieldValue(rawHeaders: readonly string[] | undefined, name: string): string | undefined {
  const index = rawHeaders?.findIndex((text, position) => position % 2 === 0 && text === name) ?? -1;
  return index < 0 ? undefined : rawHeaders?.[index + 1];
}
