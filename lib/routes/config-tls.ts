import { resolve } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { ConfigPath, Problem } from './config-mistake.js';
import { type NamedFile, type OnTlsChange, TlsFiles } from './tls-files.js';

/** Who is told of what the files of a config hold later on; files that nobody is told of are not looked at. */
export interface TlsUsers {
  /**
   * Is given what a listener takes calls by from now on, for `Server.setSecureContext`; what it
   * throws is logged, and what was used before stays. By default listeners' files are not looked at.
   *
   * @param index among those of `listen`
   */
  readonly onListener?: ((index: number, options: SecureContextOptions) => void) | undefined;
  /**
   * Is given what a backend is reached by from now on, for {@link RouteDirector.renewTls}; what it throws is logged, and what
   * was used before stays. By default backends' files are not looked at.
   */
  readonly onBackend?: ((name: string, options: SecureContextOptions) => void) | undefined;
  /** Is told of each change, used or not. */
  readonly log: OnTlsChange;
}

/** What the certificates, keys and authorities hold that a config names; {@link loadConfig} gives it. */
export class ConfigTls {
  /** What each of `listen` takes calls by; undefined: no TLS. */
  readonly listeners: readonly (SecureContextOptions | undefined)[];
  /** What backends are reached by, by their names; none for those without files. */
  readonly backends: ReadonlyMap<string, SecureContextOptions>;
  /** @internal Told with the config's own. */
  readonly problems: readonly Problem[];
  readonly #sides: readonly ReadSide[];

  private constructor(sides: readonly ReadSide[]) {
    this.#sides = sides;
    const listeners: (SecureContextOptions | undefined)[] = [];
    const backends = new Map<string, SecureContextOptions>();
    for (const { user, files } of sides) {
      if (typeof user === 'string') backends.set(user, files.options);
      else listeners[user] = files.options;
    }
    this.listeners = listeners;
    this.backends = backends;
    this.problems = sides.flatMap(({ files }) =>
      files.problems.map(({ file, message }) => ({ path: (file as ConfigFile).keyPath, message })),
    );
  }

  /**
   * @internal Reads the files that a config names, also one that has mistakes elsewhere.
   *
   * @param nameOf what a key is called in the log
   */
  static async read(
    config: unknown,
    folder: string,
    nameOf: (path: ConfigPath) => string,
  ): Promise<ConfigTls> {
    const sides = sidesOf(config, folder, nameOf).map(async (side) => ({
      ...side,
      files: await TlsFiles.examine(side.paths),
    }));
    return new ConfigTls(await Promise.all(sides));
  }

  /** @internal The same, at once. */
  static readNow(config: unknown, folder: string): ConfigTls {
    const sides = sidesOf(config, folder, String);
    return new ConfigTls(sides.map((side) => ({ ...side, files: TlsFiles.examineNow(side.paths) })));
  }

  /** From now on who uses the files is told when what they hold changes, within some seconds, if it is of use. */
  watch({ onListener, onBackend, log }: TlsUsers): void {
    for (const { user, files } of this.#sides) {
      if (typeof user === 'string') {
        if (onBackend !== undefined) files.watch((options) => onBackend(user, options), log);
      } else if (onListener !== undefined) files.watch((options) => onListener(user, options), log);
    }
  }

  /** @internal Tells of a change of those files that are of no use, or do not fit each other. */
  watchProblems(onChange: () => void): void {
    for (const { files } of this.#sides) if (files.problems.length > 0) files.watchContents(onChange);
  }

  /** Watches no more: nothing, or only what is of these. */
  stop(of?: 'listeners' | 'backends'): void {
    for (const { user, files } of this.#sides) {
      if (of === undefined || (of === 'backends') === (typeof user === 'string')) files.stop();
    }
  }
}

/** One side of TLS in a config. */
interface Side {
  /** A backend's name, or the number of one of `listen`. */
  readonly user: string | number;
  readonly paths: { readonly [option in 'cert' | 'key' | 'ca']?: ConfigFile };
}

interface ReadSide extends Side {
  readonly files: TlsFiles;
}

interface ConfigFile extends NamedFile {
  readonly keyPath: ConfigPath;
}

function sidesOf(config: unknown, folder: string, nameOf: (path: ConfigPath) => string): Side[] {
  const fileAt = (tls: unknown, at: ConfigPath, key: string): ConfigFile | undefined => {
    const path = childOf(tls, key);
    const keyPath = [...at, 'tls', key];
    if (typeof path !== 'string' || path === '' || path.includes('\0')) return undefined;
    return { name: nameOf(keyPath), path: resolve(folder, path), keyPath };
  };
  const sideOf = (user: string | number, given: unknown, at: ConfigPath, caKey: string): Side[] => {
    const tls = childOf(given, 'tls');
    if (tls === undefined) return [];
    const [cert, key, ca] = ['cert', 'key', caKey].map((each) => fileAt(tls, at, each));
    return [{ user, paths: { cert, key, ca } as Side['paths'] }];
  };
  const listen = childOf(config, 'listen');
  const listeners = Array.isArray(listen)
    ? listen.flatMap((each, index) => sideOf(index, each, ['listen', index], 'clientCa'))
    : sideOf(0, listen, ['listen'], 'clientCa');
  const backends = childOf(config, 'backends');
  const named = isMapping(backends) ? Object.entries(backends) : [];
  return [...listeners, ...named.flatMap(([name, each]) => sideOf(name, each, ['backends', name], 'ca'))];
}

function childOf(value: unknown, key: string): unknown {
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
