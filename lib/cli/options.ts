import { parseArgs } from 'node:util';
import { LOAD_BALANCING, type LoadBalancing } from '../client/channel/load-balancing.js';
import { parseListenAddress } from '../port/address.js';
import { didYouMean } from '../port/did-you-mean.js';
import { parseTarget } from '../port/target.js';
import { parseDuration } from '../routes/duration.js';
import { repeatedAddresses } from '../routes/repeated-addresses.js';
import { TRANSPORT_NAMES, type TransportName } from '../transport/transport-name.js';
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from './log-options.js';
import { UsageError } from './usage-error.js';

/** What the command was asked to do. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'config-schema' }
  /** Says whether it could run so. */
  | { readonly kind: 'check'; readonly flags: Flags }
  | { readonly kind: 'run'; readonly flags: Flags };

/** What flags say of how to run; undefined is what they do not say. */
export interface Flags {
  readonly config: string | undefined;
  readonly listen: readonly string[] | undefined;
  readonly primary: string | undefined;
  readonly secondaries: readonly string[];
  readonly shadows: readonly string[];
  /** The part of the calls that each shadow gets, drawn for each call. */
  readonly shadowPercent: number | undefined;
  /** Compares the answers of all others with the primary's. */
  readonly compares: boolean;
  readonly loadBalancing: LoadBalancing | undefined;
  readonly transport: TransportName | undefined;
  /** Where the admin endpoint is. */
  readonly admin: string | undefined;
  /** A file, or `-`. */
  readonly accessLog: string | undefined;
  readonly health: HealthMode | undefined;
  readonly workers: number | 'auto' | undefined;
  /** How long running calls have to finish once it drains. */
  readonly drainTimeout: string | undefined;
  readonly logFormat: LogFormat;
  readonly logLevel: LogLevel;
  /** TLS with clients. */
  readonly tls: FlagTls;
  /** TLS with the backends that are `https://`. */
  readonly backendTls: FlagTls;
  /** The demo calls itself. */
  readonly demoLoad: boolean;
}

/** Files in PEM. */
export interface FlagTls {
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
}

const HEALTH_MODES = ['own', 'forward'] as const;
export type HealthMode = (typeof HEALTH_MODES)[number];

const MAX_WORKERS = 1024;

const OPTIONS = {
  listen: { type: 'string', multiple: true },
  primary: { type: 'string' },
  secondary: { type: 'string', multiple: true },
  shadow: { type: 'string', multiple: true },
  'shadow-percent': { type: 'string' },
  compare: { type: 'boolean' },
  'load-balancing': { type: 'string' },
  transport: { type: 'string' },
  'drain-timeout': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-client-ca': { type: 'string' },
  'backend-ca': { type: 'string' },
  'backend-cert': { type: 'string' },
  'backend-key': { type: 'string' },
  config: { type: 'string' },
  check: { type: 'boolean' },
  'config-schema': { type: 'boolean' },
  admin: { type: 'string' },
  'access-log': { type: 'string' },
  health: { type: 'string' },
  workers: { type: 'string' },
  'log-format': { type: 'string' },
  'log-level': { type: 'string' },
  'demo-load': { type: 'boolean' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const;

type OptionName = keyof typeof OPTIONS;

/** The text of an option, if it was given. */
type TextOf = (name: OptionName) => string | undefined;

/**
 * Reads the command line.
 *
 * @throws UsageError
 */
export function parseCommandLine(args: readonly string[]): Command {
  const { values, tokens } = parseArgs({ args: [...args], options: OPTIONS, strict: false, tokens: true });
  const given = new Set<string>();
  for (const token of tokens) {
    if (token.kind === 'positional') {
      throw new UsageError(`unexpected argument ${JSON.stringify(token.value)}; see --help`);
    }
    if (token.kind !== 'option') continue;
    checkOption(token.name, token.rawName, token.value);
    if (given.has(token.name) && !('multiple' in OPTIONS[token.name as OptionName])) {
      throw new UsageError(`${token.rawName} can be given once`);
    }
    given.add(token.name);
  }
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  if (values['config-schema'] === true) return { kind: 'config-schema' };
  const flags = flagsOf(values as Values);
  checkTogether(flags);
  return { kind: values.check === true ? 'check' : 'run', flags };
}

/** The format of the log, as far as a command line says it that may be wrong. */
export function logFormatOf(args: readonly string[]): LogFormat {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: false });
  return values['log-format'] === 'json' ? 'json' : 'text';
}

type Values = { readonly [Name in OptionName]?: string & string[] & boolean };

function flagsOf(values: Values): Flags {
  const textOf: TextOf = (name) => values[name];
  return {
    config: values.config,
    listen: values.listen,
    primary: values.primary,
    secondaries: values.secondary ?? [],
    shadows: values.shadow ?? [],
    shadowPercent: percentOf(textOf('shadow-percent')),
    compares: values.compare === true,
    loadBalancing: oneOf('--load-balancing', LOAD_BALANCING, textOf('load-balancing')),
    transport: oneOf('--transport', TRANSPORT_NAMES, textOf('transport')),
    admin: values.admin,
    accessLog: values['access-log'],
    health: oneOf('--health', HEALTH_MODES, textOf('health')),
    workers: workersOf(textOf('workers')),
    drainTimeout: values['drain-timeout'],
    logFormat: oneOf('--log-format', LOG_FORMATS, textOf('log-format')) ?? 'text',
    logLevel: oneOf('--log-level', LOG_LEVELS, textOf('log-level')) ?? 'info',
    tls: { cert: values['tls-cert'], key: values['tls-key'], ca: values['tls-client-ca'] },
    backendTls: { cert: values['backend-cert'], key: values['backend-key'], ca: values['backend-ca'] },
    demoLoad: values['demo-load'] === true,
  };
}

