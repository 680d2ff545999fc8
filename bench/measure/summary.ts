import type { Cell, Sample } from '../cell.js';
import { median } from './statistics.js';

/** A peer in a case: medians over the rounds. */
export interface Summary {
  readonly case: string;
  readonly peer: string;
  readonly calls: number;
  readonly failed: number;
  readonly cpuMicrosecondsPerCall: number;
  readonly callsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  readonly peakRssBytes: number;
  /** CPU per call over that of the reference in the same round; undefined where that did not take part. */
  readonly cpuRatio: number | undefined;
  readonly proxyCores: number;
  readonly backendCores: number;
  readonly loadCores: number;
}

export function summarize(cells: readonly Cell[], reference: string): Summary[] {
  return cells.map((cell) => {
    const { samples } = cell;
    const middle = (pick: (sample: Sample) => number): number => median(samples.map(pick));
    const base = cells.find(({ case: { name }, peer }) => name === cell.case.name && peer.name === reference);
    return {
      case: cell.case.name,
      peer: cell.peer.name,
      calls: samples.reduce((sum, { calls }) => sum + calls, 0),
      failed: samples.reduce((sum, { failed }) => sum + failed, 0),
      cpuMicrosecondsPerCall: middle((sample) => sample.cpuMicrosecondsPerCall),
      callsPerSecond: middle((sample) => sample.callsPerSecond),
      p50Milliseconds: middle((sample) => sample.p50Milliseconds),
      p99Milliseconds: middle((sample) => sample.p99Milliseconds),
      peakRssBytes: Math.max(...samples.map((sample) => sample.peakRssBytes)),
      cpuRatio: base && medianRatio(samples, base.samples),
      proxyCores: middle((sample) => sample.proxyCores),
      backendCores: middle((sample) => sample.backendCores),
      loadCores: middle((sample) => sample.loadCores),
    };
  });
}

/** The median over the rounds of one peer's CPU per call over another's: machines drift less within a round. */
export function medianRatio(samples: readonly Sample[], base: readonly Sample[]): number {
  return median(
    samples.map((sample, round) => sample.cpuMicrosecondsPerCall / base[round]!.cpuMicrosecondsPerCall),
  );
}
