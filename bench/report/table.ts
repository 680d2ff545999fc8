import type { Summary } from '../measure/summary.js';
import { REFERENCE } from '../peers/all-peers.js';
import { describe } from './machine.js';
import type { Results } from './results.js';

const HEADINGS = [
  'case',
  'peer',
  'CPU µs / call',
  `CPU ÷ ${REFERENCE}`,
  'calls / s',
  'p50 ms',
  'p99 ms',
  'peak RSS MiB',
  'failed',
  'busy: proxy / backend / load',
];

/** From here on a backend or a load may be what limits the calls per second. */
const BUSY = 0.8;

/** The results as a Markdown table, aligned to be read as it is. */
export function table(results: Results): string {
  const rows = results.summaries.map(row);
  const lines = [HEADINGS, ...rows];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const format = (line: readonly string[]): string =>
    `| ${line.map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column < 2 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [
    format(HEADINGS),
    rule,
    ...rows.map(format),
    '',
    `${describe(results)}.`,
    ...results.missing.map((text) => `Missing: ${text}.`),
    '',
  ].join('\n');
}

function row(summary: Summary): string[] {
  const { backendCores, loadCores } = summary;
  const busy = [summary.proxyCores, backendCores, loadCores].map((cores) => `${Math.round(cores * 100)} %`);
  return [
    summary.case,
    summary.peer,
    figure(summary.cpuMicrosecondsPerCall),
    summary.cpuRatio === undefined ? '' : summary.cpuRatio.toFixed(2),
    figure(summary.callsPerSecond),
    figure(summary.p50Milliseconds),
    figure(summary.p99Milliseconds),
    figure(summary.peakRssBytes / 2 ** 20),
    summary.failed === 0 ? '0' : `**${summary.failed} of ${summary.calls}**`,
    `${busy.join(' / ')}${Math.max(backendCores, loadCores) > BUSY ? ' !' : ''}`,
  ];
}

/** Three digits, or all before the point. */
export function figure(value: number): string {
  if (value >= 100) return String(Math.round(value));
  return value.toFixed(value >= 10 ? 1 : 2);
}
