import { gzipSync } from 'node:zlib';
import t from 'tap';
import type { CompareOptions, DecodeInfo } from '../../../lib/index.js';
import { eventually } from '../../support/eventually.js';
import { THROWN, throwing, untyped } from '../../support/hostile-values.js';
import { ProcessEvents } from '../../support/process-events.js';
import { BASELINE, ComparedCall, METHOD } from './compared-call.js';

type Decode = NonNullable<CompareOptions['decode']>;

const json: Decode = (payload) => JSON.parse(payload.toString());

function text(value: unknown): string {
  return JSON.stringify(value);
}

t.test('messages are compared by field, and what is to be ignored is', async (t) => {
  const options = { decode: json, ignore: ['created_at', 'items[].id'] };
  const run = (...names: string[]) => {
    const call = new ComparedCall(options);
    call.primary.messages(text({ created_at: 1, items: names.map((name, id) => ({ id, name })) })).ends();
    call.other.messages(text({ items: [{ name: 'a', id: 9 }, { name: 'b' }], created_at: 2 })).ends();
    t.equal(call.memory.held, 0);
    return call.verdict;
  };
  t.match(run('a', 'b'), { result: 'same' });
  const different = run('a', 'c');
  t.match(different, {
    result: 'different',
    at: 'message',
    index: 0,
    path: 'items[1].name',
    primary: { value: '"c"' },
    other: { value: '"b"' },
  });
  t.notOk('reason' in different || 'offset' in different);
});

t.test('nothing is decoded where the bytes are the same', async (t) => {
  let decoded = 0;
  const decode = () => decoded++;
  const call = new ComparedCall({ decode });
  call.primary.messages('a', 'b').ends();
  call.other.messages('a', 'b').ends();
  t.equal(call.verdict.result, 'same');
  t.equal(decoded, 0);
});

t.test('decode gets the content, and is told of what', async (t) => {
  const infos: [string, DecodeInfo][] = [];
  const decode: Decode = (payload, info) => {
    infos.push([payload.toString(), info]);
    return payload.toString().toLowerCase();
  };
  const call = new ComparedCall({ decode });
  call.primary.headers('grpc-encoding', 'gzip').compressed(gzipSync('TEXT')).ends();
  call.other.messages('text').ends();
  await eventually('a verdict', () => call.verdicts.length > 0);
  t.equal(call.verdict.result, 'same');
  const info = { method: METHOD, compressed: false, encoding: undefined };
  t.strictSame(infos.splice(0), [
    ['TEXT', info],
    ['text', info],
  ]);
  const foreign = new ComparedCall({ decode });
  foreign.primary.headers('grpc-encoding', 'snappy').compressed(Buffer.from('TEXT')).ends();
  foreign.other.headers('grpc-encoding', 'snappy').compressed(Buffer.from('text')).ends();
  await eventually('a verdict', () => foreign.verdicts.length > 0);
  t.equal(foreign.verdict.result, 'same');
  t.strictSame(infos[0], ['TEXT', { method: METHOD, compressed: true, encoding: 'snappy' }]);
});

t.test('what it makes may hold slices of what it was given', async (t) => {
  const kept: Buffer[] = [];
  const decode: Decode = (payload) => {
    kept.push(payload);
    return { bytes: payload.subarray(1) };
  };
  const call = new ComparedCall({ decode });
  call.primary.messages('xabc', 'one').ends();
  call.other.messages('yabc', 'two').ends();
  t.match(call.verdict, { result: 'different', index: 1, path: 'bytes' });
  t.strictSame(kept.map(String), ['xabc', 'yabc', 'one', 'two']);
});

t.test('where it fails, the bytes count, and the verdict says so', async (t) => {
  for (const [thrown, , message] of THROWN) {
    const call = new ComparedCall({ decode: throwing(thrown) });
    call.primary.messages('abc').ends();
    call.other.messages('abd').ends();
    t.match(call.verdict, { result: 'different', index: 0, offset: 2, reason: `decode failed: ${message}` });
  }
  const unseen = new ComparedCall({ decode: (payload) => new Set(payload) });
  unseen.primary.messages('a').ends();
  unseen.other.messages('b').ends();
  t.match(unseen.verdict, {
    result: 'different',
    reason: 'decode failed: values like [object Set] cannot be compared',
  });
});

t.test('a promise is no value, and does not end the process', async (t) => {
  const events = new ProcessEvents(t);
  const decode = () => Promise.reject(new Error('asynchronous'));
  const call = new ComparedCall({ decode });
  call.primary.messages('a').ends();
  call.other.messages('b').ends();
  t.match(call.verdict, { result: 'different', reason: /\[object Promise\] cannot be compared/ });
  await events.settled();
  t.strictSame(events.fatal, []);
  t.ok(events.warnings.every((warning) => warning === 'asynchronous'));
});

