import type { Metrics } from '../observe/metrics/index.js';
import type { ConfigTls } from '../routes/config-tls.js';
import { type FileContent, isSame, WatchedFiles } from '../routes/watched-files.js';
import { loadSettings, type UsableSettings } from './load-settings.js';
import type { Log } from './log.js';
import type { Flags } from './options.js';
import type { Plane } from './plane.js';
import type { Settings, SettingsTls } from './settings.js';

/** What cannot change while it runs: it would have to listen anew, or to be made of other processes. */
const FIXED = ['listen', 'transport', 'workers', 'admin'] as const;

/** What the command runs by, which changes when its files do. */
export class CurrentSettings {
  current: Settings;
  readonly #flags: Flags;
  readonly #plane: Plane;
  readonly #metrics: Metrics;
  readonly #log: Log;
  /** What the config file held when it was read last. */
  #content: FileContent | undefined;
  #watched: WatchedFiles | undefined;
  /** The files of the listeners, which may be those of a config before: `listen` cannot change. */
  #listenersTls: ConfigTls;
  #backendsTls: ConfigTls;
  /** The files of a config that could not be used: once they can be, it may be, too. */
  #refusedTls: ConfigTls | undefined;
  /** Changes come one after the other. */
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(loaded: UsableSettings, flags: Flags, plane: Plane, metrics: Metrics, log: Log) {
    const { settings, content, tls } = loaded;
    this.current = settings;
    this.#content = content;
    this.#listenersTls = tls;
    this.#backendsTls = tls;
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
    this.#watchTls(this.#listenersTls);
    const { config } = this.#flags;
    const content = this.#content;
    if (config === undefined || content === undefined) return;
    this.#watched = new WatchedFiles([config], [content], ([changed]) => this.#onChanged(changed!));
  }

  stop(): void {
    this.#isStopped = true;
    this.#watched?.stop();
    this.#listenersTls.stop('listeners');
    this.#backendsTls.stop('backends');
    this.#refusedTls?.stop();
  }

  /** Reads the file again; resolves with what is wrong with it, a line each: then all stays as it was. Never rejects. */
  reload(): Promise<readonly string[]> {
    return this.#afterOthers(() => this.#reload());
  }

  #onChanged(content: FileContent): void {
    void this.#afterOthers(async () => {
      // It may have been read by then: who changes a file may send SIGHUP, too.
      if (this.#content === undefined || !isSame(content, this.#content)) await this.#reload();
    });
  }

  #afterOthers<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#last.then(change);
    this.#last = changed.catch(() => {});
    return changed;
  }

  async #reload(): Promise<readonly string[]> {
    if (this.#isStopped) return [];
    const loaded = await loadSettings(this.#flags);
    if (this.#isStopped) return [];
    this.#content = loaded.content;
    this.#refusedTls?.stop();
    this.#refusedTls = loaded.mistakes && loaded.tls;
    this.#refusedTls?.watchProblems(() => void this.reload());
    const mistakes = loaded.mistakes ?? (await this.#tryUse(loaded));
    this.#metrics.configReloaded(mistakes.length === 0 ? 'ok' : 'failed');
    for (const mistake of mistakes) this.#log.error(mistake);
    if (mistakes.length > 0) this.#log.error('the config has mistakes, so the one before stays in force');
    else this.#log.info('the config is read again, and in force');
    return mistakes;
  }

  async #tryUse({ settings: given, tls }: UsableSettings): Promise<readonly string[]> {
    const keepsListeners = !isEqual(given.config.listen, this.current.config.listen);
    const settings = this.#withFixed(given, keepsListeners);
    try {
      await this.#plane.apply(settings);
    } catch (error) {
      return [(error as Error).message];
    }
    this.#tellFixed(given);
    this.current = settings;
    this.#backendsTls.stop('backends');
    this.#backendsTls = tls;
    if (!keepsListeners) {
      this.#listenersTls.stop('listeners');
      this.#listenersTls = tls;
    }
    if (!this.#isStopped) this.#watchTls(tls);
    return [];
  }

  /** The new settings, but for what cannot change. */
  #withFixed(settings: Settings, keepsListeners: boolean): Settings {
    const { config, tls } = this.current;
    const kept = Object.fromEntries(FIXED.map((key) => [key, config[key]]));
    const { listeners } = keepsListeners ? tls : settings.tls;
    return {
      ...settings,
      config: { ...settings.config, ...kept },
      tls: { ...settings.tls, listeners },
    };
  }

  #tellFixed({ config }: Settings): void {
    for (const key of FIXED) {
      if (isEqual(config[key], this.current.config[key])) continue;
      this.#log.warn(
        `${key} cannot change without a restart: it stays as it was, and the rest of the config applies`,
      );
    }
  }

  /** Looks on at the files that the listeners, or the backends, or both have from there. */
  #watchTls(tls: ConfigTls): void {
    const onListener = (index: number, options: SettingsTls['listeners'][number]): void =>
      this.#renew(
        () => tls === this.#listenersTls,
        ({ listeners, ...others }) => ({ ...others, listeners: listeners.with(index, options) }),
      );
    tls.watch({
      onListener: tls === this.#listenersTls ? onListener : undefined,
      onBackend: (name, options) =>
        this.#renew(
          () => tls === this.#backendsTls,
          ({ backends, ...others }) => ({ ...others, backends: new Map(backends).set(name, options) }),
        ),
      log: (line, result) => {
        this.#metrics.certificateReloaded(result);
        if (result === 'ok') this.#log.info(line);
        else this.#log.error(line);
      },
    });
  }

  /** @param isInUse whether the files are still those that count: a reload, which has read others, may come before */
  #renew(isInUse: () => boolean, change: (tls: SettingsTls) => SettingsTls): void {
    void this.#afterOthers(async () => {
      if (this.#isStopped || !isInUse()) return;
      const settings = { ...this.current, tls: change(this.current.tls) };
      try {
        await this.#plane.apply(settings);
        this.current = settings;
      } catch (error) {
        this.#log.error(`certificates: ${(error as Error).message}`);
      }
    });
  }
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
