#!/usr/bin/env -S node --initial-heap-size=64
// Up to this size, in MiB, V8 lets the heap grow before it collects all of it. By default it does so every few MiB
// of external memory once the heap is above 8 MiB, and at large messages node:http2 brings that much in a moment:
// half of the CPU went there (bench/NOTEBOOK.md).
import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { deferred } from '../call/deferred.js';
import { configJsonSchema } from '../routes/json-schema.js';
import { Demo } from './demo.js';
import { HELP } from './help.js';
import { loadSettings } from './load-settings.js';
import { createLog, type Log } from './log.js';
import { type Command, type Flags, parseCommandLine } from './options.js';
import { Output } from './output.js';
import { ProxyCommand } from './proxy-command.js';
import { logWarnings } from './warning-log.js';
import { runWorker } from './worker.js';

/** 128 and the number of the signal, as shells do. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** What the process has to end by itself once it is drained. */
const LEAVE_MILLISECONDS = 1000;

/** What `--check` lets stand for the demo backends, whose ports are not known before they run. */
const ANY_TARGET = '127.0.0.1:1';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What is wrong with the command line is told before there is a log. */
function refuse(lines: readonly string[]): never {
  for (const line of lines) process.stderr.write(`grpc-frame-proxy: ${line}\n`);
  process.exit(2);
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
    refuse([(error as Error).message]);
  }
  switch (command.kind) {
    case 'help':
      process.stdout.write(HELP);
      break;
    case 'version':
      print(version());
      break;
    case 'config-schema':
      print(JSON.stringify(configJsonSchema(), undefined, 2));
      break;
    case 'check':
      await check(command.flags);
      break;
    case 'run':
      if (cluster.isWorker) runWorker(logOf(command.flags, `process ${process.pid}`));
      else await run(command.flags);
  }
}

async function check(flags: Flags): Promise<void> {
  const isDemo = Demo.isMeant(flags);
  const { mistakes } = await loadSettings(isDemo ? { ...flags, primary: ANY_TARGET } : flags);
  if (mistakes !== undefined) refuse(mistakes);
  print('ok');
}

async function run(given: Flags): Promise<void> {
  const log = logOf(given);
  const print = printer(log);
  // Signals come as soon as others know of the process: what they ask for is done when it runs.
  const started = deferred<ProxyCommand>();
  let demo: Demo | undefined;
  const drain = drainOnSignals(started.promise, () => demo?.close(), print);
  process.on('SIGHUP', async () => (await started.promise).hangUp());
  process.on('SIGUSR2', async () => (await started.promise).restart());
  demo = Demo.isMeant(given) ? await Demo.start(given, print) : undefined;
  const flags = demo === undefined ? given : demo.flags(given);
  const loaded = await loadSettings(flags);
  if (loaded.mistakes !== undefined) refuse(loaded.mistakes);
  try {
    started.resolve(
      await ProxyCommand.start(loaded, flags, { log, print, onDrain: () => drain('POST /drain') }),
    );
  } catch (error) {
    process.stderr.write(`grpc-frame-proxy: ${(error as Error).message}\n`);
    process.exit(1);
  }
  demo?.introduce(await started.promise, flags, print);
}

/** The process ends by itself once it is drained, with exit code 0. @returns what drains for another reason */
function drainOnSignals(
  started: Promise<ProxyCommand>,
  closeOthers: () => Promise<void> | undefined,
  print: (line: string) => void,
): (by: string) => void {
  let isDraining = false;
  const drain = async (by: string): Promise<void> => {
    if (isDraining) return;
    isDraining = true;
    const command = await started;
    const drained = command.drain();
    print(`${by}: draining${by in EXIT_CODES ? '; send it again to end at once' : ''}`);
    const ended = await drained;
    await closeOthers();
    print(ended === 0 ? 'drained' : `drained; ${cutShort(ended)}`);
    setTimeout(() => process.exit(0), LEAVE_MILLISECONDS).unref();
  };
  let isSignalled = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // Kubernetes sends the first one also where its hook has asked the admin endpoint to drain.
      if (isSignalled) process.exit(EXIT_CODES[signal]);
      isSignalled = true;
      void drain(signal);
    });
  }
  return (by) => void drain(by);
}

function cutShort(ended: number): string {
  return `${ended} ${ended === 1 ? 'call' : 'calls'} had to be ended after --drain-timeout`;
}

function logOf({ logFormat, logLevel }: Flags, name?: string): Log {
  const output = new Output('stderr', (count, why) =>
    log.warn(`${count} ${count === 1 ? 'line' : 'lines'} of this log are lost: ${why}`),
  );
  const log = createLog({ format: logFormat, level: logLevel, name }, (line) => output.write(line));
  logWarnings(log);
  return log;
}

/** @returns what writes lines to standard output; of what is lost the log is told once why, unless nobody reads it */
function printer(log: Log): (line: string) => void {
  let isTold = false;
  const output = new Output('stdout', (_, why) => {
    if (isTold || why.includes('EPIPE')) return;
    isTold = true;
    log.warn(`standard output is lost: ${why}`);
  });
  return (line) => output.write(`${line}\n`);
}

await main();
