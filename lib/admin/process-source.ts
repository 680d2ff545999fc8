import type { ClientConn } from '../client/client-conn.js';
import type { Server } from '../server/server.js';
import type { AdminSource, MaybePromise, Readiness } from './admin-source.js';
import { backendsJson, type NamedBackend } from './backends-json.js';
import { callsJson } from './calls-json.js';
import { type CallStatistics, callStatistics } from './statistics/call-statistics.js';

/** What the admin endpoint of one process tells of. */
export interface ProcessSourceOptions
  extends Pick<AdminSource, 'metrics' | 'config' | 'drain' | 'reload' | 'restart'> {
  readonly server: Server;
  /** By name; as a function where they change. */
  readonly backends?: Readonly<Record<string, ClientConn>> | (() => Iterable<NamedBackend>) | undefined;
  /** By default the server's calls are counted from now on. */
  readonly statistics?: CallStatistics | undefined;
  /** Whether the process is ready; by default it is until `drain` was called here. */
  readonly ready?: (() => MaybePromise<Readiness>) | undefined;
}

/** The {@link AdminSource} of one process. */
export function processSource(options: ProcessSourceOptions): AdminSource {
  const { server, backends = {}, statistics = callStatistics(server), drain, ...others } = options;
  let isDraining = false;
  const listed = typeof backends === 'function' ? backends : () => Object.entries(backends);
  return {
    ready: () => (isDraining ? { ready: false, reason: 'draining' } : { ready: true }),
    ...given(others),
    backends: () => backendsJson(listed()),
    calls: () => callsJson(server.runningCalls),
    statistics: () => statistics.snapshot(),
    ...(drain && {
      drain: () => {
        isDraining = true;
        return drain();
      },
    }),
  };
}

/** What is there: an option that is undefined is none. */
function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
