import { z } from 'zod';
import { Metadata } from '../grpc/metadata.js';
import { keys, list, problemOf, text } from './values.js';
import { wants } from './words.js';

// Metadata in a config: names and values are what `Metadata` takes.

const NAME_FORMS = 'a metadata name, as x-tenant';

/** A name of metadata, in any case. */
const metadataName = text('metadata name', NAME_FORMS, checkName);

/** Values by names; bytes, whose names end in `-bin`, as base64. */
function values(noun: string, check: (name: string, value: string) => void) {
  // What a value is is not told: it may be a secret.
  const value = z.string({
    error: ({ input }) => (typeof input === 'object' ? 'must be text' : 'must be text: put it in quotes'),
  });
  const error = wants('no mapping', noun);
  return z.record(z.string(), value, { error }).superRefine((record, ctx) => {
    const names = new Set<string>();
    for (const [name, each] of Object.entries(record)) {
      const problem = problemOf(() => {
        checkName(name);
        const key = name.toLowerCase();
        if (names.has(key)) throw new TypeError('is here twice: the case of a name says nothing');
        names.add(key);
        if (typeof each === 'string') check(name, each);
      });
      if (problem !== undefined) ctx.addIssue({ code: 'custom', path: [name], message: problem });
    }
  }, ALWAYS_A_RECORD);
}

/** As `ALWAYS`: names are looked at, too, where a value is none. */
const ALWAYS_A_RECORD = { when: ({ value }: { readonly value: unknown }) => isRecord(value) };

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a call must have. */
export const metadataMatch = values('names and values: { x-tenant: acme }', (name, value) => {
  const prefix = value.endsWith('*') ? value.slice(0, -1) : value;
  if (isBinary(name) && prefix !== value) throw new TypeError('bytes have no prefix: give all, in base64');
  if (prefix.includes('*')) throw new TypeError('may have a * at its end only, which makes it a prefix');
  checkValue(name, prefix);
}).describe(
  'Metadata that a call must have, all of it: a value, or a prefix of one with a * at its end. Of repeated values any will do. Values of names that end in -bin in base64.',
);

const changedNames = {
  set: values('names and values: { x-proxy: edge }', checkValue),
  remove: list(metadataName, 'metadata names'),
};

/** What is changed in metadata. @param what whose, for editors */
export function metadataChanges(what: string) {
  return keys({
    set: changedNames.set
      .optional()
      .describe('Names and values that replace what there is; values of names that end in -bin in base64.'),
    remove: changedNames.remove.optional().describe('Names of what is taken away.'),
  })
    .superRefine(({ set, remove }, ctx) => {
      const names = new Set(Object.keys(set ?? {}).map((name) => name.toLowerCase()));
      for (const [index, name] of (remove ?? []).entries()) {
        if (!names.has(name.toLowerCase())) continue;
        ctx.addIssue({
          code: 'custom',
          path: ['remove', index],
          message: 'is set here, too: that alone replaces it',
        });
      }
    })
    .describe(what);
}

export type MetadataChanges = z.output<ReturnType<typeof metadataChanges>>;

/** What `-bin` metadata is made of. */
export function bytesOf(value: string): Buffer {
  return Buffer.from(value, 'base64');
}

export function isBinary(name: string): boolean {
  return name.toLowerCase().endsWith('-bin');
}

/** @throws TypeError */
function checkName(name: string): void {
  if (isBinary(name)) new Metadata().append(name, Buffer.alloc(0));
  else new Metadata().append(name, '');
}

/** @throws TypeError */
function checkValue(name: string, value: string): void {
  if (!isBinary(name)) new Metadata().append(name, value);
  else if (Buffer.from(value, 'base64').toString('base64').replace(/=+$/, '') !== value.replace(/=+$/, '')) {
    throw new TypeError('is no base64, which names that end in -bin take');
  }
}
