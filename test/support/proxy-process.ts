import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { CallContext } from '../../lib/call/context.js';
import { ClientCall } from '../../lib/client/client-call.js';
import {
  Code,
  dial,
  type ResponseObserver,
  Server,
  StatusError,
  type StreamDirector,
  type TransportName,
  transparentHandler,
} from '../../lib/index.js';
import { ProxyCall } from '../../lib/proxy/proxy-call.js';
import { ServerCall } from '../../lib/server/server-call.js';
import { FrameStream } from '../../lib/transport/frames/stream/stream.js';
import { NodeClientStream } from '../../lib/transport/http2/client-stream.js';
import { NodeServerStream } from '../../lib/transport/http2/server-stream.js';
import { countObjects } from './count-objects.js';

/**
 * A proxy in a process of its own, for tests from outside, and of its memory: `node --expose-gc proxy-process.js
 * SETTINGS`, with {@link ProxySettings} as JSON. It prints lines of JSON: `{"event":"listening","port":…}` when it is
 * ready, and answers to the lines `measure` and `count` on its standard input. On SIGTERM it drains, prints
 * `{"event":"drained"}`, and has nothing more to do.
 */
export interface ProxySettings {
  /** Of the server, and of the connections to backends. */
  readonly transports: { readonly server: TransportName; readonly client: TransportName };
  readonly primary: string;
  readonly secondaries?: readonly string[];
  /** Secondaries that fail do not fail the call. */
  readonly forgivesSecondaries?: boolean;
  readonly shadows?: readonly string[];
  /** The director peeks at the first message of every call, not only where the header `x-mode` is `peek`. */
  readonly peek?: boolean;
  readonly maxPeekBytes?: number;
  /** Prints for each call whether messages of the request (if it peeks) and the response are compressed. */
  readonly report?: boolean;
}

/** What is in the process after a collection of garbage. */
export interface Measures {
  readonly rss: number;
  readonly heapUsed: number;
  /** All that JavaScript holds: the heap and the buffers outside of it. */
  readonly held: number;
  /** Timers and so on that keep the process alive, by type. */
  readonly resources: Readonly<Record<string, number>>;
}

const PER_CALL = {
  CallContext,
  ClientCall,
  FrameStream,
  NodeClientStream,
  NodeServerStream,
  ProxyCall,
  ServerCall,
};

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function main(settings: ProxySettings): Promise<void> {
  const { server: transport, client } = settings.transports;
  const primary = dial(settings.primary, { transport: client });
  const others = (targets: readonly string[] = []) =>
    targets.map((target) => dial(target, { transport: client }));
  const secondaries = others(settings.secondaries);
  const shadows = others(settings.shadows);
  const errHandler = settings.forgivesSecondaries === true ? () => null : undefined;
  const director: StreamDirector = async (ctx, method, peeker) => {
    const mode = ctx.metadata.get('x-mode');
    if (mode === 'director') throw new StatusError(Code.PERMISSION_DENIED, 'no');
    const peeks = settings.peek === true || mode === 'peek';
    const first = peeks ? (await peeker.peek(1, { inflate: false }))[0] : undefined;
    const observer = settings.report === true ? reporter(method, first?.compressed ?? false) : undefined;
    return {
      primary: { conn: primary, observer },
      secondaries: secondaries.map((conn) => ({ conn, errHandler })),
      shadows: shadows.length > 0 ? shadows.map((conn) => ({ conn })) : undefined,
      requestFinalizer: () => {},
    };
  };
  const { maxPeekBytes } = settings;
  const server = new Server({
    unknownServiceHandler: transparentHandler(director, { maxPeekBytes }),
    transport,
  });
  const address = await server.listen('127.0.0.1:0');
  process.once('SIGTERM', async () => {
    await server.close();
    await Promise.all([primary, ...secondaries, ...shadows].map((conn) => conn.close()));
    print({ event: 'drained' });
  });
  createInterface({ input: process.stdin })
    .on('line', async (line) => {
      if (line === 'measure') print({ event: 'measured', measures: await measure() });
      if (line === 'count') print({ event: 'counted', counts: countAll() });
    })
    // Not to outlive the test, however that ends.
    .on('close', () => process.exit(1));
  (process.stdin as Socket).unref();
  print({ event: 'listening', port: 'port' in address ? address.port : undefined });
}

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

async function measure(): Promise<Measures> {
  // The memory of buffers is given back behind a collection's back.
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await setImmediate();
  }
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1;
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rss, heapUsed, held: heapUsed + external, resources };
}

function countAll(): Record<string, number> {
  return Object.fromEntries(Object.entries(PER_CALL).map(([name, type]) => [name, countObjects(type)]));
}

await main(JSON.parse(process.argv[2]!) as ProxySettings);
