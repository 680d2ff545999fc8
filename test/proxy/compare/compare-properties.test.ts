import assert from 'node:assert/strict';
import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { Code, encodeMessage } from '../../../lib/index.js';
import { eventually } from '../../support/eventually.js';
import { BASELINE, ComparedCall, type GivenAnswer } from './compared-call.js';
import { type Answered, type ReferenceVerdict, referenceVerdict } from './reference.js';

/** An answer as it is given, in the order of its events; what is sent of a message may be compressed. */
interface Script {
  readonly version: string | undefined;
  readonly messages: readonly {
    readonly content: Buffer;
    readonly sent: Buffer;
    readonly compressed: boolean;
  }[];
  readonly end: Code | 0 | 'cut';
  readonly trailer: string;
  readonly pieces: number;
}

const ENCODING = 'gzip';

const LARGE = 'x'.repeat(270_000);

const contents = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('', 'a', 'b', 'abc', 'abd', 'ab') },
  // Beyond what is held of a message, and beyond what is held of an answer.
  { weight: 1, arbitrary: fc.constantFrom(LARGE, `${LARGE.slice(1)}y`, 'z'.repeat(90_000)) },
);

function script(mayCut: boolean, mayCompress: boolean): fc.Arbitrary<Script> {
  const message = fc
    .tuple(contents, mayCompress ? fc.constantFrom('plain', 'fast', 'best') : fc.constant('plain'))
    .map(([text, how]) => {
      const content = Buffer.from(text);
      if (how === 'plain') return { content, sent: content, compressed: false };
      return { content, sent: gzipSync(content, { level: how === 'fast' ? 1 : 9 }), compressed: true };
    });
  const end: fc.Arbitrary<Script['end']> = fc.oneof(
    { weight: 6, arbitrary: fc.constant(0 as const) },
    { weight: 2, arbitrary: fc.constantFrom(Code.ABORTED, Code.NOT_FOUND) },
    { weight: mayCut ? 2 : 0, arbitrary: fc.constant('cut' as const) },
  );
  return fc.record({
    version: fc.option(fc.constantFrom('1', '1', '1', '2'), { nil: undefined, freq: 10 }),
    messages: fc.array(message, { maxLength: 5 }),
    end,
    trailer: fc.constantFrom('1', '1', '1', '2'),
    pieces: fc.integer({ min: 1, max: 4 }),
  });
}

/** Mostly the same as another, but for one place. */
function mutated(original: Script): fc.Arbitrary<Script> {
  const at = original.messages.length;
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant(original) },
    { weight: 1, arbitrary: fc.constant({ ...original, version: '2' }) },
    { weight: 1, arbitrary: fc.constant({ ...original, trailer: '2' }) },
    { weight: 1, arbitrary: fc.constant({ ...original, end: Code.DATA_LOSS }) },
    { weight: 1, arbitrary: fc.constant({ ...original, messages: original.messages.slice(0, -1) }) },
    {
      weight: at === 0 ? 0 : 4,
      arbitrary: fc.nat(Math.max(0, at - 1)).map((index) => {
        const content = Buffer.from(original.messages[index]!.content);
        if (content.length > 0) content[content.length - 1]! ^= 1;
        return {
          ...original,
          messages: original.messages.with(index, { content, sent: content, compressed: false }),
        };
      }),
    },
  );
}

interface Run {
  readonly scripts: readonly Script[];
  /** Whose event comes next: 0 for the primary. */
  readonly order: readonly number[];
}

function runs(others: number, mayCut: boolean, mayCompress: boolean): fc.Arbitrary<Run> {
  return script(mayCut, mayCompress).chain((primary) =>
    fc.record({
      scripts: fc
        .array(fc.oneof({ weight: 5, arbitrary: mutated(primary) }, script(mayCut, mayCompress)), {
          minLength: others,
          maxLength: others,
        })
        .map((rest) => [primary, ...rest]),
      order: fc.array(fc.nat(others), { maxLength: 40 }),
    }),
  );
}

