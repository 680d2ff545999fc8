import t from 'tap';
import type { Model } from './model.js';
import { runOnce } from './run.js';
import { SETTINGS, type Setting } from './setting.js';

/** Longer than all that a run itself waits for. */
const TIMEOUT_MILLISECONDS = 100_000;

/** Tests models in each setting by the same seeds every time: from 1 to as many as `runs` says. */
export function testModels(models: readonly Model[], runs: (setting: Setting) => number): void {
  t.setTimeout(TIMEOUT_MILLISECONDS);
  for (const model of models) {
    t.test(model.name, { timeout: TIMEOUT_MILLISECONDS }, async (t) => {
      for (const setting of SETTINGS) {
        if (model.appliesTo?.(setting) === false) continue;
        const count = runs(setting);
        for (let seed = 1; seed <= count; seed++) await runOnce({ model, setting, seed });
        t.pass(`${count} runs [${setting.name}]`);
      }
    });
  }
}
