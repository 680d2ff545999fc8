import { readFileSync } from 'node:fs';
import { tellFailure } from './failure.js';
import { HELP } from './help.js';
import { type Command, logFormatOf, parseCommandLine } from './options.js';

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function version(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/**
 * Who reads the output may leave (`| head -1`), and a disk may be full: no reason to end, nor to fail the calls. What
 * cannot be printed is lost; standard error is told once why, unless it is only that nobody reads.
 */
function outliveOutput(): void {
  let isTold = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (isTold || code === 'EPIPE') return;
    isTold = true;
    process.stderr.write(`grpc-frame-proxy: standard output is lost: ${message}\n`);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
}

async function main(): Promise<void> {
  outliveOutput();
  const args = process.argv.slice(2);
  let command: Command;
  try {
    command = parseCommandLine(args);
  } catch (error) {
    await tellFailure([(error as Error).message], logFormatOf(args));
    process.exit(2);
  }
  switch (command.kind) {
    case 'help':
      process.stdout.write(HELP);
      break;
    case 'version':
      print(version());
      break;
    // What follows takes much more to load than to say what is wrong with the command line.
    case 'config-schema': {
      const { configJsonSchema } = await import('../routes/json-schema.js');
      print(JSON.stringify(configJsonSchema(), undefined, 2));
      break;
    }
    case 'check':
      await (await import('./run.js')).check(command.flags);
      break;
    case 'run':
      // They are for what runs, and mean nothing until it does: by default they would end the process.
      for (const signal of ['SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
      await (await import('./run.js')).run(command.flags);
  }
}

await main();
