import { resolve } from 'node:path';
import { type Flags, type FlagTls, isSecure } from './options.js';

/** Where calls are taken unless somebody says so. */
export const DEFAULT_LISTEN = '127.0.0.1:50051';

type Mapping = Record<string, unknown>;

/** A config as its file would say it, and which of its keys flags have set. */
export interface FlaggedConfig {
  readonly config: Mapping;
  /** By the path of the key, as mistakes name it: `listen[0].tls.cert`. */
  readonly flags: ReadonlyMap<string, string>;
}

/**
 * What the config file says, a mapping of the right shape, with what flags say in the place of it.
 *
 * @param given empty without a file
 */
export function withFlags(given: Mapping, flags: Flags): FlaggedConfig {
  const config = { ...given };
  const names = new Map<string, string>();
  addRoutes(config, flags);
  addListeners(config, flags, names);
  addBackends(config, flags, names);
  const { transport, health, workers, drainTimeout, admin, accessLog } = flags;
  if (transport !== undefined) config.transport = transport;
  if (health !== undefined) config.health = health;
  if (workers !== undefined) config.workers = workers;
  if (drainTimeout !== undefined) config.drainTimeout = drainTimeout;
  if (admin !== undefined) config.admin = { ...mapping(config.admin), address: admin };
  if (accessLog !== undefined) {
    const file = accessLog === '-' ? accessLog : resolve(accessLog);
    config.accessLog = { ...mapping(config.accessLog), file };
    names.set('accessLog.file', '--access-log');
  }
  return { config, flags: names };
}

/** One route for all calls: names of backends are what metrics and logs have. */
function addRoutes(config: Mapping, { primary, secondaries, shadows, shadowPercent, compares }: Flags): void {
  if (primary === undefined) return;
  const numbered = (role: string, targets: readonly string[]): [string, { target: string }][] =>
    targets.map((target, index) => [`${role}-${index + 1}`, { target }]);
  const secondary = numbered('secondary', secondaries);
  const shadow = numbered('shadow', shadows);
  config.backends = {
    ...mapping(config.backends),
    primary: { target: primary },
    ...Object.fromEntries([...secondary, ...shadow]),
  };
  // What of secondaries is said beside the config.
  const compare = compares ? { compare: true } : {};
  const percent = shadowPercent === undefined ? {} : { percent: shadowPercent };
  config.routes = [
    {
      match: {},
      primary: 'primary',
      ...(secondary.length > 0 && { secondaries: secondary.map(([backend]) => backend) }),
      ...(shadow.length > 0 && { shadows: shadow.map(([backend]) => ({ backend, ...percent, ...compare })) }),
    },
  ];
}

function addListeners(config: Mapping, { listen, tls }: Flags, names: Map<string, string>): void {
  const given = listen ?? config.listen ?? DEFAULT_LISTEN;
  const listeners = (Array.isArray(given) ? given : [given]).map(listener);
  // It says where, and not how: what the file takes by TLS must not become cleartext by it.
  const tlsOfFile = tlsOfListeners(config.listen);
  if (listen !== undefined && tlsOfFile[0] !== undefined) for (const one of listeners) one.tls = tlsOfFile[0];
  config.listen = listeners;
  for (const [index, one] of listeners.entries()) {
    const keys = { cert: tls.cert, key: tls.key, clientCa: tls.ca };
    setFiles(one, keys, `listen[${index}]`, names, (key) =>
      key === 'clientCa' ? 'tls-client-ca' : `tls-${key}`,
    );
  }
}

/** The TLS of a file's listeners, each kind once; undefined is cleartext. */
export function tlsOfListeners(listen: unknown): unknown[] {
  const all = (Array.isArray(listen) ? listen : [listen]).map((one) => mapping(one).tls);
  const kinds = new Map(all.map((tls) => [JSON.stringify(tls), tls]));
  return [...kinds.values()];
}

function addBackends(
  config: Mapping,
  { loadBalancing, backendTls }: Flags,
  names: Map<string, string>,
): void {
  const backends = Object.entries(mapping(config.backends)).map(([name, given]): [string, Mapping] => {
    const backend = { ...mapping(given) };
    if (loadBalancing !== undefined) backend.loadBalancing = loadBalancing;
    if (isReachedByTls(backend))
      setFiles(backend, backendTls, `backends.${name}`, names, (key) => `backend-${key}`);
    return [name, backend];
  });
  if (backends.length > 0) config.backends = Object.fromEntries(backends);
}

function isReachedByTls({ tls, target, targets }: Mapping): boolean {
  const [first] = Array.isArray(targets) ? targets : [target];
  return tls !== undefined || isSecure(first);
}

function setFiles(
  user: Mapping,
  files: FlagTls | Readonly<Record<string, string | undefined>>,
  path: string,
  names: Map<string, string>,
  flagOf: (key: string) => string,
): void {
  for (const [key, file] of Object.entries(files)) {
    if (file === undefined) continue;
    user.tls = { ...mapping(user.tls), [key]: resolve(file) };
    names.set(`${path}.tls.${key}`, `--${flagOf(key)}`);
  }
}

function listener(given: unknown): Mapping {
  return typeof given === 'string' ? { address: given } : { ...mapping(given) };
}

/** What stands for a mapping in short is its address: of `admin`, say. */
function mapping(given: unknown): Mapping {
  if (typeof given === 'string') return { address: given };
  return typeof given === 'object' && given !== null ? (given as Mapping) : {};
}
