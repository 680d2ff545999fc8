import type { Socket } from 'node:net';
import {
  dial,
  type Message,
  type ResponseObserver,
  Server,
  type StreamDirector,
  type StreamParameters,
  type TransportName,
  transparentHandler,
} from '../../lib/index.js';

/**
 * A proxy as a process of its own, for tests from outside. Its only argument is {@link ProxySettings} as JSON. It
 * prints one JSON line when it is ready, `{"event":"listening","port":…}`, and drains on SIGTERM.
 */
export interface ProxySettings {
  readonly primary: string;
  readonly secondaries?: readonly string[];
  /** The director peeks at the first message before it answers. Default false. */
  readonly peek?: boolean;
  /** Prints for each call whether messages of the request (if it peeks) and the response are compressed. */
  readonly report?: boolean;
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const settings = JSON.parse(process.argv[2] ?? '{}') as ProxySettings;
/** `INTEROP_TRANSPORT=frames` tries the frame engine. */
const transport = (process.env.INTEROP_TRANSPORT ?? 'http2') as TransportName;

const primary = dial(settings.primary, { transport });
const secondaries = (settings.secondaries ?? []).map((target) => dial(target, { transport }));

function reporter(method: string, requestCompressed: boolean): ResponseObserver {
  let responseCompressed = false;
  return {
    onMessage(_payload, compressed) {
      responseCompressed ||= compressed;
    },
    onStatus() {
      print({ event: 'proxied', method, requestCompressed, responseCompressed });
    },
  };
}

function parameters(method: string, first?: Message): StreamParameters {
  const observer = settings.report === true ? reporter(method, first?.compressed ?? false) : undefined;
  return {
    primary: { conn: primary, observer },
    secondaries: secondaries.map((conn) => ({ conn })),
  };
}

const director: StreamDirector =
  settings.peek === true
    ? async (_context, method, peeker) => parameters(method, (await peeker.peek())[0])
    : (_context, method) => parameters(method);

const server = new Server({ unknownServiceHandler: transparentHandler(director), transport });
const address = await server.listen('127.0.0.1:0');
process.once('SIGTERM', async () => {
  await server.close();
  await Promise.all([primary, ...secondaries].map((conn) => conn.close()));
  print({ event: 'drained' });
});
// Not to outlive the test, however that ends.
process.stdin.on('end', () => process.exit(1)).resume();
(process.stdin as Socket).unref();
print({ event: 'listening', port: 'port' in address ? address.port : undefined });
