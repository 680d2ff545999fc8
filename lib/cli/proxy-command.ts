import { availableParallelism } from 'node:os';
import {
  type AdminServer,
  type AdminSource,
  adminServer,
  mergeBackends,
  mergeCalls,
  mergeStatistics,
} from '../admin/index.js';
import { type Metrics, MetricsTexts, mergeSnapshots, metrics } from '../observe/metrics/index.js';
import { parseListenAddress } from '../port/address.js';
import { effectiveConfig } from '../routes/effective-config.js';
import { CurrentSettings } from './current-settings.js';
import { description } from './description.js';
import { listenFailure } from './listen-failure.js';
import type { UsableSettings } from './load-settings.js';
import type { Log } from './log.js';
import { onceATurn } from './once-a-turn.js';
import type { Flags } from './options.js';
import type { Plane } from './plane.js';
import { ProcessPlane } from './process-plane.js';
import { WorkerPlane } from './worker-plane.js';

/** Who runs a {@link ProxyCommand}. */
export interface CommandOwner {
  readonly log: Log;
  /** What it says on standard output. */
  print(line: string): void;
  /** The admin endpoint was asked to drain. */
  onDrain(): void;
}

/** The command while it runs: what takes calls, what that runs by, and the admin endpoint. */
export class ProxyCommand {
  readonly #plane: Plane;
  readonly #settings: CurrentSettings;
  /** What no worker counts. */
  readonly #metrics: Metrics;
  readonly #log: Log;
  readonly #onDrain: () => void;
  #addresses: readonly string[] = [];
  #admin: AdminServer | undefined;
  #drained: Promise<number> | undefined;

  private constructor(loaded: UsableSettings, flags: Flags, { log, onDrain }: CommandOwner) {
    const { workers, transport = 'http2' } = loaded.settings.config;
    const count = workers === 'auto' ? availableParallelism() : workers;
    this.#plane =
      count === 1 ? new ProcessPlane(loaded.settings, log) : new WorkerPlane(count, loaded.settings, log);
    const observed = { observe: () => {}, runningCalls: [] };
    this.#metrics = metrics(observed, { transport, processMetrics: count > 1 });
    this.#settings = new CurrentSettings(loaded, flags, this.#plane, this.#metrics, log);
    this.#log = log;
    this.#onDrain = onDrain;
  }

  /**
   * Starts it, and says where it is: a line that names each address, and one for the admin endpoint.
   *
   * @throws Error that says what cannot be; then nothing is left running
   */
  static async start(loaded: UsableSettings, flags: Flags, owner: CommandOwner): Promise<ProxyCommand> {
    const command = new ProxyCommand(loaded, flags, owner);
    command.#addresses = await command.#plane.start();
    const adminUrl = await command.#startAdmin();
    command.#settings.watch();
    owner.print(
      `grpc-frame-proxy listens at ${command.#addresses.join(', ')}; ${description(loaded.settings, flags)}`,
    );
    if (adminUrl !== undefined) owner.print(`admin at ${adminUrl}`);
    return command;
  }

  /** Where calls are taken. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Reads the config again, and opens log files anew. */
  async hangUp(): Promise<void> {
    // Who does not take what is written to a log holds that up, for ever perhaps, but not the config.
    const reopened = this.#plane.reopenLogs();
    if (this.#settings.hasFile) await this.#settings.reload();
    await reopened;
  }

  /** Replaces the workers one by one, if there are any. */
  async restart(): Promise<void> {
    if (this.#plane.restart === undefined) {
      this.#log.info('there are no workers to replace: this is one process');
      return;
    }
    this.#log.info('the workers are replaced one by one');
    await this.#plane.restart();
  }

  /**
   * Lets running calls finish, for as long as the config says, and then ends them; resolves when nothing is left open, with
   * the number of calls that it ended.
   */
  drain(): Promise<number> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async #drain(): Promise<number> {
    this.#settings.stop();
    const ended = await this.#plane.drain(this.#settings.current.config.drainTimeout.milliseconds);
    await this.#admin?.close();
    return ended;
  }

  async #startAdmin(): Promise<string | undefined> {
    const { admin } = this.#settings.current.config;
    if (admin === undefined) return undefined;
    this.#admin = adminServer(this.#source(), admin);
    try {
      return await this.#admin.start();
    } catch (error) {
      await this.#plane.drain(0);
      throw new Error(`admin: ${listenFailure(parseListenAddress(admin.address), error).message}`);
    }
  }

  #source(): AdminSource {
    const plane = this.#plane;
    const texts = new MetricsTexts(async () => {
      const snapshots = await Promise.all([plane.metrics(), this.#metrics.snapshot()]);
      return mergeSnapshots(snapshots.filter((snapshot) => snapshot !== undefined));
    });
    const look = onceATurn(() => plane.look());
    const settings = this.#settings;
    return {
      ready: () => {
        const reason = this.#drained === undefined ? plane.trouble : 'draining';
        return reason === undefined ? { ready: true } : { ready: false, reason };
      },
      metrics: (accept) => texts.text(accept),
      backends: async () => mergeBackends((await look()).map(({ backends }) => backends)),
      calls: async () => mergeCalls((await look()).map(({ calls }) => calls)),
      statistics: async () => mergeStatistics((await look()).flatMap(({ statistics }) => statistics ?? [])),
      config: () => effectiveConfig(settings.current.config),
      drain: () => this.#onDrain(),
      ...(settings.hasFile && { reload: async () => ({ mistakes: await settings.reload() }) }),
      ...(plane.restart && { restart: () => this.restart() }),
    };
  }
}
