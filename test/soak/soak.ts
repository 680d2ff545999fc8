import { setTimeout as sleep } from 'node:timers/promises';
import { Code, type TransportName } from '../../lib/index.js';
import type { Attack } from '../attacks/attack.js';
import { pause } from '../attacks/attack.js';
import type { Forked } from '../attacks/lab/forked.js';
import type { HostileCounts } from '../attacks/lab/hostile-backends.js';
import { startCommonBackend, startHostileBackends, startProxy } from '../attacks/lab/lab.js';
import type { ProxyMeasures } from '../attacks/lab/proxy.js';
import { Victim } from '../attacks/lab/victim.js';
import { warmUp } from '../attacks/lab/warm-up.js';
import { Random } from '../support/random.js';
import { Account, type Disturbance, MAX_EXAMPLES } from './accounts.js';
import { AttackStorm } from './attack-storm.js';
import { MemoryCurve } from './memory-curve.js';
import { RestlessClient } from './restless-client.js';
import { UnsteadyBackend } from './unsteady-backend.js';

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly transport: TransportName;
  readonly log: (what: string) => void;
}

/** What is to be known of a soak. */
export interface SoakResult {
  readonly accounts: readonly Account[];
  readonly attacks: ReadonlyMap<string, number>;
  readonly disturbances: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly restlessCalls: number;
  readonly memory: MemoryCurve;
  readonly before: ProxyMeasures;
  readonly after: ProxyMeasures;
  /** Empty if all is as it should be. */
  readonly violations: readonly string[];
}

/** Backends that are disturbed, and shared by nobody but a victim each. */
const UNSTEADY = ['alpha', 'beta', 'gamma'];
/** Backends that victims share with attackers. */
const SHARED = ['common', 'generous', 'oversize', 'picky'];
const CALL_MILLISECONDS = 50;
const WARM_UP_CALLS = 8000;
const SAMPLE_MILLISECONDS = 1000;
const STORMS = 2;
/** RSS: the last quarter's median may be this much above the second's, for fragments and what is being attacked. */
const GROWTH_FACTOR = 1.15;
const GROWTH_BYTES = 40 * 2 ** 20;
/**
 * For all to be as at the start when everybody has left: connections that only a peak had needed are kept for a minute
 * (BEHAVIOUR.md section 7).
 */
const CALM_MILLISECONDS = 90_000;
/** How late a victim may hear of what an attack did. */
const NOTICE_MILLISECONDS = 1000;
/** Whoever is calm earlier is left in peace for this long before the next look. */
const LOOK_MILLISECONDS = 500;

/** One proxy, and all that may befall it at once. */
export class Soak {
  readonly #children: Forked[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #unsteady: UnsteadyBackend[] = [];
  readonly #memory = new MemoryCurve();
  readonly #violations: string[] = [];
  readonly #random: Random;
  #hostile: Forked | undefined;

  constructor(private readonly options: SoakOptions) {
    this.#random = new Random(options.seed);
    for (const service of [...UNSTEADY, ...SHARED]) this.#accounts.set(service, new Account(service));
  }

