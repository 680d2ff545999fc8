import { setTimeout as sleep } from 'node:timers/promises';
import type { TransportName } from '../../lib/index.js';
import type { Attack } from './attack.js';
import { describeFailures, type Experience, sum } from './lab/experience.js';
import { Lab, RunningAttack } from './lab/lab.js';
import type { ProxyMeasures } from './lab/proxy.js';
import { Victim } from './lab/victim.js';
import { warmUp } from './lab/warm-up.js';

/** Calls before the proxy is looked at, so that it has the size that honest work gives it. */
const WARM_UP_CALLS = 8000;
const WARM_UP_MILLISECONDS = 500;
const QUIET_MILLISECONDS = 3000;
/** What the departure itself does to others belongs to the attack. */
const AFTERMATH_MILLISECONDS = 1500;
/** From the attacker's departure until all must be as before. */
const RECOVERY_MILLISECONDS = 10_000;
const CALM_MILLISECONDS = 3000;

const MAX_LATENCY_FACTOR = 10;
const MAX_GROWTH_BYTES = 30 * 2 ** 20;
/** Further connections to backends that may still be there, and such. */
const MAX_FURTHER_FDS = 5;
const MAX_CONNECTIONS_PER_SECOND = 5;
const MIN_PERCENT_WITH_LOST_CONNECTION = 99;

interface Measures {
  readonly before: ProxyMeasures;
  /** As {@link before}, after a collection of garbage. */
  readonly beforeCollected: ProxyMeasures;
  readonly peak: ProxyMeasures;
  /** When the time to recover was over. */
  readonly after: ProxyMeasures;
  readonly afterCollected: ProxyMeasures;
}

/** All that was seen of an attack. */
export interface Trial {
  readonly attack: Attack;
  readonly transport: TransportName;
  readonly did: string;
  readonly quiet: Experience;
  readonly during: Experience;
  readonly after: Experience;
  readonly measures: Measures;
  /** Connections that the proxy opened during the attack, by backend. */
  readonly connections: Readonly<Record<string, number>>;
  /** Why it failed; empty if it passed. */
  readonly objections: readonly string[];
}

/** Runs an attack against a proxy of its own. */
export async function runTrial(
  attack: Attack,
  transport: TransportName,
  wantedSeconds: number,
  seed: number,
): Promise<Trial> {
  const seconds = Math.max(wantedSeconds, attack.minSeconds ?? 0);
  const lab = await Lab.start(transport);
  let victim: Victim | undefined;
  let running: RunningAttack | undefined;
  try {
    await warmUp(lab.port, WARM_UP_CALLS);
    victim = new Victim(lab.port, { service: attack.victimService ?? 'common' });
    running = await RunningAttack.prepare({ name: attack.name, port: lab.port, seed });
    await sleep(WARM_UP_MILLISECONDS);
    await victim.next();
    await lab.collect();
    await sleep(QUIET_MILLISECONDS);
    const quiet = await victim.next();
    const before = await lab.measure();
    const beforeCollected = await lab.collect();
    const connectionsBefore = await lab.connections();

    await running.begin();
    await sleep(seconds * 1000);
    const { did, objections } = await running.leave();
    const leftAt = performance.now();
    const connectionsAfter = await lab.connections();
    await sleep(AFTERMATH_MILLISECONDS);
    const peak = await lab.measure();
    const during = await victim.next();
    await sleep(Math.max(0, leftAt + RECOVERY_MILLISECONDS - performance.now()));
    const recovered = await lab.measure();
    const afterCollected = await lab.collect();
    const after = await victim.stop();
    const connections = difference(connectionsBefore, connectionsAfter);
    const trial = {
      attack,
      transport,
      did,
      quiet,
      during,
      after,
      measures: { before, beforeCollected, peak, after: recovered, afterCollected },
      connections,
    };
    return {
      ...trial,
      objections: [
        ...objections,
        ...victimObjections(trial),
        ...proxyObjections(trial, seconds),
        ...(await leftovers(lab)),
        ...lab.faults,
      ],
    };
  } finally {
    await running?.kill();
    victim?.destroy();
    await lab.close();
  }
}

