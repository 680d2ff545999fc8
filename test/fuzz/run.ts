import { Random } from '../support/random.js';
import type { Model } from './model.js';
import { ProcessLog } from './process-log.js';
import { countResources } from './resources.js';
import type { Setting } from './setting.js';

/** One run: what is tried, where, and by which seed. */
export interface Run {
  readonly model: Model;
  readonly setting: Setting;
  readonly seed: number;
}

let processLog: ProcessLog | undefined;

/**
 * Does one run.
 *
 * @throws what does not hold, with the command that does the run once more
 */
export async function runOnce({ model, setting, seed }: Run): Promise<void> {
  if (processLog === undefined) {
    processLog = new ProcessLog();
    countResources();
  }
  try {
    await model.run(new Random(seed), setting);
    await turns();
    processLog.check();
  } catch (error) {
    // What was thrown elsewhere is likely to be the reason.
    let message = (error as Error).message;
    try {
      processLog.check();
    } catch (logged) {
      if (logged !== error) message = `${message}\n${(logged as Error).message}`;
    }
    throw new Error(`${replay({ model, setting, seed })}\n${message}`, { cause: error });
  }
}

/** The command that does a run once more. */
export function replay({ model, setting, seed }: Run): string {
  return `npm run fuzz -- --model ${model.name} --transport ${setting.name} --seed ${seed} --runs 1`;
}

/** Unhandled rejections and warnings are told in a later turn of the event loop. */
async function turns(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
