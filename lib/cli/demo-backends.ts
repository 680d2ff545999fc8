import { Metadata } from '../grpc/metadata.js';
import { formatAddress } from '../port/address.js';
import type { StreamHandler } from '../server/handler.js';
import { Server } from '../server/server.js';
import { printable } from '../transport/printable.js';

const DEMO_NAMES = ['primary', 'secondary 1', 'secondary 2', 'shadow'] as const;

/** A backend that answers every call with its own messages, and says who it is in a trailer. */
export interface DemoBackend {
  readonly name: string;
  readonly target: string;
  readonly server: Server;
}

/** Starts a primary, two secondaries and a shadow, in this order, on free ports of the loopback interface. */
export function startDemoBackends(log: (line: string) => void): Promise<DemoBackend[]> {
  return Promise.all(DEMO_NAMES.map((name) => startDemoBackend(name, log)));
}

async function startDemoBackend(name: string, log: (line: string) => void): Promise<DemoBackend> {
  const server = new Server({ unknownServiceHandler: echoHandler(name, log) });
  const address = await server.listen('127.0.0.1:0');
  return { name, target: formatAddress(address), server };
}

function echoHandler(name: string, log: (line: string) => void): StreamHandler {
  return async (stream) => {
    stream.setTrailer(new Metadata({ 'demo-backend': name }));
    for await (const message of stream) {
      log(`  ${name} got ${printable(stream.method, 200)}, a message of ${message.length} bytes`);
      await stream.sendMessage(message);
    }
  };
}

/** How curl speaks with the proxy; whoever tries it has made the certificates, and knows where they are. */
const CURL = {
  cleartext: { scheme: 'http', options: '--http2-prior-knowledge' },
  TLS: { scheme: 'https', options: '--http2 -k' },
  'mutual TLS': { scheme: 'https', options: '--http2 -k --cert CLIENT.crt --key CLIENT.key' },
} as const;

/** A command that makes a call by hand: HTTP/2 and a length prefix are all that gRPC is. */
export function tryIt(address: string, wire: keyof typeof CURL): string {
  const { scheme, options } = CURL[wire];
  return (
    `printf '\\0\\0\\0\\0\\005hello' | curl -s ${options} -H 'content-type: application/grpc' ` +
    `-H 'te: trailers' --data-binary @- ${scheme}://${address}/demo.Echo/Say | tail -c 5`
  );
}
