import { readdir, readFile, stat } from 'node:fs/promises';
import { type Lag, type LagWindow, monitorLag, readLag } from './event-loop-lag.js';
import { type Aggregator, counter, type Family, gauge } from './family.js';

/** What the kernel says of this process; undefined for what it does not say here. */
interface KernelView {
  readonly virtualBytes: number | undefined;
  readonly dataBytes: number | undefined;
  readonly openFiles: number | undefined;
  readonly maxFiles: number | undefined;
}

/**
 * What prom-client's `collectDefaultMetrics` tells of the process itself and of its event loop, by the same names, and
 * nothing of its handles and its heap: counting those takes long where there are many. Nor does it read files in the way of
 * calls, watch each garbage collection, tell of a window in which nothing was measured, or call a timer's period lag.
 */
export class ProcessMetrics {
  readonly #startedAt = Date.now() / 1000 - process.uptime();
  #kernel: KernelView | undefined;
  #lag: Lag | undefined;

  constructor() {
    monitorLag();
  }

  /** Looks at what {@link families} then tell. */
  async look(): Promise<void> {
    [this.#kernel, this.#lag] = await Promise.all([kernelView(), readLag()]);
  }

  families(): Family[] {
    return [
      counter('process_cpu_user_seconds_total', 'CPU time spent in user mode, in seconds.', [], () =>
        single(process.cpuUsage().user / 1e6),
      ),
      counter('process_cpu_system_seconds_total', 'CPU time spent in the kernel, in seconds.', [], () =>
        single(process.cpuUsage().system / 1e6),
      ),
      counter('process_cpu_seconds_total', 'CPU time spent, in seconds.', [], () => {
        const { user, system } = process.cpuUsage();
        return single((user + system) / 1e6);
      }),
      gauge(
        'process_start_time_seconds',
        'When the process started, or the oldest one, in seconds since the epoch.',
        [],
        () => single(this.#startedAt),
        'min',
      ),
      gauge('process_resident_memory_bytes', 'Resident memory, in bytes.', [], () =>
        single(process.memoryUsage.rss()),
      ),
      gauge('process_virtual_memory_bytes', 'Virtual memory, in bytes.', [], () =>
        single(this.#kernel?.virtualBytes),
      ),
      gauge('process_heap_bytes', 'Data segment, in bytes.', [], () => single(this.#kernel?.dataBytes)),
      gauge('process_open_fds', 'Open file descriptors.', [], () => single(this.#kernel?.openFiles)),
      gauge('process_max_fds', 'How many file descriptors may be open.', [], () =>
        single(this.#kernel?.maxFiles),
      ),
      gauge(
        'nodejs_eventloop_lag_seconds',
        'How long a turn of the event loop takes, in seconds.',
        [],
        () => single(this.#lag?.now),
        'average',
      ),
      this.#lagFamily('min', 'The least', 'min'),
      this.#lagFamily('max', 'The greatest', 'max'),
      this.#lagFamily('mean', 'The mean', 'average'),
      this.#lagFamily('stddev', 'The standard deviation of the', 'average'),
      this.#lagFamily('p50', 'The 50th percentile of the', 'average'),
      this.#lagFamily('p90', 'The 90th percentile of the', 'average'),
      this.#lagFamily('p99', 'The 99th percentile of the', 'average'),
    ];
  }

  #lagFamily(which: keyof LagWindow, words: string, aggregator: Aggregator): Family {
    return gauge(
      `nodejs_eventloop_lag_${which}_seconds`,
      `${words} lateness of a timer since the last scrape, in seconds.`,
      [],
      () => single(this.#lag?.window?.[which]),
      aggregator,
    );
  }
}

function single(value: number | undefined): { labels: readonly string[]; value: number }[] {
  return value === undefined ? [] : [{ labels: [], value }];
}

async function kernelView(): Promise<KernelView> {
  const [status, limits, openFiles] = await Promise.all([
    textOfFile('/proc/self/status'),
    textOfFile('/proc/self/limits'),
    countOpenFiles(),
  ]);
  return {
    virtualBytes: kilobytes(/^VmSize:\s+(\d+) kB/m.exec(status)),
    dataBytes: kilobytes(/^VmData:\s+(\d+) kB/m.exec(status)),
    openFiles,
    maxFiles: numberIn(/^Max open files\s+(\d+)/m.exec(limits)),
  };
}

/** Empty where there is none. */
async function textOfFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}

async function countOpenFiles(): Promise<number | undefined> {
  try {
    // Since Linux 6.2 it is their number; before that 0.
    const { size } = await stat('/proc/self/fd');
    return size > 0 ? size : (await readdir('/proc/self/fd')).length;
  } catch {
    return undefined;
  }
}

function kilobytes(match: RegExpExecArray | null): number | undefined {
  const number = numberIn(match);
  return number === undefined ? undefined : number * 1024;
}

function numberIn(match: RegExpExecArray | null): number | undefined {
  return match === null ? undefined : Number(match[1]);
}
