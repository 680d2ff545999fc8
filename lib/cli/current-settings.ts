import type { SecureContextOptions } from 'node:tls';
import type { Metrics } from '../observe/metrics/index.js';
import { WatchedFiles } from '../routes/watched-files.js';
import { loadSettings, type UsableSettings } from './load-settings.js';
import type { Log } from './log.js';
import type { Flags } from './options.js';
import type { Plane } from './plane.js';
import type { Settings } from './settings.js';

/** What cannot change while it runs: it would have to listen anew, or to be made of other processes. */
const FIXED = ['listen', 'transport', 'workers', 'admin'] as const;

/** What the command runs by, which changes when its files do. */
export class CurrentSettings {
  current: Settings;
  readonly #flags: Flags;
  readonly #plane: Plane;
  readonly #metrics: Metrics;
  readonly #log: Log;
  #loaded: UsableSettings;
  #watched: WatchedFiles | undefined;
  /** Reloads come one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(loaded: UsableSettings, flags: Flags, plane: Plane, metrics: Metrics, log: Log) {
    this.current = loaded.settings;
    this.#loaded = loaded;
    this.#flags = flags;
    this.#plane = plane;
    this.#metrics = metrics;
    this.#log = log;
  }

  /** Whether there is a config file. */
  get hasFile(): boolean {
    return this.#flags.config !== undefined;
  }

  /** From now on a change of the files is a reason to use what they hold. */
  watch(): void {
    this.#watchTls();
    const { config } = this.#flags;
    const { content } = this.#loaded;
    if (config === undefined || content === undefined) return;
    this.#watched = new WatchedFiles([config], [content], () => void this.reload());
  }

  stop(): void {
    this.#isStopped = true;
    this.#watched?.stop();
    this.#loaded.tls.stop();
  }

  /** Reads the file again; resolves with what is wrong with it, a line each: then all stays as it was. Never rejects. */
  reload(): Promise<readonly string[]> {
    const reloaded = this.#last.then(() => this.#reload());
    this.#last = reloaded;
    return reloaded;
  }

  async #reload(): Promise<readonly string[]> {
    if (this.#isStopped) return [];
    const loaded = await loadSettings(this.#flags);
    const mistakes = loaded.mistakes ?? (await this.#tryUse(loaded));
    this.#metrics.configReloaded(mistakes.length === 0 ? 'ok' : 'failed');
    for (const mistake of mistakes) this.#log.error(mistake);
    if (mistakes.length > 0) this.#log.error('the config has mistakes, so the one before stays in force');
    else this.#log.info('the config is read again, and in force');
    return mistakes;
  }

  async #tryUse(loaded: UsableSettings): Promise<readonly string[]> {
    const settings = this.#withFixed(loaded.settings);
    try {
      await this.#plane.apply(settings);
    } catch (error) {
      return [(error as Error).message];
    }
    this.current = settings;
    this.#loaded.tls.stop();
    this.#loaded = loaded;
    if (!this.#isStopped) this.#watchTls();
    return [];
  }

  /** The new settings, but for what cannot change. */
  #withFixed(settings: Settings): Settings {
    const { config, tls } = this.current;
    const kept: Partial<Settings['config']> = {};
    for (const key of FIXED) {
      Object.assign(kept, { [key]: config[key] });
      if (JSON.stringify(config[key]) === JSON.stringify(settings.config[key])) continue;
      this.#log.warn(
        `${key} cannot change without a restart: it stays as it was, and the rest of the config applies`,
      );
    }
    const isSame = JSON.stringify(config.listen) === JSON.stringify(settings.config.listen);
    const listeners = isSame ? settings.tls.listeners : tls.listeners;
    return {
      ...settings,

      config: { ...settings.config, ...kept },
      tls: { ...settings.tls, listeners },
    };
  }

  #watchTls(): void {
    this.#loaded.tls.watch({
      onListener: (index, options) => {
        const listeners = [...this.current.tls.listeners];
        // Of listeners that a reload would have changed.
        if (listeners[index] === undefined) return;
        listeners[index] = options;
        this.#renew({ listeners });
      },
      onBackend: (name, options) => {
        const backends = new Map(this.current.tls.backends).set(name, options);
        this.#renew({ backends });
      },
      log: (line, result) => {
        this.#metrics.certificateReloaded(result);
        if (result === 'ok') this.#log.info(line);
        else this.#log.error(line);
      },
    });
  }

  #renew(
    changed: { listeners: (SecureContextOptions | undefined)[] } | { backends: Settings['tls']['backends'] },
  ): void {
    this.current = { ...this.current, tls: { ...this.current.tls, ...changed } };
    const { current } = this;
    this.#last = this.#last
      .then(() => this.#plane.apply(current))
      .catch((error) => this.#log.error(`certificates: ${(error as Error).message}`));
  }
}
