import { arch, cpus, platform } from 'node:os';
import type { Run } from './run.js';
import { replay } from './run.js';

/** A run that failed. */
export interface Failed {
  readonly run: Run;
  readonly message: string;
}

/** What has been run, and how long it took. */
export class Tally {
  readonly failures: Failed[] = [];
  readonly #cells = new Map<string, { runs: number; milliseconds: number }>();
  readonly #startedAt = performance.now();

  constructor(private readonly firstSeed: number) {}

  get runs(): number {
    return [...this.#cells.values()].reduce((sum, { runs }) => sum + runs, 0);
  }

  add({ model, setting }: Run, milliseconds: number): void {
    const key = `${model.name} | ${setting.name}`;
    const cell = this.#cells.get(key) ?? { runs: 0, milliseconds: 0 };
    cell.runs++;
    cell.milliseconds += milliseconds;
    this.#cells.set(key, cell);
  }

  /** A table of Markdown. */
  table(): string {
    const rows = [...this.#cells].sort(([a], [b]) => (a < b ? -1 : 1));
    return [
      '| model | transports | runs | seconds |',
      '| --- | --- | ---: | ---: |',
      ...rows.map(
        ([key, { runs, milliseconds }]) => `| ${key} | ${runs} | ${(milliseconds / 1000).toFixed(1)} |`,
      ),
    ].join('\n');
  }

  summary(): string {
    const minutes = ((performance.now() - this.#startedAt) / 60_000).toFixed(1);
    return `${this.runs} runs in ${minutes} minutes from seed ${this.firstSeed}, ${this.failures.length} failures`;
  }

  /** All of it, to keep. */
  report(): string {
    const failures = this.failures.map(
      ({ run, message }) => `- \`${replay(run)}\`\n\n${message.replaceAll(/^/gm, '      ')}\n`,
    );
    return [
      '# Fuzzing',
      '',
      `${this.summary()}.`,
      '',
      `Node.js ${process.version}, ${platform()} ${arch()}, ${cpus().length} cores.`,
      '',
      this.table(),
      '',
      '## Failures',
      '',
      ...(failures.length === 0 ? ['None.'] : failures),
      '',
    ].join('\n');
  }
}
