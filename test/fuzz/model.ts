import type { Random } from '../support/random.js';
import type { Setting } from './setting.js';

/** One way to try a proxy: what peers, or the application, do to it, and what must hold whatever they do. */
export interface Model {
  readonly name: string;
  /** Whether there is anything to try in a setting; in all by default. */
  appliesTo?(setting: Setting): boolean;
  /**
   * Makes everything that it needs, by what `random` says, tries it, and ends it.
   *
   * @throws what does not hold
   */
  run(random: Random, setting: Setting): Promise<void>;
}
