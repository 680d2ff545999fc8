import { decodeStatusMessage } from '../../grpc/status-message.js';
import type { HeaderList } from '../../port/headers.js';

/** The values of the named fields of a header block, in order; by name. */
export type Fields = ReadonlyMap<string, readonly string[]>;

/**
 * Takes the fields that are compared out of a list. Two ways to write the same are made one: the percent-encoding of
 * `grpc-message`, and of `-bin` values the padding, and whether they were joined ("Implementations MUST accept padded
 * and un-padded values", PROTOCOL-HTTP2.md).
 */
export function fieldsOf(headers: HeaderList, names: readonly string[]): Fields {
  const fields = new Map<string, string[]>();
  for (const name of names) fields.set(name, []);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!;
    fields.get(name)?.push(...valuesOf(name, headers[i + 1]!));
  }
  return fields;
}

function valuesOf(name: string, value: string): string[] {
  if (name === 'grpc-message') return [decodeStatusMessage(value)];
  if (!name.endsWith('-bin')) return [value];
  return value.split(',').map((text) => text.trim().replace(/=+$/, ''));
}

/** The values of one name in these blocks together. */
export function valuesIn(name: string, ...blocks: readonly (Fields | undefined)[]): readonly string[] {
  return blocks.flatMap((fields) => fields?.get(name) ?? []);
}

export function sameValues(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
