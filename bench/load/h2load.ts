import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../child.js';
import { percentile } from '../measure/statistics.js';
import { messageOf } from '../wire/message.js';
import { type CountedLoad, LOAD_TIMEOUT_MILLISECONDS, type LoadResult, type Traffic } from './traffic.js';

const HEADERS = ['content-type: application/grpc', 'te: trailers', 'user-agent: h2load', 'x-tenant: acme'];

/** Whether h2load can make this traffic: one message, of which it knows nothing. */
export function suitsH2load(traffic: Traffic): boolean {
  return traffic.messages === 1 && traffic.unansweredMessages === undefined;
}

export function hasH2load(): boolean {
  try {
    execFileSync('h2load', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/**
 * nghttp2's load generator. It does not look at trailers: a call counts as failed unless its status was 200, and
 * all calls of a run do if the bytes that they brought together are not those of right responses.
 */
export const h2load: CountedLoad = {
  name: 'h2load',
  async run(traffic, destination, amount) {
    const directory = mkdtempSync(join(tmpdir(), 'bench-h2load-'));
    try {
      const body = join(directory, 'body');
      const log = join(directory, 'log');
      writeFileSync(body, messageOf(traffic.messageBytes));
      const { connections, inFlightPerConnection } = traffic;
      const scheme = destination.secure ? 'https' : 'http';
      const child = Child.start('h2load', [
        ...[
          '-n',
          `${amount.calls}`,
          '-c',
          `${connections}`,
          '-m',
          `${inFlightPerConnection}`,
          '-d',
          body,
          '--log-file',
          log,
        ],
        ...HEADERS.flatMap((header) => ['-H', header]),
        `${scheme}://127.0.0.1:${destination.port}/bench.Bench/Call`,
      ]);
      return result(await child.output(LOAD_TIMEOUT_MILLISECONDS), readFileSync(log, 'utf8'), traffic);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
};

function result(output: string, log: string, traffic: Traffic): LoadResult {
  const requests = /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded/.exec(output);
  const finished = /finished in ([\d.]+)(us|ms|s),/.exec(output);
  const data = /traffic: .* \((\d+)\) data/.exec(output);
  if (requests === null || finished === null || data === null) throw new Error(`h2load printed: ${output}`);
  const calls = Number(requests[1]);
  const durations = Float64Array.from(
    log.split('\n').filter((line) => line !== ''),
    (line) => Number(line.split('\t')[2]) / 1000,
  ).sort();
  return {
    calls,
    failed: Number(data[1]) === calls * traffic.responseBytes ? calls - Number(requests[2]) : calls,
    seconds: Number(finished[1]) * { us: 1e-6, ms: 1e-3, s: 1 }[finished[2] as 'us' | 'ms' | 's'],
    p50Milliseconds: percentile(durations, 0.5),
    p99Milliseconds: percentile(durations, 0.99),
  };
}
