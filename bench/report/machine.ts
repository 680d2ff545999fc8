import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';

/** Where and with what a run was made. */
export interface Machine {
  readonly date: string;
  /** `-dirty` where the work tree had changes. */
  readonly commit: string;
  /** Of the peers on Node. */
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  /** Of the last minute, at the end of the run: on a machine that is busy otherwise more than the run's own. */
  readonly loadAverage: number;
}

export function machine(node: string): Machine {
  return {
    date: new Date().toISOString(),
    commit: output('git', 'describe', '--always', '--dirty', '--abbrev=12') ?? 'unknown',
    node: output(node, '--version') ?? 'unknown',
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
    loadAverage: loadavg()[0]!,
  };
}

/** As the lines of text that tell how a table or chart was made. */
export function describe({
  machine,
  rounds,
  seconds,
}: {
  machine: Machine;
  rounds: number;
  seconds: number;
}) {
  const { node, cores, cpu, commit, date } = machine;
  return `Node ${node}, ${cores} cores of ${cpu}, commit ${commit}, ${date.slice(0, 10)}; ${rounds} interleaved rounds of ${seconds} s`;
}

function output(command: string, ...commandArguments: string[]): string | undefined {
  try {
    return execFileSync(command, commandArguments, { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}
