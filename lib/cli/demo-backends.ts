import { Metadata } from '../grpc/metadata.js';
import { formatAddress } from '../port/address.js';
import type { StreamHandler } from '../server/handler.js';
import { Server } from '../server/server.js';

/** A backend that answers every call with its own messages, and says who it is in a trailer. */
export interface DemoBackend {
  readonly name: string;
  readonly target: string;
  readonly server: Server;
}

/** Starts one primary and two secondaries on free ports of the loopback interface. */
export function startDemoBackends(log: (line: string) => void): Promise<DemoBackend[]> {
  return Promise.all(['primary', 'secondary 1', 'secondary 2'].map((name) => startDemoBackend(name, log)));
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
      log(`  ${name} got ${stream.method}, a message of ${message.length} bytes`);
      await stream.sendMessage(message);
    }
  };
}

/** A command that makes a call by hand: HTTP/2 and a length prefix are all that gRPC is. */
export function tryIt(address: string): string {
  return (
    `printf '\\0\\0\\0\\0\\005hello' | curl -s --http2-prior-knowledge -H 'content-type: application/grpc' ` +
    `-H 'te: trailers' --data-binary @- http://${address}/demo.Echo/Say | tail -c 5`
  );
}
