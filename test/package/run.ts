import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';

/** What scripts are found by: this Node before all others, for npm puts what it finds in `node_modules` first. */
const PATH = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;

/** What of npm's own settings concerns the package that it was started in. */
const OF_THIS_PACKAGE = /^npm_(package_|lifecycle_|config_local_prefix)/;

/** The environment of what is run in another folder. */
export function environment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !OF_THIS_PACKAGE.test(name));
  return { ...Object.fromEntries(entries), PATH };
}

/**
 * Runs a program in a folder.
 *
 * @returns what it printed
 * @throws Error with all that it printed, if it failed or took minutes
 */
export function run(folder: string, command: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(command, args, {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 300_000,
  });
  let stdout = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${[command, ...args].join(' ')} ended by ${code ?? signal}:\n${output}`));
    });
  });
}

/** The same with this Node. */
export function runNode(folder: string, ...args: readonly string[]): Promise<string> {
  return run(folder, process.execPath, ...args);
}
