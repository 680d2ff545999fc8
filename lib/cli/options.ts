import { parseArgs } from 'node:util';
import { type ListenAddress, parseListenAddress } from '../port/address.js';
import { parseTarget } from '../port/target.js';
import { TRANSPORT_NAMES, type TransportName } from '../transport/transport-name.js';

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
  readonly transport: TransportName;
}

/** The command line is wrong: the message says which option, and what it takes. */
export class UsageError extends Error {}

const DEFAULT_LISTEN = '127.0.0.1:50051';

export const HELP = `grpc-frame-proxy: a transparent gRPC reverse proxy

Usage: grpc-frame-proxy [--listen ADDRESS]… [--primary TARGET] [--secondary TARGET]…
                        [--transport NAME]

  --listen ADDRESS    where to take calls: HOST:PORT, :PORT (all interfaces) or unix:/PATH; can be repeated.
                      Default ${DEFAULT_LISTEN}
  --primary TARGET    the backend that answers: http://HOST:PORT or HOST:PORT (HTTP/2 without TLS),
                      https://HOST:PORT, or unix:/PATH. Without it, demo backends are started
  --secondary TARGET  a backend that gets every call, too, and must succeed, too; its answers are dropped.
                      Can be repeated
  --transport NAME    what speaks HTTP/2: http2 (node:http2) or frames (this package's own engine).
                      Default http2
  --help              prints this
  --version           prints the version

SIGTERM and SIGINT drain: no new connections, running calls finish, exit 0; a second signal ends at once.
Certificate authorities besides the system's: set NODE_EXTRA_CA_CERTS.
`;

const OPTIONS = {
  listen: { type: 'string', multiple: true },
  primary: { type: 'string' },
  secondary: { type: 'string', multiple: true },
  transport: { type: 'string' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const;

/**
 * Reads the command line.
 *
 * @throws UsageError
 */
export function parseCommandLine(args: readonly string[]): Command {
  const { values, tokens } = parseArgs({ args: [...args], options: OPTIONS, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional') {
      throw new UsageError(`unexpected argument ${JSON.stringify(token.value)}; see --help`);
    }
    if (token.kind === 'option') checkOption(token.name, token.rawName, token.value);
  }
  if (values.help === true) return { kind: 'help' };
  if (values.version === true) return { kind: 'version' };
  const primaries = tokens.filter((token) => token.kind === 'option' && token.name === 'primary');
  if (primaries.length > 1) throw new UsageError('--primary can be given once: one backend answers');
  const primary = values.primary as string | undefined;
  const secondaries = (values.secondary ?? []) as string[];
  if (primary === undefined && secondaries.length > 0) {
    throw new UsageError('--secondary needs --primary: the backend that answers');
  }
  if (primary !== undefined) check('--primary', () => parseTarget(primary));
  for (const target of secondaries) check('--secondary', () => parseTarget(target));
  const listen = (values.listen as string[] | undefined) ?? [DEFAULT_LISTEN];
  return {
    kind: 'run',
    options: {
      listen: listen.map((address) => check('--listen', () => parseListenAddress(address))),
      primary,
      secondaries,
      transport: transportNamed((values.transport as string | undefined) ?? 'http2'),
    },
  };
}

function checkOption(name: string, rawName: string, value: string | undefined): void {
  if (!Object.hasOwn(OPTIONS, name)) throw new UsageError(`unknown option ${rawName}; see --help`);
  const takesValue = OPTIONS[name as keyof typeof OPTIONS].type === 'string';
  if (takesValue && (value === undefined || value === '')) {
    throw new UsageError(`${rawName} needs a value; see --help`);
  }
  if (!takesValue && value !== undefined) throw new UsageError(`${rawName} takes no value`);
}

function transportNamed(name: string): TransportName {
  const known = TRANSPORT_NAMES.find((each) => each === name);
  if (known === undefined) {
    throw new UsageError(
      `--transport: ${JSON.stringify(name)} is none: give ${TRANSPORT_NAMES.join(' or ')}`,
    );
  }
  return known;
}

function check<T>(option: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}
