import { knownFaultOf } from './known-faults.js';
import type { Account } from './load.js';
import { PHASES } from './phases.js';
import type { RolloutResult } from './rollout.js';

const HEAD = ['phase', 'client', 'calls', 'ok', 'retried', 'repeated', 'failed'];

/** What is to be read of it. */
export function reportOf(result: RolloutResult): string {
  const { accounts, transport, failures, absent, objections, seconds } = result;
  const lines = [...tableOf(accounts), '', ...notesOf(result)];
  for (const failure of failures) {
    const { phase, at, client, method, what } = failure;
    lines.push(`FAILED in "${phase}" at ${at} s: ${client}, ${method}: ${what}`);
    const why = knownFaultOf(failure, transport);
    if (why !== undefined) lines.push(`    probably: ${why}`);
  }
  for (const objection of objections) lines.push(`WRONG: ${objection}`);
  for (const what of absent) lines.push(`without ${what}`);
  const calls = sum(accounts, (account) => account.calls);
  lines.push(`${failedOf(accounts)} failed of ${calls} calls, in ${seconds.toFixed(0)} s`);
  return `${lines.join('\n')}\n`;
}

/** Whether nothing was lost, and nothing else is wrong. */
export function isProven({ accounts, objections }: RolloutResult): boolean {
  return failedOf(accounts) === 0 && objections.length === 0;
}

function failedOf(accounts: readonly Account[]): number {
  return sum(accounts, ({ calls, ok }) => calls - ok);
}

function tableOf(accounts: readonly Account[]): string[] {
  const rows: string[][] = [HEAD];
  for (const { name } of PHASES) {
    const own = accounts.filter(({ phase }) => phase === name);
    for (const [index, account] of own.entries()) {
      rows.push([index === 0 ? name : '', account.client, ...numbersOf([account])]);
    }
  }
  rows.push(['all', '', ...numbersOf(accounts)]);
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const padded = (cell: string, column: number): string =>
    column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return rows.map((row) => row.map(padded).join('  '));
}

function numbersOf(accounts: readonly Account[]): string[] {
  const columns = [
    ({ calls }: Account) => calls,
    ({ ok }: Account) => ok,
    ({ retried }: Account) => retried,
    ({ repeated }: Account) => repeated,
  ];
  return [...columns.map((column) => String(sum(accounts, column))), String(failedOf(accounts))];
}

/** What the columns do not say. */
function notesOf({ accounts, balancers, served }: RolloutResult): string[] {
  const lossy = PHASES.filter(({ losesCalls }) => losesCalls).map(({ name }) => `"${name}"`);
  const lines = [
    `Only in ${lossy.join(', ')} clients may call again: by their retry policy for UNAVAILABLE (retried), and by the`,
    'application where that says nothing, since headers had come, or a balancer tells of it otherwise (repeated).',
  ];
  for (const { name, loss } of balancers) lines.push(`${name} ${loss.why}.`);
  for (const { phase, client, losses } of accounts) {
    for (const [what, times] of Object.entries(losses)) {
      lines.push(`repeated in "${phase}": ${client}, ${times} times for ${what}`);
    }
  }
  const answered = [...served.values()].reduce((total, calls) => total + calls, 0);
  lines.push(
    `The backends have answered ${answered} calls, the clients have ${sum(accounts, ({ ok }) => ok)} answers.`,
  );
  return lines;
}

function sum(accounts: readonly Account[], count: (account: Account) => number): number {
  return accounts.reduce((total, account) => total + count(account), 0);
}
