import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBackends } from './backend/start-backends.js';
import { freePort } from './child.js';
import { IdleStreams } from './load/idle-streams.js';
import { processUsage } from './measure/process-usage.js';
import { allPeers } from './peers/all-peers.js';
import type { Peer } from './peers/peer.js';

// Memory of proxies that hold idle streams: node dist/bench/idle.js [streams [node [peers]]]

const CONNECTIONS = 50;
const SETTLE_MILLISECONDS = 2_000;
const TIMEOUT_MILLISECONDS = 30_000;

const streams = Number(process.argv[2] ?? 10_000);
const names = process.argv[4]?.split(',');

async function measure(peer: Peer): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-idle-'));
  const backends = await startBackends({ mode: 'echo', answerBytes: 0, count: 1, tls: undefined });
  const port = await freePort();
  const proxy = peer.start({
    listenPort: port,
    backendPorts: backends.ports,
    shadows: 0,
    certificate: undefined,
    directory,
  });
  try {
    await proxy.listening(port);
    const before = processUsage(proxy.pid).rssBytes;
    const opened = await within(
      TIMEOUT_MILLISECONDS,
      Promise.all(Array.from({ length: CONNECTIONS }, () => IdleStreams.open(port, streams / CONNECTIONS))),
    );
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MILLISECONDS));
    const after = processUsage(proxy.pid).rssBytes;
    for (const each of opened) each.close();
    const kibibytes = (after - before) / streams / 1024;
    return `${mebibytes(before)} MiB, then ${mebibytes(after)} MiB: ${kibibytes.toFixed(1)} KiB per stream`;
  } finally {
    await proxy.stop();
    await backends.child.stop();
    rmSync(directory, { recursive: true });
  }
}

function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not all open after ${milliseconds} ms`)), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

for (const peer of allPeers({ node: process.argv[3] ?? process.execPath, profileDirectory: undefined })) {
  if (peer.extra !== undefined || (names !== undefined && !names.includes(peer.name))) continue;
  if (peer.missing() !== undefined) continue;
  const text = await measure(peer).catch((error: Error) => `failed: ${error.message}`);
  console.log(`${peer.name}: RSS ${text} (${streams} streams)`);
}
