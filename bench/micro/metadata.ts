import type { Socket } from 'node:net';
import { Metadata as GrpcJsMetadata } from '@grpc/grpc-js';
import { bench, do_not_optimize, group, summary } from 'mitata';
import { now } from '../../lib/call/clock.js';
import { CallContext, incomingToOutgoing } from '../../lib/call/context.js';
import { requestHeaders } from '../../lib/client/request-headers.js';
import type { HeaderList } from '../../lib/port/headers.js';

/** A request as clients of grpc-go send it, with so many fields of metadata. */
function requestOf(fields: number): HeaderList {
  const headers = [
    ':method',
    'POST',
    ':scheme',
    'http',
    ':path',
    '/bench.Bench/Call',
    ':authority',
    'localhost',
  ];
  headers.push('content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'grpc-go/1.60.0');
  headers.push('grpc-timeout', '10S');
  for (let index = 0; index < fields; index++) headers.push(`x-field-${index}`, `value ${index}`);
  return headers;
}

/** From the client's request to that to a backend. */
export function registerMetadata(): void {
  const line = {
    scheme: 'http',
    authority: 'backend:50051',
    deadline: now() + 10_000,
    previousAttempts: undefined,
  };
  for (const fields of [2, 20]) {
    const headers = requestOf(fields);
    const context = CallContext.ofRequest('/bench.Bench/Call', headers, {} as Socket, undefined);
    const object: Record<string, string> = {};
    for (let index = 16; index < headers.length; index += 2) object[headers[index]!] = headers[index + 1]!;
    group(`metadata: copy of a request with ${fields} fields of its own`, () => {
      summary(() => {
        bench('requestHeaders', () => do_not_optimize(requestHeaders(context, line, undefined)));
        bench('requestHeaders, metadata replaced by incomingToOutgoing', () =>
          do_not_optimize(requestHeaders(incomingToOutgoing(context), line, undefined)),
        );
        bench("grpc-js's Metadata, from headers and back", () =>
          do_not_optimize(GrpcJsMetadata.fromHttp2Headers(object).toHttp2Headers()),
        ).baseline();
      });
    });
  }
}
