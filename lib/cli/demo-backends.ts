import { fileURLToPath } from 'node:url';
import { Metadata } from '../grpc/metadata.js';
import { Code, StatusError } from '../grpc/status.js';
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
    if (stream.method.endsWith('/Fail')) throw new StatusError(Code.NOT_FOUND, 'as it was asked to');
    stream.setTrailer(new Metadata({ 'demo-backend': name }));
    for await (const message of stream) {
      log(`  ${name} got ${printable(stream.method, 200)}, a message of ${message.length} bytes`);
      await stream.sendMessage(message);
    }
  };
}

/** How curl and grpcurl speak; whoever tries it has made the certificates, and knows where they are. */
const WIRES = {
  cleartext: { scheme: 'http', curl: '--http2-prior-knowledge', grpcurl: '-plaintext' },
  TLS: { scheme: 'https', curl: '--http2 -k', grpcurl: '-insecure' },
  'mutual TLS': {
    scheme: 'https',
    curl: '--http2 -k --cert CLIENT.crt --key CLIENT.key',
    grpcurl: '-insecure -cert CLIENT.crt -key CLIENT.key',
  },
} as const;

export type Wire = keyof typeof WIRES;

const UNIX = 'unix:';

/** What `demo.Echo` says and hears, for who wants JSON. */
const PROTO_FOLDER = fileURLToPath(new URL('../../../lib/cli', import.meta.url));

/** Commands that make a call by hand: HTTP/2 and a length prefix are all that gRPC is. */
export function tryIt(address: string, wire: Wire): string[] {
  const { scheme, curl, grpcurl } = WIRES[wire];
  const path = address.startsWith(UNIX) ? address.slice(UNIX.length) : undefined;
  const curlTo = path === undefined ? '' : ` --unix-socket ${shellWord(path)}`;
  const url = `${scheme}://${path === undefined ? address : 'localhost'}/demo.Echo/Say`;
  return [
    `printf '\\0\\0\\0\\0\\005hello' | curl -s ${curl}${curlTo} -H 'content-type: application/grpc' ` +
      `-H 'te: trailers' --data-binary @- ${shellWord(url)} | tail -c 5`,
    `grpcurl ${grpcurl}${path === undefined ? '' : ' -unix'} -import-path ${shellWord(PROTO_FOLDER)} -proto demo.proto ` +
      `-d '{"text": "hello"}' ${shellWord(path ?? address)} demo.Echo/Say`,
  ];
}

/** A text as shells take it for one word; zsh looks for files by brackets. */
function shellWord(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
