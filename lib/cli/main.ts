#!/usr/bin/env -S node --initial-heap-size=64
// Up to this size, in MiB, V8 lets the heap grow before it collects all of it. By default it does so every few MiB
// of external memory once the heap is above 8 MiB, and at large messages node:http2 brings that much in a moment:
// half of the CPU went there (bench/NOTEBOOK.md).
import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { configJsonSchema } from '../routes/json-schema.js';
import { Demo } from './demo.js';
import { HELP } from './help.js';
import { loadSettings } from './load-settings.js';
import { createLog, type Log } from './log.js';
import { type Command, type Flags, parseCommandLine } from './options.js';
import { ProxyCommand } from './proxy-command.js';
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
  const demo = Demo.isMeant(given) ? await Demo.start(given, print) : undefined;
  const flags = demo === undefined ? given : demo.flags(given);
  const loaded = await loadSettings(flags);
  if (loaded.mistakes !== undefined) {
    await demo?.close();
    refuse(loaded.mistakes);
  }
  let onDrain = (_by: string): void => {};
  let command: ProxyCommand;
  try {
    command = await ProxyCommand.start(loaded, flags, { log, print, onDrain: () => onDrain('POST /drain') });
  } catch (error) {
    process.stderr.write(`grpc-frame-proxy: ${(error as Error).message}\n`);
    process.exit(1);
  }
  onDrain = drainOnSignals(command, demo);
  process.on('SIGHUP', () => void command.hangUp());
  process.on('SIGUSR2', () => void command.restart());
  demo?.introduce(command, flags, print);
}

/** The process ends by itself once it is drained, with exit code 0. @returns what drains for another reason */
function drainOnSignals(command: ProxyCommand, demo: Demo | undefined): (by: string) => void {
  let isDraining = false;
  const drain = async (by: string): Promise<void> => {
    if (isDraining) return;
    isDraining = true;
    const drained = command.drain();
    print(`${by}: draining; send it again to end at once`);
    const ended = await drained;
    await demo?.close();
    print(ended === 0 ? 'drained' : `drained; ${cutShort(ended)}`);
    setTimeout(() => process.exit(0), LEAVE_MILLISECONDS).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isDraining) process.exit(EXIT_CODES[signal]);
      void drain(signal);
    });
  }
  return (by) => void drain(by);
}

function cutShort(ended: number): string {
  return `${ended} ${ended === 1 ? 'call' : 'calls'} had to be ended after --drain-timeout`;
}

function logOf({ logFormat, logLevel }: Flags, name?: string): Log {
  const write = (line: string): void => void process.stderr.write(line);
  return createLog({ format: logFormat, level: logLevel, name }, write);
}

await main();
