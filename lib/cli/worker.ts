import type { Log } from './log.js';
import { ProcessPlane } from './process-plane.js';
import { answerRequests } from './requests.js';
import type { Settings } from './settings.js';
import { COMMAND_SIGNALS } from './signals.js';
import type { Farewell } from './worker-process.js';

/** What a worker does: what the main process tells it, for which signals are. */
export function runWorker(log: Log): void {
  for (const signal of COMMAND_SIGNALS) process.on(signal, () => {});
  let plane: ProcessPlane | undefined;
  const methods = {
    start: (settings: Settings) => {
      plane = new ProcessPlane(settings, log);
      return plane.start();
    },
    apply: (settings: Settings) => plane?.apply(settings),
    look: () => plane?.look(),
    metrics: () => plane?.metrics(),
    reopenLogs: () => plane?.reopenLogs(),
    ping: () => true,
    drain: async (timeoutMilliseconds: number): Promise<Farewell> => {
      const endedCalls = (await plane?.drain(timeoutMilliseconds)) ?? 0;
      const [last] = (await plane?.look()) ?? [];
      return { endedCalls, metrics: await plane?.metrics(), statistics: last?.statistics };
    },
    leave: () => {},
  };
  answerRequests(process as Required<NodeJS.Process>, methods, (method) => {
    if (method === 'leave') process.exit(0);
  });
}
