import type { TransportName } from '../../../lib/index.js';
import type { AttackReport } from '../attack.js';
import type { AttackerSettings } from './attacker.js';
import type { BackendCounts, CommonBackendSettings } from './common-backend.js';
import { Forked } from './forked.js';
import type { HostileCounts } from './hostile-backends.js';
import type { ProxyMeasures, ProxySettings } from './proxy.js';

/** Lets it be asked for what is still held. */
const PROXY_FLAGS = ['--expose-gc'];

/** A proxy, a common backend and the hostile ones, each in a process of its own. */
export class Lab {
  private constructor(
    readonly port: number,
    readonly proxy: Forked,
    readonly common: Forked,
    readonly hostile: Forked,
  ) {}

  static async start(transport: TransportName): Promise<Lab> {
    const started: Forked[] = [];
    try {
      const [common, commonPort] = await startCommonBackend('common backend');
      started.push(common);
      const [hostile, hostilePorts] = await startHostileBackends();
      started.push(hostile);
      const targets: Record<string, string> = {};
      for (const [name, port] of Object.entries({ common: commonPort, ...hostilePorts })) {
        targets[name] = `http://127.0.0.1:${port}`;
      }
      const [proxy, port] = await startProxy({ transport, targets });
      return new Lab(port, proxy, common, hostile);
    } catch (error) {
      await Promise.all(started.map((forked) => forked.kill()));
      throw error;
    }
  }

  async measure(): Promise<ProxyMeasures> {
    return (await this.proxy.ask('measure')) as ProxyMeasures;
  }

  /** After a collection of garbage. */
  async collect(): Promise<ProxyMeasures> {
    return (await this.proxy.ask('collect')) as ProxyMeasures;
  }

  /** Connections that the proxy has opened, by backend. */
  async connections(): Promise<Record<string, HostileCounts>> {
    const common = await this.backend();
    return { common, ...((await this.hostile.ask('count')) as Record<string, HostileCounts>) };
  }

  async backend(): Promise<BackendCounts> {
    return (await this.common.ask('count')) as BackendCounts;
  }

  /** What has gone wrong with the processes themselves. */
  get faults(): string[] {
    return [this.proxy, this.common, this.hostile].flatMap(({ name, death, stderr }) => [
      ...(death === undefined ? [] : [death]),
      ...(stderr === '' ? [] : [`${name} printed: ${stderr.trim()}`]),
    ]);
  }

  async close(): Promise<void> {
    await Promise.all([this.proxy, this.common, this.hostile].map((forked) => forked.kill()));
  }
}

/** @returns it, and its port */
export function startProxy(settings: ProxySettings): Promise<[Forked, number]> {
  return Forked.start<number>('proxy', './proxy.js', settings, PROXY_FLAGS);
}

/** @returns it, and its port */
export function startCommonBackend(name: string, port = 0): Promise<[Forked, number]> {
  const settings: CommonBackendSettings = { port };
  return Forked.start<number>(name, './common-backend.js', settings);
}

/** @returns the process of all of them, and their ports by name */
export function startHostileBackends(): Promise<[Forked, Record<string, number>]> {
  return Forked.start<Record<string, number>>('hostile backends', './hostile-backends.js', {});
}

/** An attack under way. */
export class RunningAttack {
  private constructor(private readonly forked: Forked) {}

  /** Makes it ready; it begins with {@link begin}. */
  static async prepare(settings: AttackerSettings): Promise<RunningAttack> {
    const [forked] = await Forked.start(`attack ${settings.name}`, './attacker.js', settings);
    return new RunningAttack(forked);
  }

  async begin(): Promise<void> {
    await this.forked.ask('begin');
  }

  /** Has it leave; resolves when it has. */
  async leave(): Promise<AttackReport> {
    try {
      return (await this.forked.ask('leave')) as AttackReport;
    } finally {
      await this.forked.kill();
    }
  }

  async kill(): Promise<void> {
    await this.forked.kill();
  }
}
