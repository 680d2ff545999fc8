import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case } from './cases.js';
import { Cell } from './cell.js';
import { makeCertificate } from './certificate.js';
import { h2load, hasH2load, suitsH2load } from './load/h2load.js';
import { ownLoad } from './load/own-load.js';
import type { CountedLoad } from './load/traffic.js';
import type { Peer } from './peers/peer.js';

/** How to measure. */
export interface Plan {
  readonly cases: readonly Case[];
  readonly peers: readonly Peer[];
  readonly rounds: number;
  readonly seconds: number;
  readonly load: 'h2load' | 'own' | undefined;
}

/** Is told how it goes. */
export interface Progress {
  /** Something that the reader must know: who does not take part, and why. */
  note(text: string): void;
  step(text: string): void;
}

/** Measures; the cells that come back are stopped and hold their samples. */
export async function run(plan: Plan, progress: Progress): Promise<Cell[]> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const all: Cell[] = [];
  try {
    for (const group of new Set(plan.cases.map(({ group }) => group))) {
      const cases = plan.cases.filter((theCase) => theCase.group === group);
      all.push(...(await runGroup(cases, plan, directory, progress)));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  return all;
}

async function runGroup(
  cases: readonly Case[],
  plan: Plan,
  directory: string,
  progress: Progress,
): Promise<Cell[]> {
  const cells: Cell[] = [];
  const failures = new Set<Cell>();
  try {
    for (const theCase of cases) {
      const load = loadFor(theCase, plan.load);
      const certificate = theCase.secure ? makeCertificate(directory) : undefined;
      for (const peer of plan.peers) {
        if (peer.extra !== undefined && !theCase.extras.includes(peer.extra)) continue;
        const unfit = peer.unfit?.(theCase.secondaries + theCase.shadows);
        if (unfit !== undefined) {
          progress.note(`${peer.name} does not take part in ${theCase.name}: it ${unfit}`);
          continue;
        }
        progress.step(`${theCase.name}: starting ${peer.name}`);
        try {
          const cell = await Cell.start(theCase, peer, load, directory, certificate);
          cells.push(cell);
          await cell.warmUp();
        } catch (error) {
          // One that cannot is no reason to do without the others.
          if (cells.at(-1)?.peer === peer && cells.at(-1)?.case === theCase) await cells.pop()?.stop();
          progress.note(`${peer.name} does not take part in ${theCase.name}: ${(error as Error).message}`);
        }
      }
    }
    for (let round = 1; round <= plan.rounds; round++) {
      // Forth and back, so that nobody always comes after the same neighbour.
      for (const cell of round % 2 === 1 ? cells : cells.toReversed()) {
        progress.step(`${cell.case.name}: round ${round} of ${plan.rounds}, ${cell.peer.name}`);
        if (failures.has(cell)) continue;
        try {
          await cell.measure(plan.seconds);
        } catch (error) {
          failures.add(cell);
          progress.note(`${cell.peer.name} failed in ${cell.case.name}: ${(error as Error).message}`);
        }
      }
    }
  } finally {
    await Promise.all(cells.map((cell) => cell.stop()));
  }
  return cells.filter((cell) => !failures.has(cell));
}

function loadFor({ traffic }: Case, wanted: Plan['load']): CountedLoad {
  if (wanted === 'own' || !suitsH2load(traffic)) return ownLoad;
  return wanted === 'h2load' || hasH2load() ? h2load : ownLoad;
}