type Seen = Omit<Trial, 'objections'>;

function difference(
  before: Readonly<Record<string, { opened: number }>>,
  after: Readonly<Record<string, { opened: number }>>,
): Record<string, number> {
  const names = Object.keys(after).filter((name) => after[name]!.opened > (before[name]?.opened ?? 0));
  return Object.fromEntries(names.map((name) => [name, after[name]!.opened - (before[name]?.opened ?? 0)]));
}

function victimObjections({ attack, quiet, during, after, connections }: Seen): string[] {
  const objections: string[] = [];
  // That there was, and those that took its place.
  const lost = attack.costsConnection === true ? 1 + (connections[attack.victimService ?? 'common'] ?? 0) : 0;
  for (const [when, experience] of Object.entries({ before: quiet, during, after })) {
    const { failures, streamFailures, connectionFailures } = experience;
    const percent = when === 'during' && lost > 0 ? MIN_PERCENT_WITH_LOST_CONNECTION : 100;
    if (experience.successPercent < percent)
      objections.push(`${when}: calls lost: ${describeFailures(failures)}`);
    const streams = sum(streamFailures);
    if (streams > (when === 'during' ? lost : 0)) {
      objections.push(`${when}: streams lost: ${describeFailures(streamFailures)}`);
    }
    if (connectionFailures.size > 0)
      objections.push(`${when}: its own connection: ${describeFailures(connectionFailures)}`);
  }
  const [calm, disturbed] = [quiet.latency(0.99), during.latency(0.99)];
  if (!(disturbed < MAX_LATENCY_FACTOR * calm)) {
    objections.push(`p99 rose from ${calm.toFixed(1)} to ${disturbed.toFixed(1)} ms`);
  }
  const [quietRate, duringRate] = [quiet.ticks / quiet.seconds, during.ticks / during.seconds];
  if (duringRate < quietRate / 2) {
    objections.push(
      `the victim's stream fell from ${quietRate.toFixed(0)} to ${duringRate.toFixed(0)} a second`,
    );
  }
  return objections;
}

function proxyObjections({ attack, measures, connections }: Seen, seconds: number): string[] {
  const objections: string[] = [];
  const { before, after } = measures;
  if (after.rss - before.rss > MAX_GROWTH_BYTES) {
    objections.push(`RSS is ${mebibytes(after.rss - before.rss)} MiB above before`);
  }
  const growth = heldGrowth(measures);
  if (growth > MAX_GROWTH_BYTES) objections.push(`${mebibytes(growth)} MiB more are held`);
  if (after.fds > before.fds + MAX_FURTHER_FDS) {
    objections.push(`${after.fds - before.fds} file descriptors more than before`);
  }
  if (attack.loopingService !== undefined) {
    const perSecond = (connections[attack.loopingService] ?? 0) / seconds;
    if (perSecond >= MAX_CONNECTIONS_PER_SECOND) {
      objections.push(`${perSecond.toFixed(1)} connections a second to the backend`);
    }
  }
  return objections;
}

/** What is left when the victim has left, too. */
async function leftovers(lab: Lab): Promise<string[]> {
  const end = performance.now() + CALM_MILLISECONDS;
  for (;;) {
    const [{ runningCalls, heldBytes }, { streams }] = [await lab.measure(), await lab.backend()];
    const objections = [
      ...(runningCalls === 0 ? [] : [`${runningCalls} calls are running still`]),
      ...(streams === 0 ? [] : [`${streams} streams are open at the backend still`]),
      ...((heldBytes ?? 0) === 0 ? [] : [`${heldBytes} bytes are held still`]),
    ];
    if (objections.length === 0 || performance.now() > end) return objections;
    await sleep(50);
  }
}

/** What JavaScript holds more than before, when garbage has been collected. */
export function heldGrowth({ beforeCollected, afterCollected }: Measures): number {
  return afterCollected.held - beforeCollected.held;
}

export function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
