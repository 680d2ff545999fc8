import { dirname } from 'node:path';
import { checkedConfig } from '../routes/checked-config.js';
import { type CheckedText, checkText, mistakesIn } from '../routes/config-file.js';
import { ConfigMistake, type ConfigPath, type Problem, pathText } from '../routes/config-mistake.js';
import { ConfigTls } from '../routes/config-tls.js';
import { RouteTable } from '../routes/route-table.js';
import { type Config, configSchema } from '../routes/schema.js';
import { type FileContent, readFiles } from '../routes/watched-files.js';
import { type FlaggedConfig, tlsOfListeners, withFlags } from './flag-config.js';
import type { Flags } from './options.js';
import type { Settings } from './settings.js';

/** What flags, the config file, and the files that these name say. */
export interface UsableSettings {
  readonly settings: Settings;
  /** The certificates, keys and authorities, to be watched. */
  readonly tls: ConfigTls;
  /** What the config file held, to see when that changes; undefined without one. */
  readonly content: FileContent | undefined;
  readonly mistakes?: undefined;
}

/** The same, or all that is wrong with it, a line each. */
export type LoadedSettings =
  | UsableSettings
  | {
      readonly content: FileContent | undefined;
      readonly mistakes: readonly string[];
      /** As far as it says which files these are. */
      readonly tls?: ConfigTls;
    };

/** Reads it all; resolves no name, and opens no socket. Never rejects. */
export async function loadSettings(flags: Flags): Promise<LoadedSettings> {
  const path = flags.config;
  if (path === undefined) return settingsOf(undefined, undefined, flags);
  const [content] = await readFiles([path]);
  const text = typeof content === 'string' ? undefined : decoded(content!);
  if (text === undefined) {
    const message = typeof content === 'string' ? content : 'is no text in UTF-8';
    return { content, mistakes: [`--config: ${JSON.stringify(path)} ${message}`] };
  }
  return settingsOf(content, checkText(text, { file: path, hasPrimary: flags.primary !== undefined }), flags);
}

async function settingsOf(
  content: FileContent | undefined,
  file: CheckedText | undefined,
  flags: Flags,
): Promise<LoadedSettings> {
  const problems = [...(file?.checked.problems ?? [])];
  const given = file?.source.value;
  const isReadable = file === undefined || file.checked.config !== undefined;
  // Flags are laid over what makes sense; of what does not, its files are still to be looked at.
  const { config: raw, flags: names }: FlaggedConfig = isReadable
    ? withFlags((given ?? {}) as Record<string, unknown>, flags)
    : { config: given as Record<string, unknown>, flags: new Map() };
  const folder = flags.config === undefined ? process.cwd() : dirname(flags.config);
  const placed = (problem: Problem): ConfigMistake =>
    mistakeAt(file, flags.config, asWritten(problem, given));
  const tls = await ConfigTls.read(raw, folder, (key) => names.get(pathText(key)) ?? nameOf(placed, key));
  const ofFlags = isReadable ? useless(raw, names, flags) : [];
  for (const problem of tls.problems) {
    const flag = names.get(pathText(problem.path));
    if (flag === undefined) problems.push(asWritten(problem, given));
    else ofFlags.push(`${flag}: ${problem.message}`);
  }
  const ofFile =
    file === undefined
      ? problems.map((problem) => String(new ConfigMistake(problem)))
      : mistakesIn(file.source, problems, flags.config!).map(String);
  const mistakes = [...new Set([...ofFlags, ...ofFile, ...conflicts(given, flags)])];
  if (mistakes.length > 0) return { content, mistakes, tls };
  const { config, problems: left = [] } = checkedConfig<Config>(configSchema, raw, true);
  if (config === undefined) {
    return { content, mistakes: left.map((problem) => String(new ConfigMistake(problem))) };
  }
  return {
    content,
    tls,
    settings: {
      config,
      folder,
      tls: { listeners: tls.listeners, backends: tls.backends },
      comparesAll: flags.compares,
      methods: RouteTable.methodsOf(config.routes ?? []),
    },
  };
}

/** Flags that what the file says leaves no room for. */
function conflicts(given: unknown, flags: Flags): string[] {
  if (typeof given !== 'object' || given === null) return [];
  const found: string[] = [];
  if (flags.listen !== undefined && 'listen' in given && tlsOfListeners(given.listen).length > 1) {
    found.push(
      '--listen cannot be given beside a config file whose addresses differ in their tls: say it there',
    );
  }
  if (!('routes' in given)) return found;
  const { primary, secondaries, shadows, shadowPercent, compares } = flags;
  const used = {
    '--primary': primary !== undefined,
    '--secondary': secondaries.length > 0,
    '--shadow': shadows.length > 0,
    '--shadow-percent': shadowPercent !== undefined,
    '--compare': compares,
  };
  for (const [flag, isUsed] of Object.entries(used)) {
    if (isUsed) found.push(`${flag} cannot be given beside a config file with routes: say it there`);
  }
  return found;
}

/** Flags of TLS where what the file says has none. */
function useless(
  { listen }: Record<string, unknown>,
  names: FlaggedConfig['flags'],
  { tls, backendTls }: Flags,
): string[] {
  const found: string[] = [];
  const listeners = listen as readonly { tls?: { cert?: string } }[];
  if (tls.ca !== undefined && listeners.some((one) => one.tls?.cert === undefined)) {
    found.push('--tls-client-ca needs --tls-cert and --tls-key: without them there is no TLS');
  }
  const isUsed = [...names.values()].some((flag) => flag.startsWith('--backend-'));
  if ((backendTls.ca ?? backendTls.cert) !== undefined && !isUsed) {
    const flag = backendTls.ca !== undefined ? '--backend-ca' : '--backend-cert';
    found.push(`${flag} is for backends that are reached by TLS, and there is none`);
  }
  return found;
}

/** Where flags are laid over it a single listener is a list of one: it is told of as the file has it. */
function asWritten(problem: Problem, given: unknown): Problem {
  const [key, index, ...rest] = problem.path;
  const { listen } = (given ?? {}) as { listen?: unknown };
  if (key !== 'listen' || index !== 0 || listen === undefined || Array.isArray(listen)) return problem;
  return { ...problem, path: [key, ...rest] };
}

function mistakeAt(file: CheckedText | undefined, name: string | undefined, problem: Problem): ConfigMistake {
  const place = file?.source.placeOf(problem.path, problem.isOfKey === true);
  return new ConfigMistake(problem, name, place);
}

/** What a key is called in the log. */
function nameOf(placed: (problem: Problem) => ConfigMistake, key: ConfigPath): string {
  const { file, line, column, path } = placed({ path: key, message: '' });
  return file === undefined ? path : `${file}:${line}:${column}: ${path}`;
}

function decoded(content: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return undefined;
  }
}
