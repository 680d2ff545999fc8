import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';

// Runs the test files, each in a process of its own: all but those whose names end in `.long`, or those alone with `--long`;
// further words choose the files whose paths have one of them. Of a file that passes it prints a line and what was skipped,
// of one that fails all that it said. tap's own runner starts every process, and all that tests start, with loaders for the
// coverage of code, which take half of the CPU of all tests.

/** Files that run at once: more than small machines have cores, for most of what tests do is to wait. */
const AT_ONCE = 4;
/** For one file, of which none takes half on two busy cores; by itself, tap gives 30. */
const TIMEOUT_SECONDS = 120;
/** More for a file to say which of its tests have not ended. */
const LAST_WORDS_SECONDS = 10;

const words = process.argv.slice(2);
const isLong = words.includes('--long');
const parts = words.filter((word) => word !== '--long');
const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js') && file.endsWith('.long.test.js') === isLong)
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort();
const counts = new Map<string, number>();
const failed: string[] = [];

async function run(file: string): Promise<void> {
  const start = performance.now();
  const child = spawn(process.execPath, ['--enable-source-maps', join(import.meta.dirname, file)], {
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(TIMEOUT_SECONDS) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), (TIMEOUT_SECONDS + LAST_WORDS_SECONDS) * 1000);
  const closed = once(child, 'close');
  const [said, warned] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code, signal] = await closed;
  clearTimeout(timer);
  // tap's last words, which a process that was ended before has none of: `# { total: 12, pass: 11, skip: 1 }`.
  const summary = said.match(/^# \{ (total: .*) \}$/m)?.[1];
  for (const [, kind, count] of summary?.matchAll(/(\w+): (\d+)/g) ?? []) {
    counts.set(kind!, (counts.get(kind!) ?? 0) + Number(count));
  }
  const time = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  if (code === 0 && summary !== undefined) {
    console.log(`ok ${file} (${summary}; ${time})`);
    for (const [line] of said.matchAll(/^ *ok .* # SKIP.*$/gm)) console.log(`  ${line.trim()}`);
    return;
  }
  failed.push(file);
  console.log(said, warned);
  console.log(
    `not ok ${file} (${signal ?? `exit code ${code}`}; ${summary ?? 'it did not say how it ended'}; ${time})`,
  );
}

async function runOneByOne(): Promise<void> {
  for (let file = files.shift(); file !== undefined; file = files.shift()) await run(file);
}

const count = files.length;
await Promise.all(Array.from({ length: AT_ONCE }, runOneByOne));
if (failed.length > 0) console.log(`\nnot ok: ${failed.join(', ')}`);
if (count === 0) console.log(`no test file is chosen by ${JSON.stringify(words)}`);
const sums = [...counts].map(([kind, sum]) => `${kind}: ${sum}`).join(', ');
console.log(`\n# ${count} files, ${sums}\n# time=${Math.round(performance.now())}ms`);
process.exitCode = failed.length > 0 || count === 0 ? 1 : 0;
