import { parseArgs } from 'node:util';
import { LOAD_BALANCING, type LoadBalancing } from '../client/channel/load-balancing.js';
import { type ListenAddress, parseListenAddress } from '../port/address.js';
import { parseTarget } from '../port/target.js';
import { parseDuration } from '../routes/duration.js';
import type { NamedFile, TlsPaths } from '../routes/tls-files.js';
import { TRANSPORT_NAMES, type TransportName } from '../transport/transport-name.js';
import { UsageError } from './usage-error.js';

/** What the command was asked to do. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'run'; readonly options: RunOptions };

export interface RunOptions {
  readonly listen: readonly ListenAddress[];
  /** Undefined: embedded demo backends. */
  readonly primary: string | undefined;
  readonly secondaries: readonly string[];
  readonly shadows: readonly string[];
  /** The part of the calls that each shadow gets, drawn for each call. */
  readonly shadowPercent: number;
  /** Compares the answers of all others with the primary's. */
  readonly compares: boolean;
  /** Undefined: as by default. */
  readonly loadBalancing: LoadBalancing | undefined;
  readonly transport: TransportName;
  /** How long running calls have to finish once it drains. */
  readonly drainTimeoutMilliseconds: number;
  /** TLS with clients; undefined: cleartext. */
  readonly tls: TlsPaths | undefined;
  /** TLS with the backends that are `https://`. */
  readonly backendTls: TlsPaths;
}

const DEFAULT_LISTEN = '127.0.0.1:50051';
const DEFAULT_DRAIN_TIMEOUT = '30s';

export const HELP = `grpc-frame-proxy: a transparent gRPC reverse proxy

Usage: grpc-frame-proxy [--listen ADDRESS]… [--primary TARGET] [--secondary TARGET]…
                        [--shadow TARGET]… [--shadow-percent N] [--compare]
                        [--load-balancing POLICY] [--transport NAME] [--drain-timeout DURATION]
                        [--tls-cert FILE --tls-key FILE [--tls-client-ca FILE]]
                        [--backend-ca FILE] [--backend-cert FILE --backend-key FILE]

  --listen ADDRESS    where to take calls: HOST:PORT, :PORT (all interfaces) or unix:/PATH; can be repeated.
                      Default ${DEFAULT_LISTEN}
  --primary TARGET    the backend that answers: http://HOST:PORT or HOST:PORT (HTTP/2 without TLS),
                      https://HOST:PORT, unix:/PATH, dns:[//SERVER/]HOST:PORT, ipv4:ADDRESS:PORT,… or
                      ipv6:[ADDRESS]:PORT,…. Without it, demo backends are started
  --secondary TARGET  a backend that gets every call, too, and must succeed, too; its answers are dropped.
                      Can be repeated
  --shadow TARGET     a backend that gets every call, too, and can neither fail nor delay it. Can be repeated
  --shadow-percent N  the part of the calls that each shadow gets, drawn for each call: from 0 to 100. Default 100
  --compare           says on standard error where answers of secondaries and shadows differ from the primary's
  --load-balancing POLICY
                      how calls are spread over a backend's addresses: ${LOAD_BALANCING.join(', ')}.
                      Default round_robin
  --transport NAME    what speaks HTTP/2: http2 (node:http2) or frames (this package's own engine).
                      Default http2
  --drain-timeout DURATION
                      how long running calls have to finish after SIGTERM: 250ms, 5s, 2m. Default ${DEFAULT_DRAIN_TIMEOUT}
  --help              prints this
  --version           prints the version

TLS, by files in PEM. They are used by the next handshake when they change.

  --tls-cert FILE, --tls-key FILE
                      this side's certificate (and what leads to its authority) and private key: takes calls
                      by TLS, at every address
  --tls-client-ca FILE
                      takes calls only from clients that show a certificate of these authorities
  --backend-ca FILE   the authorities that certificates of https:// backends must be of, in place of the
                      system's and those of NODE_EXTRA_CA_CERTS
  --backend-cert FILE, --backend-key FILE
                      what https:// backends are shown when they ask for a client certificate

SIGTERM and SIGINT drain: no new connections, running calls finish, exit 0; a second signal ends at once.
`;

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
  const textOf: TextOf = (name) => values[name] as string | undefined;
  const primary = textOf('primary');
  const secondaries = (values.secondary ?? []) as string[];
  const shadows = (values.shadow ?? []) as string[];
  if (primary === undefined) {
    const needy = secondaries.length > 0 ? '--secondary' : shadows.length > 0 ? '--shadow' : undefined;
    if (needy !== undefined) throw new UsageError(`${needy} needs --primary: the backend that answers`);
  } else {
    check('--primary', () => parseTarget(primary));
    if (textOf('shadow-percent') !== undefined && shadows.length === 0) {
      throw new UsageError('--shadow-percent needs --shadow');
    }
    if (values.compare === true && secondaries.length + shadows.length === 0) {
      throw new UsageError('--compare needs --shadow or --secondary: what the primary is compared with');
    }
  }
  for (const target of secondaries) check('--secondary', () => parseTarget(target));
  for (const target of shadows) check('--shadow', () => parseTarget(target));
  const listen = (values.listen as string[] | undefined) ?? [DEFAULT_LISTEN];
  const drainTimeout = textOf('drain-timeout') ?? DEFAULT_DRAIN_TIMEOUT;
  return {
    kind: 'run',
    options: {
      listen: listen.map((address) => check('--listen', () => parseListenAddress(address))),
      primary,
      secondaries,
      shadows,
      shadowPercent: percentOf(textOf('shadow-percent') ?? '100'),
      compares: values.compare === true,
      loadBalancing: oneOf('--load-balancing', LOAD_BALANCING, textOf('load-balancing')),
      transport: oneOf('--transport', TRANSPORT_NAMES, textOf('transport')) ?? 'http2',
      drainTimeoutMilliseconds: check('--drain-timeout', () => parseDuration(drainTimeout)),
      tls: tlsPaths(textOf),
      backendTls: backendTlsPaths(textOf, primary === undefined ? [] : [primary, ...secondaries, ...shadows]),
    },
  };
}

