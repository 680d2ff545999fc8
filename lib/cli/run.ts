import cluster from 'node:cluster';
import { deferred } from '../call/deferred.js';
import { Demo } from './demo.js';
import { hearEndSignals } from './end-signals.js';
import { tellFailure } from './failure.js';
import { loadSettings } from './load-settings.js';
import { createLog, type Log } from './log.js';
import type { Flags } from './options.js';
import { Output } from './output.js';
import { ProxyCommand } from './proxy-command.js';
import { logWarnings } from './warning-log.js';
import { runWorker } from './worker.js';

/** What the process has to end by itself once it is drained. */
const LEAVE_MILLISECONDS = 1000;

/** What `--check` lets stand for the demo backends, whose ports are not known before they run. */
const ANY_TARGET = '127.0.0.1:1';

/** Says whether it could run so. */
export async function check(flags: Flags): Promise<void> {
  const isDemo = Demo.isMeant(flags);
  const { mistakes } = await loadSettings(isDemo ? { ...flags, primary: ANY_TARGET } : flags);
  if (mistakes !== undefined) await fail(mistakes, flags, 2);
  process.stdout.write('ok\n');
}

/** Takes calls, as the main process or as one of its workers. */
export async function run(given: Flags): Promise<void> {
  if (cluster.isWorker) {
    runWorker(await logOf(given, `process ${process.pid}`));
    return;
  }
  const log = await logOf(given);
  const print = printer(log);
  // Signals come as soon as others know of the process: what they ask for is done when it runs.
  const started = deferred<ProxyCommand>();
  let demo: Demo | undefined;
  const drain = drainOnSignals(started.promise, () => demo?.close(), log);
  process.on('SIGHUP', async () => (await started.promise).hangUp());
  process.on('SIGUSR2', async () => (await started.promise).restart());
  demo = Demo.isMeant(given) ? await Demo.start(given, print) : undefined;
  const flags = demo === undefined ? given : demo.flags(given);
  const loaded = await loadSettings(flags);
  if (loaded.mistakes !== undefined) return fail(loaded.mistakes, flags, 2);
  try {
    started.resolve(
      await ProxyCommand.start(loaded, flags, { log, print, onDrain: () => drain('POST /drain') }),
    );
  } catch (error) {
    await fail([(error as Error).message], flags, 1);
  }
  demo?.introduce(await started.promise, flags, print);
}

async function fail(lines: readonly string[], { logFormat }: Flags, exitCode: number): Promise<never> {
  await tellFailure(lines, logFormat);
  process.exit(exitCode);
}

/** The process ends by itself once it is drained, with exit code 0. @returns what drains for another reason */
function drainOnSignals(
  started: Promise<ProxyCommand>,
  closeOthers: () => Promise<void> | undefined,
  log: Log,
): (by: string) => void {
  let state: 'running' | 'draining' | 'drained' = 'running';
  const drain = async (by: string): Promise<void> => {
    if (state !== 'running') return;
    state = 'draining';
    const command = await started;
    const drained = command.drain();
    log.info(`${by}: draining`);
    const ended = await drained;
    await closeOthers();
    state = 'drained';
    if (ended === 0) log.info('drained');
    else log.warn(`drained; ${cutShort(ended)}`);
    setTimeout(() => process.exit(0), LEAVE_MILLISECONDS).unref();
  };
  hearEndSignals(
    // Kubernetes sends the first one also where its hook has asked the admin endpoint to drain.
    (signal) => void drain(signal),
    (signal) => state === 'draining' && log.info(`${signal}: send it again to end at once`),
  );
  return (by) => void drain(by);
}

function cutShort(ended: number): string {
  return `${ended} ${ended === 1 ? 'call' : 'calls'} had to be ended after --drain-timeout`;
}

async function logOf({ logFormat, logLevel }: Flags, name?: string): Promise<Log> {
  const output = new Output('stderr', (count, why) =>
    log.warn(`${count} ${count === 1 ? 'line' : 'lines'} of this log are lost: ${why}`),
  );
  const log = await createLog({ format: logFormat, level: logLevel, name }, (line) => output.write(line));
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
