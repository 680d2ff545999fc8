import type { ClientConn } from '../client/client-conn.js';
import { checkFunction, checkObject, checkOptions, type OptionNames } from '../port/options.js';
import type { Server } from '../server/server.js';
import type { AdminSource, MaybePromise, Readiness } from './admin-source.js';
import { backendsJson, type NamedBackend } from './backends-json.js';
import { callsJson } from './calls-json.js';
import { type CallStatistics, callStatistics } from './statistics/call-statistics.js';

/** What the admin endpoint of one process tells of, and what it can be made to do: what is not given cannot be done. */
export interface ProcessSourceOptions {
  /** The server that is told of. */
  readonly server: Server;
  /** The backends that are told of, by name; as a function where they change. None by default. */
  readonly backends?: Readonly<Record<string, ClientConn>> | (() => Iterable<NamedBackend>) | undefined;
  /** What the live page tells of calls; by default the server's are counted from now on. */
  readonly statistics?: CallStatistics | undefined;
  /** Whether the process is ready; by default it is until its server begins to close. */
  readonly ready?: (() => MaybePromise<Readiness>) | undefined;
  /** Answers `/metrics`: `Metrics.text`, say. By default there is no such path. */
  readonly metrics?: AdminSource['metrics'];
  /** Answers `/config`, with plain JSON without secrets. By default there is no such path. */
  readonly config?: AdminSource['config'];
  /** Begins to drain, for `POST /drain`. By default that is refused (409). */
  readonly drain?: AdminSource['drain'];
  /** Reads a config again, for `POST /reload`. By default that is refused (409). */
  readonly reload?: AdminSource['reload'];
  /** Begins to replace workers, for `POST /restart`. By default that is refused (409). */
  readonly restart?: AdminSource['restart'];
}

const OPTIONS: OptionNames<ProcessSourceOptions> = {
  server: true,
  backends: true,
  statistics: true,
  ready: true,
  metrics: true,
  config: true,
  drain: true,
  reload: true,
  restart: true,
};

/**
 * The {@link AdminSource} of one process.
 *
 * @throws TypeError for an option that makes no sense
 */
export function processSource(options: ProcessSourceOptions): AdminSource {
  checkOptions(options, OPTIONS);
  checkObject('server', 'a Server', options.server, 'observe');
  if (typeof (options.backends ?? {}) !== 'object') {
    checkFunction('backends', options.backends, 'an object of connections by name, or a function');
  }
  for (const name of ['ready', 'metrics', 'config', 'drain', 'reload', 'restart'] as const) {
    checkFunction(name, options[name]);
  }
  const { server, backends = {}, statistics = callStatistics(server), ready, ...others } = options;
  const listed = typeof backends === 'function' ? backends : () => Object.entries(backends);
  return {
    ...others,
    ready: ready ?? (() => readinessOf(server)),
    backends: () => backendsJson(listed()),
    calls: () => callsJson(server.runningCalls),
    statistics: () => statistics.snapshot(),
  };
}

function readinessOf({ closing }: Server): Readiness {
  return closing.aborted ? { ready: false, reason: 'draining' } : { ready: true };
}
