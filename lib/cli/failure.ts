import type { LogFormat } from './log-options.js';

/** Says why the command does not run, before it has a log, in the format of that: a line each. */
export async function tellFailure(lines: readonly string[], format: LogFormat): Promise<void> {
  if (format === 'text') {
    for (const line of lines) process.stderr.write(`grpc-frame-proxy: ${line}\n`);
    return;
  }
  const { createLog } = await import('./log.js');
  const log = await createLog({ format, level: 'error', name: undefined }, (line) => {
    process.stderr.write(line);
  });
  for (const line of lines) log.error(line);
}
