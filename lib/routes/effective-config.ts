import { isSecretName } from '../grpc/secret-names.js';
import type { Routing } from './schema.js';

const HIDDEN = '…';

/**
 * A config, or what it says of routing, as plain JSON, to be shown: in the words of the file, defaults included, times and sizes as they were written,
 * paths as they were given, and what the files hold not at all. Values of metadata whose names look secret (with `auth`, `cookie`,
 * `credential`, `jwt`, `key`, `pass`, `secret`, `session`, `signature` or `token` in them) are `…`.
 */
export function effectiveConfig(config: Routing): Record<string, unknown> {
  const routes = (config.routes ?? []).map((route) => ({
    ...route,
    match: { ...route.match, metadata: withoutSecrets(route.match.metadata) },
    shadows: route.shadows?.map((shadow) => ({ ...shadow, metadata: changesOf(shadow.metadata) })),
    requestMetadata: changesOf(route.requestMetadata),
    responseMetadata: changesOf(route.responseMetadata),
  }));
  return plain({ ...config, routes }) as Record<string, unknown>;
}

interface Changes {
  readonly set?: Readonly<Record<string, string>> | undefined;
}

function changesOf<T extends Changes>(changes: T | undefined): T | undefined {
  return changes && { ...changes, set: withoutSecrets(changes.set) };
}

function withoutSecrets(
  values: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> | undefined {
  if (values === undefined) return undefined;
  const entries = Object.entries(values);
  return Object.fromEntries(entries.map(([name, value]) => [name, isSecretName(name) ? HIDDEN : value]));
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  // A time or a size; no backend or metadata has a number for a value.
  if ('text' in value && (isNumber(value, 'milliseconds') || isNumber(value, 'bytes'))) return value.text;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.map(([name, each]) => [name, plain(each)]));
}

function isNumber(value: object, key: string): boolean {
  return typeof Reflect.get(value, key) === 'number';
}
