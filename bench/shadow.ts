import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Backends, startBackends } from './backend/start-backends.js';
import { type Child, freePort } from './child.js';
import { ownLoad } from './load/own-load.js';
import type { Destination, LoadResult, Traffic } from './load/traffic.js';
import { processUsage } from './measure/process-usage.js';
import { allPeers } from './peers/all-peers.js';
import type { Peer } from './peers/peer.js';

// What a shadow that stands still costs its neighbours: each peer once without a shadow, once with one that is stopped
// (SIGSTOP), in interleaved rounds; then its memory while 200 uploads of 4 MiB run at a time.

const HELP = `node dist/bench/shadow.js [--peers frames,http2,envoy] [--rounds 5] [--seconds 2]`;

const MEBIBYTE = 1024 * 1024;

/** Small calls at a rate that leaves the proxy time: else one more destination alone would make it slower. */
const CALLS: Traffic = {
  connections: 4,
  inFlightPerConnection: 25,
  messages: 1,
  messageBytes: 100,
  responseBytes: 5,
  callsPerSecond: 1000,
};

const UPLOADS: Traffic = {
  connections: 20,
  inFlightPerConnection: 10,
  messages: 4,
  messageBytes: MEBIBYTE,
  responseBytes: 5,
};

/** Each of the 200 goes on with a second one. */
const UPLOAD_COUNT = 400;

const RSS_INTERVAL_MILLISECONDS = 20;

interface Running {
  readonly peer: Peer;
  readonly proxy: Child;
  readonly port: number;
  readonly backends: readonly Backends[];
}

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: 'frames,http2,envoy' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    help: { type: 'boolean' },
  },
});

async function start(peer: Peer, shadows: number, directory: string): Promise<Running> {
  const own = { mode: 'answer', answerBytes: 0, count: 1, tls: undefined } as const;
  const backends = [await startBackends(own)];
  for (let i = 0; i < shadows; i++) backends.push(await startBackends(own));
  const port = await freePort();
  const proxy = peer.start({
    listenPort: port,
    backendPorts: backends.map(({ ports }) => ports[0]!),
    shadows,
    certificate: undefined,
    directory,
  });
  await proxy.listening(port);
  return { peer, proxy, port, backends };
}

async function stop({ proxy, backends }: Running): Promise<void> {
  await proxy.stop();
  for (const { child } of backends) {
    child.signal('SIGCONT');
    await child.stop();
  }
}

function destination({ port }: Running): Destination {
  return { port, secure: false };
}

/** The most memory that it has while something runs, beyond what it had before. */
async function growth(
  { proxy }: Running,
  work: Promise<LoadResult>,
): Promise<{ mebibytes: number; failed: number }> {
  const before = processUsage(proxy.pid).rssBytes;
  let most = before;
  const timer = setInterval(() => {
    most = Math.max(most, processUsage(proxy.pid).rssBytes);
  }, RSS_INTERVAL_MILLISECONDS);
  try {
    const { failed } = await work;
    return { mebibytes: (most - before) / MEBIBYTE, failed };
  } finally {
    clearInterval(timer);
  }
}

function upload(running: Running): Promise<LoadResult> {
  return ownLoad.run(UPLOADS, destination(running), { calls: UPLOAD_COUNT });
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

async function measure(peer: Peer, rounds: number, seconds: number, directory: string): Promise<void> {
  const plain = await start(peer, 0, directory);
  const shadowed = await start(peer, 1, directory);
  try {
    for (const each of [plain, shadowed, plain, shadowed])
      await ownLoad.run(CALLS, destination(each), { seconds });
    shadowed.backends[1]!.child.signal('SIGSTOP');
    const rates: number[] = [];
    const tails: number[] = [];
    let failed = 0;
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? [plain, shadowed] : [shadowed, plain];
      const results = new Map<Running, LoadResult>();
      for (const each of order) results.set(each, await ownLoad.run(CALLS, destination(each), { seconds }));
      const [without, with_] = [results.get(plain)!, results.get(shadowed)!];
      rates.push(with_.calls / with_.seconds / (without.calls / without.seconds));
      tails.push(with_.p99Milliseconds / without.p99Milliseconds);
      failed += with_.failed + without.failed;
    }
    const uploads = await growth(shadowed, upload(shadowed));
    const plainUploads = await growth(plain, upload(plain));
    console.log(
      `${peer.name}: with a stopped shadow the rate is ${median(rates).toFixed(2)} times (${list(rates)}), ` +
        `p99 ${median(tails).toFixed(2)} times (${list(tails)}) that without; ${failed} failed. ` +
        `200 uploads of 4 MiB at a time: RSS +${uploads.mebibytes.toFixed(0)} MiB, ${uploads.failed} failed ` +
        `(without a shadow +${plainUploads.mebibytes.toFixed(0)} MiB)`,
    );
  } finally {
    await stop(plain);
    await stop(shadowed);
  }
}

function list(numbers: readonly number[]): string {
  return numbers.map((number) => number.toFixed(2)).join(' ');
}

if (values.help === true) {
  console.log(HELP);
} else {
  const names = values.peers.split(',');
  const peers = allPeers({ node: process.execPath, profileDirectory: undefined });
  for (const peer of peers.filter(({ name }) => names.includes(name))) {
    const missing = peer.missing();
    if (missing !== undefined) {
      console.log(`${peer.name} is not installed: ${missing}`);
      continue;
    }
    const directory = mkdtempSync(join(tmpdir(), 'bench-shadow-'));
    try {
      await measure(peer, Number(values.rounds), Number(values.seconds), directory);
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
}