t.test('what is too large to be held for it is inconclusive if it differs', async (t) => {
  const large = Buffer.alloc(5_000_000, '1');
  const call = new ComparedCall({ decode: json }, 2);
  call.primary.messages(large).ends();
  call.others[0]!.messages(large).ends();
  call.others[1]!.messages(Buffer.alloc(5_000_000, '2')).ends();
  t.match(call.verdicts, [
    { result: 'same' },
    { result: 'inconclusive', reason: 'message 0: a message is too large to be held for decode' },
  ]);
});

t.test('noise is told by field', async (t) => {
  const run = (primary: object, baseline: object, candidate: object, decode = json) => {
    const call = new ComparedCall({ decode, baseline: BASELINE }, 2);
    call.primary.messages(text(primary)).ends();
    call.others[1]!.messages(text(candidate)).ends();
    call.others[0]!.messages(text(baseline)).ends();
    t.equal(call.memory.held, 0);
    return call.verdicts.find(({ target }) => target === 'b');
  };
  t.match(run({ id: 1, n: 1 }, { id: 2, n: 1 }, { id: 3, n: 1 }), { result: 'noise', path: 'id' });
  t.match(run({ id: 1, n: 1 }, { id: 2, n: 1 }, { id: 3, n: 2 }), {
    result: 'different',
    path: 'n',
    primary: { value: '1' },
    other: { value: '2' },
  });
  t.match(run({ id: 1 }, { id: 1, n: 0 }, { id: 2 }), { result: 'different', path: 'id' });
  t.match(
    run({ a: { b: 1 } }, {}, { a: { b: 2 } }),
    { result: 'noise', path: 'a.b' },
    'within what is noise',
  );
  t.match(
    run({ a: { b: 1 } }, { a: { b: 2 } }, {}),
    { result: 'different', path: 'a' },
    'more than what is noise',
  );
  t.match(run([1, 2], [1, 3], [2, 2]), { result: 'different', path: '[0]' });
  const many = (value: number) => Array<number>(1500).fill(value);
  t.match(run(many(1), many(2), [...many(1), 3]), { result: 'inconclusive', reason: /many places/ });
  const picky: Decode = (payload) => {
    if (payload.includes('3')) throw new Error('not 3');
    return JSON.parse(payload.toString());
  };
  t.match(run([1], [2], [3], picky), { result: 'noise', reason: 'decode failed: not 3' });
  t.match(run([1], [1], [3], picky), { result: 'different', reason: 'decode failed: not 3' });
});

t.test('values of any kind are shown in few characters', async (t) => {
  const values: Record<string, unknown> = {
    text: 'x'.repeat(1000),
    quotes: '"'.repeat(1000),
    bytes: Buffer.alloc(1000),
    date: new Date(5),
    map: new Map([[1, 2]]),
    list: [1, 2],
    bigint: 10n ** 1000n,
    symbol: Symbol('s'),
    missing: undefined,
    proxy: new Proxy({}, {}),
  };
  for (const name of Object.keys(values)) {
    const decode: Decode = (payload) => ({ value: payload.toString() === 'a' ? values[name] : null });
    const call = new ComparedCall({ decode });
    call.primary.messages('a').ends();
    call.other.messages('b').ends();
    const { verdict } = call;
    if (verdict.at !== 'message') throw new Error('no difference');
    t.ok(verdict.primary.value!.length <= 203, `${name}: ${verdict.primary.value}`);
  }
});

t.test('a decode that ends the call', async (t) => {
  const ends = (end: (call: ComparedCall) => void) => {
    const decode: Decode = (payload) => {
      end(call);
      return payload.toString();
    };
    const call: ComparedCall = new ComparedCall({ decode, baseline: untyped(undefined) }, 2);
    call.primary.messages('a', 'b');
    call.others[0]!.messages('a', 'x');
    call.others[1]!.messages('a').cut();
    call.primary.cut();
    t.equal(call.verdicts.length, 2);
    t.equal(call.memory.held, 0);
    return call.verdicts.map(({ target, result }) => `${target} ${result}`).sort();
  };
  t.strictSame(
    ends((call) => call.primary.cut()),
    ['a inconclusive', 'b inconclusive'],
  );
  t.strictSame(
    ends((call) => call.other.cut()),
    ['a inconclusive', 'b inconclusive'],
  );
});
