import t from 'tap';
import { parseIgnoredPath } from '../../../lib/proxy/compare/ignored-paths.js';
import { pathText } from '../../../lib/proxy/compare/places.js';
import { valueDifferences } from '../../../lib/proxy/compare/value-difference.js';
import { mine, throwing } from '../../support/hostile-values.js';

/** The places where two values differ; `...` at the end if there may be more. */
function places(a: unknown, b: unknown, ...ignored: string[]): string[] {
  const found = valueDifferences(a, b, ignored.map(parseIgnoredPath));
  return [...found.places.map(({ place }) => pathText(place)), ...(found.name === 'all' ? [] : ['...'])];
}

class Message {
  readonly id: number;
  readonly #hidden: number;

  constructor(id: number, hidden: number) {
    this.id = id;
    this.#hidden = hidden;
  }

  get hidden(): number {
    return this.#hidden;
  }
}

t.test('values that are the same', async (t) => {
  const bytes = Buffer.from('bytes');
  for (const [a, b] of [
    [1, 1],
    [Number.NaN, Number.NaN],
    [1n, 1n],
    [null, null],
    [
      { a: 1, b: [1, { c: 'x' }] },
      { b: [1, { c: 'x' }], a: 1 },
    ],
    [{ a: undefined }, {}],
    [bytes, new Uint8Array(bytes)],
    [new Float64Array([Number.NaN]), new Float64Array([Number.NaN])],
    [new Uint8Array([1]).buffer, new Uint8Array([1]).buffer],
    [
      new Map([
        [1, 'a'],
        [2, 'b'],
      ]),
      new Map([
        [2, 'b'],
        [1, 'a'],
      ]),
    ],
    [new Map([[{ k: 1 }, 'a']]), new Map([[{ k: 1 }, 'a']])],
    [new Date(5), new Date(5)],
    [new Date(Number.NaN), new Date(Number.NaN)],
    [new Message(1, 2), new Message(1, 3)],
    [{ toJSON: () => 1 }, { toJSON: () => 2 }],
    [Object.create(null), {}],
  ] as const) {
    t.strictSame(places(a, b), []);
  }
});

t.test('values that differ, and where', async (t) => {
  for (const [a, b, expected] of [
    [1, 2, ['']],
    [1, '1', ['']],
    [0, -0, ['']],
    [1, 1n, ['']],
    [null, undefined, ['']],
    [{}, [], ['']],
    [{ a: 1, b: 2, c: 3 }, { a: 1, b: 3, d: 4 }, ['b', 'c', 'd']],
    [{ items: [{ id: 1 }, { id: 2 }] }, { items: [{ id: 1 }, { id: 3 }, {}] }, ['items[1].id', 'items[2]']],
    [[[1]], [[2]], ['[0][0]']],
    [{ a: Buffer.from('x') }, { a: Buffer.from('y') }, ['a']],
    [{ a: new Uint8Array(4) }, { a: new Float32Array(1) }, ['a']],
    [{ a: new Date(1) }, { a: new Date(2) }, ['a']],
    [{ a: new Map([['k', 1]]) }, { a: new Map([['l', 1]]) }, ['a.k', 'a.l']],
    [new Map([['k', undefined]]), new Map(), []],
    [{ 'a.b': { '': 1, '"': 2 } }, { 'a.b': { '': 2, '"': 3 } }, ['["a.b"][""]', '["a.b"]["\\""]']],
    [{ a: null }, { a: {} }, ['a']],
    [new Message(1, 2), new Message(2, 2), ['id']],
  ] as const) {
    t.strictSame(places(a, b), expected);
  }
});

