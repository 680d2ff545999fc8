#!/usr/bin/env -S node --initial-heap-size=64
// Up to this size, in MiB, V8 lets the heap grow before it collects all of it. By default it does so every few MiB
// of external memory once the heap is above 8 MiB, and at large messages node:http2 brings that much in a moment:
// half of the CPU went there (bench/NOTEBOOK.md).
import { readFileSync } from 'node:fs';
import { type Command, HELP, parseCommandLine } from './options.js';
import { ProxyProcess } from './proxy-process.js';
import { UsageError } from './usage-error.js';

/** 128 and the number of the signal, as shells do. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function log(line: string): void {
  process.stderr.write(`grpc-frame-proxy: ${line}\n`);
}

function fail(error: unknown): never {
  log((error as Error).message);
  process.exit(error instanceof UsageError ? 2 : 1);
}

function version(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/**
 * Who reads the output may leave (`| head -1`), and a disk may be full: no reason to end, nor to fail the calls. What
 * cannot be printed is lost; standard error is told once why, unless it is only that nobody reads.
 */
function outliveOutput(): void {
  let isTold = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (isTold || code === 'EPIPE') return;
    isTold = true;
    process.stderr.write(`grpc-frame-proxy: standard output is lost: ${message}\n`);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
}

async function main(): Promise<void> {
  outliveOutput();
  let command: Command;
  try {
    command = parseCommandLine(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    fail(error);
  }
  if (command.kind === 'help') {
    process.stdout.write(HELP);
    return;
  }
  if (command.kind === 'version') {
    print(version());
    return;
  }
  let proxy: ProxyProcess;
  try {
    proxy = await ProxyProcess.start(command.options, print, log);
  } catch (error) {
    fail(error);
  }
  drainOnSignals(proxy, command.options.drainTimeoutMilliseconds);
}

/** The process ends by itself once it is drained, with exit code 0. */
function drainOnSignals(proxy: ProxyProcess, timeoutMilliseconds: number): void {
  let draining = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (draining) process.exit(EXIT_CODES[signal]);
      draining = true;
      const drained = proxy.drain(timeoutMilliseconds);
      print(`${signal}: draining; send it again to end at once`);
      void drained.then((ended) => print(ended === 0 ? 'drained' : `drained; ${cutShort(ended)}`));
    });
  }
}

function cutShort(ended: number): string {
  return `${ended} ${ended === 1 ? 'call' : 'calls'} had to be ended after --drain-timeout`;
}

await main();