function tlsPaths(textOf: TextOf): TlsPaths | undefined {
  demandBoth(textOf, 'tls-cert', 'tls-key');
  const [cert, key, ca] = filesOf(textOf, 'tls-cert', 'tls-key', 'tls-client-ca');
  if (ca !== undefined && cert === undefined) {
    throw new UsageError('--tls-client-ca needs --tls-cert and --tls-key: without them there is no TLS');
  }
  return cert === undefined ? undefined : { cert, key, ca };
}

function backendTlsPaths(textOf: TextOf, targets: readonly string[]): TlsPaths {
  demandBoth(textOf, 'backend-cert', 'backend-key');
  const [ca, cert, key] = filesOf(textOf, 'backend-ca', 'backend-cert', 'backend-key');
  const first = ca ?? cert;
  if (first !== undefined && !targets.some(isSecure)) {
    throw new UsageError(`${first.name} is for https:// targets, and there is none`);
  }
  return { ca, cert, key };
}

/** Whether a target is reached by TLS. */
export function isSecure(target: string): boolean {
  return parseTarget(target).scheme === 'https';
}

function demandBoth(textOf: TextOf, one: OptionName, other: OptionName): void {
  const [present, missing] = textOf(one) === undefined ? [other, one] : [one, other];
  if (textOf(present) !== undefined && textOf(missing) === undefined) {
    throw new UsageError(`--${present} needs --${missing}: a certificate and its key belong together`);
  }
}

function filesOf(textOf: TextOf, ...names: readonly OptionName[]): (NamedFile | undefined)[] {
  return names.map((name) => {
    const path = textOf(name);
    return path === undefined ? undefined : { name: `--${name}`, path };
  });
}

function checkOption(name: string, rawName: string, value: string | undefined): void {
  if (!Object.hasOwn(OPTIONS, name)) throw new UsageError(`unknown option ${rawName}; see --help`);
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

function percentOf(text: string): number {
  const percent = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (percent <= 100) return percent;
  throw new UsageError(`--shadow-percent: ${JSON.stringify(text)} is none: give a number from 0 to 100`);
}

function check<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
