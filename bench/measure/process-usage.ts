import { readdirSync, readFileSync } from 'node:fs';

/** What a process and its descendants have used. */
export interface ProcessUsage {
  readonly cpuMicroseconds: number;
  /** The most memory that each has had, together. */
  readonly peakRssBytes: number;
  readonly rssBytes: number;
}

/** USER_HZ, which the kernel promises to user space on every architecture that Node runs on. */
const MICROSECONDS_PER_TICK = 10_000;

/** Reads `/proc`: Linux only. */
export function processUsage(pid: number): ProcessUsage {
  let cpuMicroseconds = 0;
  let peakRssBytes = 0;
  let rssBytes = 0;
  for (const member of family(pid)) {
    cpuMicroseconds += exactCpuMicroseconds(member) ?? roughCpuMicroseconds(member);
    const status = readFileSync(`/proc/${member}/status`, 'utf8');
    peakRssBytes += kibibytes(status, 'VmHWM');
    rssBytes += kibibytes(status, 'VmRSS');
  }
  return { cpuMicroseconds, peakRssBytes, rssBytes };
}

/** CPU that this process's ended and awaited children have used. */
export function endedChildrenCpuMicroseconds(): number {
  const { childrenUserTicks, childrenSystemTicks } = processTimes(process.pid);
  return (childrenUserTicks + childrenSystemTicks) * MICROSECONDS_PER_TICK;
}

function roughCpuMicroseconds(pid: number): number {
  const { userTicks, systemTicks } = processTimes(pid);
  return (userTicks + systemTicks) * MICROSECONDS_PER_TICK;
}

/** utime + stime of all threads, before the kernel rounds it to ticks; not every kernel tells. */
function exactCpuMicroseconds(pid: number): number | undefined {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      return undefined;
    }
  }
  return nanoseconds === 0 ? undefined : nanoseconds / 1000;
}

function processTimes(pid: number) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command, in parentheses, may hold spaces; utime is the fourteenth field of all (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    parent: Number(fields[1]),
    userTicks: Number(fields[11]),
    systemTicks: Number(fields[12]),
    childrenUserTicks: Number(fields[13]),
    childrenSystemTicks: Number(fields[14]),
  };
}

function family(pid: number): number[] {
  const members = [pid];
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), processTimes(Number(name)).parent);
    } catch {
      // It has ended since.
    }
  }
  for (const member of members) {
    for (const [child, parent] of parents) if (parent === member) members.push(child);
  }
  return members;
}

function kibibytes(status: string, field: string): number {
  return Number(new RegExp(`${field}:\\s*(\\d+) kB`).exec(status)?.[1] ?? 0) * 1024;
}
