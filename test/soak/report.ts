import { cpus } from 'node:os';
import type { SoakOptions, SoakResult } from './soak.js';

/** What a soak says of itself, as Markdown. */
export function reportOf(options: SoakOptions, result: SoakResult): string {
  const { minutes, seed, transport } = options;
  const { accounts, attacks, disturbances, memory, before, after, violations } = result;
  const rss = [0, 1, 2, 3].map((quarter) => mebibytes(memory.median(quarter))).join(', ');
  const lines = [
    `# Soak of ${minutes} minutes on \`${transport}\`, seed ${seed}`,
    '',
    violations.length === 0 ? '**Passed.**' : `**Failed**: ${violations.length} violations.`,
    '',
    `Node.js ${process.version}, ${cpus().length} CPUs.`,
    '',
    '## Calls of the victims',
    '',
    '| backend | calls | OK | excused | violations |',
    '| --- | --: | --: | --- | --: |',
    ...accounts.map(({ service, calls, ok, excused, violationCount }) => {
      const excuses = [...excused].map(([what, count]) => `${count} × ${what}`).join('; ');
      return `| ${service} | ${calls} | ${ok} | ${excuses} | ${violationCount} |`;
    }),
    '',
    `${result.restlessCalls} calls beside them were cancelled, had short deadlines or were read slowly.`,
    '',
    '## What was done',
    '',
    ...Object.entries(disturbances).map(
      ([service, kinds]) => `- ${service}: ${describe(Object.entries(kinds))}`,
    ),
    `- attacks: ${describe([...attacks])}`,
    '',
    '## The proxy',
    '',
    `- RSS, median of each quarter: ${rss} MiB; peak ${mebibytes(memory.peak)} MiB`,
    `- held by JavaScript before and after, garbage collected: ${mebibytes(before.held)} and ${mebibytes(after.held)} MiB`,
    `- file descriptors before and after: ${before.fds} and ${after.fds}`,
    `- running calls after: ${after.runningCalls}; bytes held after: ${after.heldBytes ?? 'not counted'}`,
    `- ${after.calls} calls, failed for: ${describe(Object.entries(after.failures))}`,
  ];
  if (violations.length > 0) lines.push('', '## Violations', '', ...violations.map((text) => `- ${text}`));
  return `${lines.join('\n')}\n`;
}

function describe(counts: readonly (readonly [string, number])[]): string {
  return counts.map(([what, count]) => `${count} × ${what}`).join(', ') || 'nothing';
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
