import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type ClientConn, dial, Server } from '../lib/index.js';
import { startBackends } from './backend/start-backends.js';
import { Child, freePort } from './child.js';
import { ownLoad } from './load/own-load.js';
import type { Traffic } from './load/traffic.js';
import { processUsage } from './measure/process-usage.js';

// What workers are worth: the command with one process and with two, interleaved, on the same two cores; and how evenly calls
// that are in flight spread over two.

const MAIN = fileURLToPath(new URL('../lib/cli/main.js', import.meta.url));

const HELP = 'node dist/bench/workers.js [--transports http2,frames] [--rounds 5] [--seconds 3]';

/** Enough connections for chance to be fair: each goes to the next worker. */
const CALLS: Traffic = {
  connections: 16,
  inFlightPerConnection: 25,
  messages: 1,
  messageBytes: 100,
  responseBytes: 105,
};

const IN_FLIGHT = { connections: 40, callsPerConnection: 50 };

const { values } = parseArgs({
  options: {
    transports: { type: 'string', default: 'http2,frames' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    help: { type: 'boolean' },
  },
});

async function startCommand(backendPort: number, workers: number, transport: string) {
  const port = await freePort();
  const child = Child.start(process.execPath, [
    '--initial-heap-size=64',
    MAIN,
    ...['--listen', `127.0.0.1:${port}`, '--primary', `127.0.0.1:${backendPort}`],
    ...['--workers', String(workers), '--transport', transport],
  ]);
  // When all workers listen: the first one does before.
  await child.line();
  return { child, port };
}

async function measure(transport: string, rounds: number, seconds: number): Promise<void> {
  const backends = await startBackends({ mode: 'echo', answerBytes: 0, count: 1, tls: undefined });
  const one = await startCommand(backends.ports[0]!, 1, transport);
  const two = await startCommand(backends.ports[0]!, 2, transport);
  const run = async ({ port, child }: { port: number; child: Child }) => {
    const before = processUsage(child.pid).cpuMicroseconds;
    const { calls, failed, seconds: took } = await ownLoad.run(CALLS, { port, secure: false }, { seconds });
    if (failed > 0) throw new Error(`${failed} calls failed`);
    const cpu = processUsage(child.pid).cpuMicroseconds - before;
    return { rate: calls / took, cpuPerCall: cpu / calls };
  };
  try {
    for (const each of [one, two]) await run(each);
    const rates: number[] = [];
    const costs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [one, two] : [two, one];
      const results = new Map<object, Awaited<ReturnType<typeof run>>>();
      for (const each of order) results.set(each, await run(each));
      const [single, double] = [results.get(one)!, results.get(two)!];
      rates.push(double.rate / single.rate);
      costs.push(double.cpuPerCall / single.cpuPerCall);
    }
    // Load and backend need the same two cores: what two workers would do with a core each, their CPU per call says.
    console.log(
      `${transport}: two workers make ${medianOf(rates)} the calls per second of one process, ` +
        `with ${medianOf(costs)} its CPU per call`,
    );
  } finally {
    for (const { child } of [one, two, backends]) await child.stop();
  }
}

/** Of ratios, and all of them. */
function medianOf(ratios: readonly number[]): string {
  const sorted = [...ratios].sort((a, b) => a - b);
  const all = sorted.map((ratio) => ratio.toFixed(2)).join(' ');
  return `${sorted[Math.floor(sorted.length / 2)]!.toFixed(2)} times (${all})`;
}

/** How many calls in flight each of two workers has, of so many that wait for a backend. */
async function spread(transport: string): Promise<void> {
  const waiting: (() => void)[] = [];
  const backend = new Server({
    unknownServiceHandler: () => new Promise<void>((resolve) => void waiting.push(resolve)),
  });
  const address = await backend.listen('127.0.0.1:0');
  const { child, port } = await startCommand(address.port, 2, transport);
  const conns: ClientConn[] = [];
  const total = IN_FLIGHT.connections * IN_FLIGHT.callsPerConnection;
  for (let i = 0; i < IN_FLIGHT.connections; i++) {
    const conn = dial(`127.0.0.1:${port}`, { transport: 'frames', limits: { maxConnections: 1 } });
    conns.push(conn);
    for (let call = 0; call < IN_FLIGHT.callsPerConnection; call++) conn.call('/any.Service/Wait').end();
  }
  while (waiting.length < total) await pause(20);
  const counts = workersOf(child.pid).map((pid) => connectionsOf(pid, port) * IN_FLIGHT.callsPerConnection);
  console.log(`${transport}: of ${total} calls in flight the workers have ${counts.join(' and ')}`);
  for (const end of waiting) end();
  for (const conn of conns) conn.destroy();
  await child.stop();
  backend.destroy();
}

function workersOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return children.trim().split(' ').map(Number);
}

/** Established connections to the port, of those sockets that the process has open. */
function connectionsOf(pid: number, port: number): number {
  const sockets = new Set<string>();
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync(`/proc/${pid}/net/tcp`, 'utf8').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.endsWith(local) && fields[3] === '01') sockets.add(`socket:[${fields[9]}]`);
  }
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => sockets.has(target(`/proc/${pid}/fd/${fd}`))).length;
}

/** Empty for one that has been closed meanwhile. */
function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

if (values.help === true) console.log(HELP);
else {
  for (const transport of values.transports.split(',')) {
    await measure(transport, Number(values.rounds), Number(values.seconds));
    await spread(transport);
  }
}