t.test('names that prototypes have are names as others', async (t) => {
  const own = JSON.parse('{"__proto__": {"a": 1}, "constructor": 1, "toString": 2}');
  t.strictSame(places(own, {}), ['__proto__', 'constructor', 'toString']);
  t.strictSame(places({}, own), ['__proto__', 'constructor', 'toString']);
  t.strictSame(places(own, JSON.parse('{"__proto__": {"a": 2}, "constructor": 1, "toString": 2}')), [
    '__proto__.a',
  ]);
  t.strictSame(places(own, own, '__proto__'), []);
  t.strictSame(places(own, {}, '__proto__', 'constructor', 'toString'), []);
});

t.test('places that are ignored', async (t) => {
  const a = {
    created_at: 1,
    items: [
      { id: 1, n: 1 },
      { id: 2, n: 1 },
    ],
    a: { x: { b: 1 }, y: { b: 2, c: 1 } },
  };
  const b = {
    created_at: 2,
    items: [
      { id: 8, n: 1 },
      { id: 9, n: 2 },
    ],
    a: { x: { b: 3 }, y: { b: 4, c: 2 } },
  };
  t.strictSame(places(a, b, 'created_at', 'items[].id', 'a.*.b'), ['items[1].n', 'a.y.c']);
  t.strictSame(places(a, b, 'created_at', 'items', 'a'), []);
  t.strictSame(places(a, b, '*'), []);
  t.strictSame(places(a, b, 'items.id', 'a[].b', 'x', 'created_at.x').length, 7);
  t.strictSame(places([[{ a: 1 }]], [[{ a: 2 }]], '[][].a'), []);
  t.strictSame(places({ created_at: 1 }, {}, 'created_at'), []);
  t.strictSame(places({ m: new Map([[1, 1]]) }, { m: new Map([[1, 2]]) }, 'm.1'), []);
  for (const text of ['', '.', 'a.', '.a', 'a..b', 'a[', 'a[0]', '[]a', 'a]', 'a[].', '[].[]']) {
    t.throws(() => parseIgnoredPath(text), { name: 'TypeError' }, text);
  }
});

t.test('circles, and what never ends', async (t) => {
  const circle = (value: number) => {
    const object: Record<string, unknown> = { value };
    object.self = object;
    object.list = [object];
    return object;
  };
  t.strictSame(places(circle(1), circle(1)), []);
  t.strictSame(places(circle(1), circle(2)), ['value']);
  const endless = (): object => ({
    get next() {
      return endless();
    },
  });
  t.strictSame(places(endless(), endless()), ['...']);
  let deep: unknown = 1;
  let deeper: unknown = 2;
  for (let i = 0; i < 100_000; i++) {
    deep = [deep];
    deeper = [deeper];
  }
  t.strictSame(places(deep, deeper), ['...']);
  t.strictSame(places([...Array(200_000).keys()], [...Array(200_000).keys()]), ['...']);
  let shared: unknown[] = [0];
  let others: unknown[] = [0];
  for (let i = 0; i < 60; i++) {
    shared = [shared, shared];
    others = [others, others];
  }
  t.strictSame(places(shared, others), ['...'], 'doubled sixty times');
});

t.test('no more places are told than are enough', async (t) => {
  const a = Array<number>(2000).fill(1);
  const b = Array<number>(2000).fill(2);
  t.match(valueDifferences(a, b, []), { name: 'some', places: { length: 1000 } });
  t.match(valueDifferences(a, b, [], 1), { name: 'some', places: [{ place: [0], a: 1, b: 2 }] });
  t.equal(pathText(['k'.repeat(5000), 3]).length, 203);
});

t.test('what cannot be seen is not said to be the same', async (t) => {
  for (const value of [
    () => new Set([1]),
    () => Promise.resolve(1),
    () => /a/,
    () => new URL('http://a'),
    () => Object(1),
    () => new Error('a'),
    () => mine(),
    () => Object.defineProperty({}, 'a', { enumerable: true, get: throwing(new Error('a trap')) }),
  ]) {
    const [a, b] = [value(), value()];
    t.throws(() => places({ v: a }, { v: b }));
  }
});