  async run(): Promise<SoakResult> {
    try {
      return await this.#run();
    } finally {
      for (const backend of this.#unsteady) await backend.close();
      await Promise.all(this.#children.map((child) => child.kill()));
    }
  }

  async #run(): Promise<SoakResult> {
    const [proxy, port] = await this.#startAll();
    const measure = async () => (await proxy.ask('collect')) as ProxyMeasures;
    const before = await this.#warmUp(port, measure);

    const { minutes, log } = this.options;
    const signal = AbortSignal.timeout(minutes * 60_000);
    const victims = this.#startVictims(port);
    const restless = new RestlessClient(port, this.#random.fork());
    const storms = Array.from(
      { length: STORMS },
      () => new AttackStorm(port, this.#random.fork(), log, (attack) => this.#costOf(attack)),
    );
    await Promise.all([
      restless.run(signal),
      ...storms.map((storm) => storm.rage(signal)),
      ...this.#unsteady.map((backend) => backend.disturb(signal)),
      this.#sample(proxy, signal),
    ]);
    log('everybody leaves');
    for (const victim of victims) {
      const { connectionFailures } = await victim.stop();
      for (const [what, count] of connectionFailures) {
        this.#violations.push(`a victim's own connection: ${count} × ${what}`);
      }
    }
    const after = await this.#calm(before, measure);
    await this.#takeStock(restless, storms);

    const accounts = [...this.#accounts.values()];
    const attacks = new Map<string, number>();
    for (const { runs } of storms) {
      for (const [name, count] of runs) attacks.set(name, (attacks.get(name) ?? 0) + count);
    }
    return {
      accounts,
      attacks,
      disturbances: Object.fromEntries(
        this.#unsteady.map(({ account, disturbances }) => [account.service, disturbances]),
      ),
      restlessCalls: restless.calls,
      memory: this.#memory,
      before,
      after,
      violations: this.#violations,
    };
  }

  /** @returns the proxy, and its port */
  async #startAll(): Promise<[Forked, number]> {
    const { transport, log } = this.options;
    const targets: Record<string, string> = {};
    for (const service of UNSTEADY) {
      const account = this.#accounts.get(service)!;
      const backend = await UnsteadyBackend.start(account, this.#random.fork(), log);
      this.#unsteady.push(backend);
      targets[service] = `http://127.0.0.1:${backend.port}`;
    }
    const [common, commonPort] = await startCommonBackend('common');
    this.#children.push(common);
    const [hostile, ports] = await startHostileBackends();
    this.#children.push(hostile);
    this.#hostile = hostile;
    for (const [service, port] of Object.entries({ common: commonPort, ...ports })) {
      targets[service] = `http://127.0.0.1:${port}`;
    }
    const [proxy, port] = await startProxy({ transport, targets });
    this.#children.push(proxy);
    return [proxy, port];
  }

  /** Has the proxy know each backend; resolves with what it was like before all. */
  async #warmUp(port: number, measure: () => Promise<ProxyMeasures>): Promise<ProxyMeasures> {
    await warmUp(port, WARM_UP_CALLS);
    const victims = this.#startVictims(port);
    await sleep(SAMPLE_MILLISECONDS);
    for (const victim of victims) await victim.stop();
    while ((await measure()).runningCalls > 0) await sleep(LOOK_MILLISECONDS);
    return measure();
  }

  #startVictims(port: number): Victim[] {
    return [...this.#accounts].map(
      ([service, account]) =>
        new Victim(port, {
          service,
          callMilliseconds: CALL_MILLISECONDS,
          onEnd: (end) => account.enter(end),
        }),
    );
  }

  /** What an attack may cost those who share its backend; call the result at its end. */
  #costOf(attack: Attack): () => void {
    const account = this.#accounts.get(attack.victimService ?? '');
    if (attack.costsConnection !== true || account === undefined) return () => {};
    const disturbance: Disturbance = account.disturb(`attack ${attack.name}`, [Code.UNAVAILABLE]);
    return () => {
      disturbance.until = performance.now() + NOTICE_MILLISECONDS;
    };
  }

  async #sample(proxy: Forked, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#memory.add(((await proxy.ask('measure')) as ProxyMeasures).rss);
      await pause(SAMPLE_MILLISECONDS, signal);
    }
  }

  /** Waits until all is as before, as long as it may take; says what is not. */
  async #calm(before: ProxyMeasures, measure: () => Promise<ProxyMeasures>): Promise<ProxyMeasures> {
    const end = performance.now() + CALM_MILLISECONDS;
    for (;;) {
      const after = await measure();
      const { runningCalls, heldBytes = 0, fds } = after;
      const allowed = before.fds + (await this.#firstConnections());
      const left = [
        ...(runningCalls === 0 ? [] : [`${runningCalls} calls are running still`]),
        ...(heldBytes === 0 ? [] : [`${heldBytes} bytes are held still`]),
        ...(fds <= allowed ? [] : [`${fds - allowed} file descriptors more than at the start`]),
      ];
      if (left.length > 0 && performance.now() < end) {
        await sleep(LOOK_MILLISECONDS);
        continue;
      }
      this.#violations.push(...left);
      return after;
    }
  }

  /** Backends that the proxy has come to know since the start: one idle connection to each may stay. */
  async #firstConnections(): Promise<number> {
    const counts = (await this.#hostile!.ask('count')) as Record<string, HostileCounts>;
    const isNew = (name: string): boolean => counts[name]!.open > 0 && !SHARED.includes(name);
    return Object.keys(counts).filter(isNew).length;
  }

  async #takeStock(restless: RestlessClient, storms: readonly AttackStorm[]): Promise<void> {
    for (const { violationCount, violations, service } of this.#accounts.values()) {
      if (violationCount > 0)
        this.#violations.push(`${violationCount} calls of ${service} ended as none may`);
      this.#violations.push(...violations);
    }
    const others = [
      ...restless.violations.map((violation) => `restless client: ${violation}`),
      ...storms.flatMap(({ objections }) => objections),
    ];
    if (others.length > MAX_EXAMPLES) this.#violations.push(`${others.length} violations of other clients`);
    this.#violations.push(...others.slice(0, MAX_EXAMPLES));
    const [second, last] = [this.#memory.median(1), this.#memory.median(3)];
    if (last > second * GROWTH_FACTOR + GROWTH_BYTES) {
      const [from, to] = [second, last].map((bytes) => (bytes / 2 ** 20).toFixed(0));
      this.#violations.push(`RSS rose: median ${from} MiB in the second quarter, ${to} in the last`);
    }
    for (const { name, death, stderr } of this.#children) {
      if (death !== undefined) this.#violations.push(death);
      if (stderr !== '') this.#violations.push(`${name} printed: ${stderr.trim()}`);
    }
    for (const backend of this.#unsteady) this.#violations.push(...(await backend.close()));
  }
}
