import t from 'tap';
import { parse } from 'yaml';
import { configJsonSchema } from '../../lib/routes/json-schema.js';
import { EXAMPLE } from './example.js';

type Schema = Readonly<Record<string, unknown>>;

/** The places where a value is not what a schema says, by as much of JSON Schema as the schema of the config uses. */
function faults(schema: Schema, value: unknown, at = ''): string[] {
  const unknown = Object.keys(schema).filter((word) => !(word in WORDS) && !ANNOTATIONS.includes(word));
  if (unknown.length > 0) throw new Error(`this test knows no ${unknown}`);
  return Object.entries(schema).flatMap(
    ([word, says]) => WORDS[word]?.(says as never, value, at, schema) ?? [],
  );
}

const ANNOTATIONS = ['$schema', 'description', 'default', 'examples'];

type Check = (says: never, value: unknown, at: string, schema: Schema) => string[];

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const TYPES: Record<string, (value: unknown) => boolean> = {
  object: isMapping,
  array: Array.isArray,
  integer: Number.isInteger,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
};

const WORDS: Record<string, Check> = {
  type: (type: string, value, at) => (TYPES[type]!(value) ? [] : [at]),
  enum: (values: unknown[], value, at) => (values.includes(value) ? [] : [at]),
  const: (only: unknown, value, at) => (value === only ? [] : [at]),
  minimum: (least: number, value, at) => (Number(value) >= least ? [] : [at]),
  maximum: (most: number, value, at) => (Number(value) <= most ? [] : [at]),
  minItems: (least: number, value, at) => ((value as unknown[]).length >= least ? [] : [at]),
  required: (keys: string[], value, at) =>
    keys.filter((key) => isMapping(value) && !Object.hasOwn(value, key)).map((key) => `${at}.${key}`),
  anyOf: (schemas: Schema[], value, at) =>
    schemas.some((schema) => faults(schema, value, at).length === 0) ? [] : [at],
  items: (schema: Schema, value, at) =>
    Array.isArray(value) ? value.flatMap((each, index) => faults(schema, each, `${at}[${index}]`)) : [],
  propertyNames: (schema: Schema, value, at) =>
    isMapping(value) ? Object.keys(value).flatMap((key) => faults(schema, key, `${at}.${key}`)) : [],
  properties: (schemas: Record<string, Schema>, value, at) =>
    isMapping(value)
      ? Object.entries(value).flatMap(([key, each]) =>
          Object.hasOwn(schemas, key) ? faults(schemas[key]!, each, `${at}.${key}`) : [],
        )
      : [],
  additionalProperties: (schema: Schema | boolean, value, at, { properties = {} }) =>
    isMapping(value)
      ? Object.entries(value)
          .filter(([key]) => !Object.hasOwn(properties as object, key))
          .flatMap(([key, each]) =>
            typeof schema === 'boolean'
              ? schema
                ? []
                : [`${at}.${key}`]
              : faults(schema, each, `${at}.${key}`),
          )
      : [],
};

const schema = configJsonSchema();

t.test("an editor takes the contract's example", async (t) => {
  t.strictSame(faults(schema, parse(EXAMPLE)), []);
});

t.test('an editor takes short forms, and no defaults need be given', async (t) => {
  const route = { match: {}, primary: 'files', secondaries: ['files'], shadows: ['files'] };
  const short = { listen: ':1', admin: ':2', backends: { files: { target: 'a:1' } }, routes: [route] };
  t.strictSame(faults(schema, short), []);
  t.strictSame(faults(schema, { routes: [route] }), []);
});

t.test('an editor flags misspelt keys and wrong values, where they are', async (t) => {
  for (const [wrong, right, place] of [
    ['drainTimeout', 'drainTimeut', '.drainTimeut'],
    ['loadBalancing', 'loadBalancin', '.backends.files.loadBalancin'],
    ['waitForReady', 'waitForReddy', '.routes[0].waitForReddy'],
    ['workers: auto', 'workers: many', '.workers'],
    ['round_robin', 'roundrobin', '.backends.files.loadBalancing'],
    ['match: {}', 'mach: {}', '.routes[2].match'],
    ['match: {}', 'mach: {}', '.routes[2].mach'],
    ['maxConnections: 8', 'maxConnections: 0', '.backends.files.maxConnections'],
    // In one of several forms, only that it is none of them.
    ['maxLag', 'maxlag', '.routes[0].shadows[0]'],
  ] as const) {
    const text = EXAMPLE.replace(wrong, right);
    t.not(text, EXAMPLE);
    t.ok(faults(schema, parse(text)).includes(place), `${right}: ${faults(schema, parse(text))}`);
  }
});

t.test('each key has a description', async (t) => {
  const bare: string[] = [];
  const look = (node: unknown, at: string): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, each] of Object.entries(node)) look(each, `${at}.${key}`);
    const { properties } = node as { properties?: Record<string, Schema> };
    if (!isMapping(properties)) return;
    for (const [key, each] of Object.entries(properties)) {
      if (typeof each.description !== 'string') bare.push(`${at}.${key}`);
    }
  };
  look(schema, '');
  t.strictSame(bare, []);
});
