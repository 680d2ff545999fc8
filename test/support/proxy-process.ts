import { setImmediate } from 'node:timers/promises';
import v8 from 'node:v8';
import { ClientCall } from '../../lib/client/client-call.js';
import { CallContext } from '../../lib/grpc/call-context.js';
import { Code, dial, Server, StatusError, type TransportName, transparentHandler } from '../../lib/index.js';
import { ProxyCall } from '../../lib/proxy/proxy-call.js';
import { ServerStream } from '../../lib/server/server-stream.js';
import { FrameStream } from '../../lib/transport/frames/stream.js';
import { NodeClientStream, NodeServerStream } from '../../lib/transport/http2/stream.js';

/**
 * A proxy in a process of its own, whose memory can be looked at: `node --expose-gc proxy-process.js TRANSPORT
 * TRANSPORT PORT…`, forked, with the transports of the server and of the connections to backends, and the ports of the primary and the secondaries. It answers `measure` with {@link Measures} and `count`
 * with numbers of objects; at `close` it
 * closes the proxy and its connections, and has nothing more to do.
 */

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
  ServerStream,
};

async function main(): Promise<void> {
  const [transport, clientTransport, ...ports] = process.argv.slice(2);
  const [primary, ...secondaries] = ports.map((port) =>
    dial(`127.0.0.1:${port}`, { transport: clientTransport as TransportName }),
  );
  const handler = transparentHandler(
    async (ctx, _method, peeker) => {
      const mode = ctx.metadata.get('x-mode');
      if (mode === 'director') throw new StatusError(Code.PERMISSION_DENIED, 'no');
      if (mode === 'peek') await peeker.peek();
      return {
        primary: { conn: primary! },
        secondaries: secondaries.map((conn) => ({ conn })),
        requestFinalizer: () => {},
      };
    },
    { maxPeekBytes: 1000 },
  );
  const server = new Server({ unknownServiceHandler: handler, transport: transport as TransportName });
  const address = await server.listen('127.0.0.1:0');
  process.on('message', async (message) => {
    if (message === 'measure') process.send!(await measure());
    if (message === 'count') process.send!(countAll());
    if (message !== 'close') return;
    await Promise.all([server.close(), ...[primary!, ...secondaries].map((conn) => conn.close())]);
    process.disconnect();
  });
  process.send!(address);
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
  return Object.fromEntries(Object.entries(PER_CALL).map(([name, type]) => [name, count(type)]));
}

type Query = (type: unknown, options: { format: 'count' }) => number;

function count(type: unknown): number {
  // Missing from the types; in Node since 20.13.
  return (v8 as unknown as { queryObjects: Query }).queryObjects(type, { format: 'count' });
}

await main();