/** The events of an answer, and what is known of it after each. */
function* events(script: Script, answer: GivenAnswer, seen: Answered): Generator<void> {
  // A Trailers-Only answer has no headers.
  const isTrailersOnly = script.version === undefined && script.messages.length === 0;
  if (!isTrailersOnly) {
    const version = script.version === undefined ? [] : ['x-version', script.version];
    seen.headers = version.slice(1);
    answer.headers('grpc-encoding', ENCODING, ...version);
    yield;
  }
  for (const { content, sent, compressed } of script.messages) {
    const bytes = encodeMessage(sent, compressed);
    const size = Math.ceil(bytes.length / script.pieces);
    for (let offset = 0; offset < bytes.length; offset += size) {
      if (offset + size >= bytes.length) seen.messages.push(content);
      answer.data(bytes.subarray(offset, offset + size));
      yield;
    }
  }
  if (script.end === 'cut') {
    seen.end = 'cut';
    answer.cut();
  } else {
    seen.end = { code: script.end, trailers: [script.trailer] };
    answer.ends(script.end, 'x-version', script.trailer);
  }
}

/** Plays a run, and gives the verdicts that the reference comes to, each at the first event that makes it certain. */
async function play({ scripts, order }: Run, call: ComparedCall, hasBaseline: boolean): Promise<void> {
  const seen = scripts.map((): Answered => ({ headers: undefined, messages: [], end: undefined }));
  const answers = [call.primary, ...call.others];
  const playing = scripts.map((script, index) => events(script, answers[index]!, seen[index]!));
  const expected = new Map<number, ReferenceVerdict>();
  const isCompressed = scripts.some(({ messages }) => messages.some(({ compressed }) => compressed));
  const step = (index: number): boolean => {
    const { done } = playing[index]!.next();
    for (let other = 1; other < scripts.length; other++) {
      if (expected.has(other)) continue;
      const baseline = hasBaseline && other > 1 ? seen[1] : undefined;
      const verdict = referenceVerdict(seen[0]!, seen[other]!, baseline);
      if (verdict !== undefined) expected.set(other, verdict);
      const isTold = call.verdicts.some(({ target }) => target === targetOf(other));
      if (!isCompressed) assert.equal(isTold, verdict !== undefined, 'a verdict as soon as it is certain');
    }
    return done !== true;
  };
  for (const index of order) step(index % scripts.length);
  for (let index = 0; index < scripts.length; index++) while (step(index));
  await eventually('all verdicts', () => call.verdicts.length === scripts.length - 1);
  for (const [other, verdict] of expected) {
    const { result, ...told } = call.verdicts.find(({ target }) => target === targetOf(other))!;
    assert.equal(result, verdict.result);
    for (const name of ['at', 'index'] as const) {
      assert.equal(Reflect.get(told, name), verdict[name], `${result} ${name}`);
    }
  }
  assert.equal(call.memory.held, 0);
}

function targetOf(other: number): string {
  return ['a', 'b', 'c'][other - 1]!;
}

const METADATA = { metadata: ['x-version'] };

t.test('any answers in any order: the verdicts are those of a naive comparison', async (t) => {
  const property = fc.asyncProperty(runs(2, true, false), (run) =>
    play(run, new ComparedCall(METADATA, 2), false),
  );
  await t.resolves(fc.assert(property, { numRuns: 1500, seed: 1 }));
});

t.test('any answers with a baseline in any order, too', async (t) => {
  const property = fc.asyncProperty(runs(2, true, false), (run) =>
    play(run, new ComparedCall({ ...METADATA, baseline: BASELINE }, 2), true),
  );
  await t.resolves(fc.assert(property, { numRuns: 1500, seed: 2 }));
});

t.test('any answers compressed in any way are compared by what they say', async (t) => {
  for (const [hasBaseline, options] of [
    [false, METADATA],
    [true, { ...METADATA, baseline: BASELINE }],
  ] as const) {
    const property = fc.asyncProperty(runs(2, false, true), (run) =>
      play(run, new ComparedCall(options, 2), hasBaseline),
    );
    await t.resolves(fc.assert(property, { numRuns: 300, seed: 3 }));
  }
});

t.test('what is compressed by another encoding is compared by what it says', async (t) => {
  const call = new ComparedCall();
  call.primary.headers('grpc-encoding', 'gzip').compressed(gzipSync('a')).compressed(gzipSync('b')).ends();
  call.other
    .headers('grpc-encoding', 'deflate')
    .compressed(deflateSync('a'))
    .compressed(deflateSync('c'))
    .ends();
  await eventually('a verdict', () => call.verdicts.length > 0);
  t.match(call.verdict, { result: 'different', index: 1 });
});
