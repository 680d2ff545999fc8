import type { Sample } from '../cell.js';
import type { Summary } from '../measure/summary.js';
import type { Machine } from './machine.js';

/** What is kept of a run. */
export interface Results {
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  /** Peers that could not take part, and why. */
  readonly missing: readonly string[];
  readonly cases: readonly { readonly name: string; readonly title: string }[];
  readonly summaries: readonly Summary[];
  readonly samples: readonly {
    readonly case: string;
    readonly peer: string;
    readonly samples: readonly Sample[];
  }[];
}