/** @throws UsageError for what makes no sense, whatever a config file says */
function checkTogether(flags: Flags): void {
  const { primary, secondaries, shadows, config } = flags;
  for (const address of flags.listen ?? []) check('--listen', () => parseListenAddress(address));
  for (const [index] of repeatedAddresses(flags.listen ?? [])) {
    throw new UsageError(`--listen: ${JSON.stringify(flags.listen![index])} is given twice`);
  }
  if (flags.admin !== undefined) check('--admin', () => parseListenAddress(flags.admin!));
  if (flags.drainTimeout !== undefined) check('--drain-timeout', () => parseDuration(flags.drainTimeout!));
  if (primary === undefined) {
    const needy = secondaries.length > 0 ? '--secondary' : shadows.length > 0 ? '--shadow' : undefined;
    if (needy !== undefined) throw new UsageError(`${needy} needs --primary: the backend that answers`);
  } else {
    check('--primary', () => parseTarget(primary));
    if (flags.shadowPercent !== undefined && shadows.length === 0) {
      throw new UsageError('--shadow-percent needs --shadow');
    }
    if (flags.compares && secondaries.length + shadows.length === 0) {
      throw new UsageError('--compare needs --shadow or --secondary: what the primary is compared with');
    }
    if (flags.demoLoad)
      throw new UsageError('--demo-load is for the demo backends, which --primary takes the place of');
  }
  for (const target of secondaries) check('--secondary', () => parseTarget(target));
  for (const target of shadows) check('--shadow', () => parseTarget(target));
  if (flags.demoLoad && flags.tls.ca !== undefined) {
    throw new UsageError('--demo-load has no certificate to show: leave --tls-client-ca out');
  }
  if (config !== undefined && flags.demoLoad) {
    throw new UsageError('--demo-load is for the demo backends, which --config takes the place of');
  }
  checkTls(flags);
}

function checkTls({ tls, backendTls, config, primary, secondaries, shadows }: Flags): void {
  demandBoth('tls', tls);
  demandBoth('backend', backendTls);
  if (config !== undefined) return;
  if (tls.ca !== undefined && tls.cert === undefined) {
    throw new UsageError('--tls-client-ca needs --tls-cert and --tls-key: without them there is no TLS');
  }
  const first = backendTls.ca !== undefined ? '--backend-ca' : '--backend-cert';
  const isGiven = (backendTls.ca ?? backendTls.cert) !== undefined;
  const targets = primary === undefined ? [] : [primary, ...secondaries, ...shadows];
  if (isGiven && !targets.some(isSecure)) {
    throw new UsageError(`${first} is for https:// targets, and there is none`);
  }
}

/** Whether a target is reached by TLS. */
export function isSecure(target: string): boolean {
  return parseTarget(target).scheme === 'https';
}

function demandBoth(side: 'tls' | 'backend', { cert, key }: FlagTls): void {
  if ((cert === undefined) === (key === undefined)) return;
  const [present, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
  throw new UsageError(
    `--${side}-${present} needs --${side}-${missing}: a certificate and its key belong together`,
  );
}

function checkOption(name: string, rawName: string, value: string | undefined): void {
  if (!Object.hasOwn(OPTIONS, name)) {
    const near = didYouMean(name, Object.keys(OPTIONS));
    const hint = near === undefined ? '' : `did you mean --${near}? `;
    throw new UsageError(`unknown option ${rawName}; ${hint}see --help`);
  }
  const takesValue = OPTIONS[name as OptionName].type === 'string';
  if (takesValue && (value === undefined || value === '')) {
    throw new UsageError(`${rawName} needs a value; see --help`);
  }
  if (!takesValue && value !== undefined) throw new UsageError(`${rawName} takes no value`);
}

/** One of the names that an option can have; undefined if it was not given. */
function oneOf<T extends string>(
  option: string,
  names: readonly T[],
  text: string | undefined,
): T | undefined {
  if (text === undefined) return undefined;
  const known = names.find((each) => each === text);
  if (known !== undefined) return known;
  const last = names.at(-1);
  const all = `${names.slice(0, -1).join(', ')} or ${last}`;
  throw new UsageError(`${option}: ${JSON.stringify(text)} is none: give ${all}`);
}

function percentOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const percent = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (percent <= 100) return percent;
  throw new UsageError(`--shadow-percent: ${JSON.stringify(text)} is none: give a number from 0 to 100`);
}

function workersOf(text: string | undefined): number | 'auto' | undefined {
  if (text === undefined || text === 'auto') return text;
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (count >= 1 && count <= MAX_WORKERS) return count;
  throw new UsageError(
    `--workers: ${JSON.stringify(text)} is none: give a whole number from 1 to ${MAX_WORKERS}, or auto`,
  );
}

function check<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
