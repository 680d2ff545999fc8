import { setImmediate as turn } from 'node:timers/promises';
import { deflateSync, gzipSync } from 'node:zlib';
import t from 'tap';
import { Code, encodeMessage, type ResponseVerdict } from '../../../lib/index.js';
import { ComparingMemory } from '../../../lib/proxy/compare/allowance.js';
import { eventually } from '../../support/eventually.js';
import { BASELINE, ComparedCall, METHOD } from './compared-call.js';

const SUBJECT = { method: METHOD, target: 'a', role: 'secondary' };

t.test('two answers that are the same', async (t) => {
  const call = new ComparedCall();
  call.primary.messages('one', '', 'three').ends(0, 'x-date', 'now');
  call.other.messages('one', '');
  t.strictSame(call.verdicts, [], 'not before both have ended');
  call.other.messages('three');
  t.strictSame(call.verdicts, []);
  call.other.ends(0, 'x-date', 'later');
  t.strictSame(call.verdict, { ...SUBJECT, result: 'same' });
  t.equal(call.memory.held, 0);
});

t.test('a message that differs is located, and told once both answers are whole', async (t) => {
  for (const isPrimaryFirst of [true, false]) {
    const call = new ComparedCall();
    const [first, second] = isPrimaryFirst ? [call.primary, call.other] : [call.other, call.primary];
    const texts = isPrimaryFirst ? ['abcd', 'abXd!'] : ['abXd!', 'abcd'];
    first.messages('same', texts[0]!, 'more');
    second.messages('same', texts[1]!);
    t.equal(call.memory.held, 0, 'nothing is held any more');
    first.messages('ignored').ends();
    t.strictSame(call.verdicts, [], 'it could be cut off yet');
    second.messages('ignored, too').ends(Code.ABORTED);
    t.strictSame(call.verdict, {
      ...SUBJECT,
      result: 'different',
      at: 'message',
      index: 1,
      offset: 2,
      primary: { length: 4, compressed: false },
      other: { length: 5, compressed: false },
    });
    t.equal(call.memory.held, 0);
  }
});

t.test(
  'an answer that is cut off behind a difference is inconclusive, which says where it was',
  async (t) => {
    for (const isPrimary of [true, false]) {
      const call = new ComparedCall({ metadata: ['x-version'] }, 2);
      call.primary.headers('x-version', '1').messages('a', 'b');
      call.others[0]!.headers('x-version', '1').messages('a', 'x');
      call.others[1]!.headers('x-version', '2').ends();
      t.equal(call.memory.held, 0);
      (isPrimary ? call.primary : call.others[0]!).cut();
      if (!isPrimary) call.primary.ends();
      const [reason] = call.verdicts.map((verdict) =>
        verdict.result === 'inconclusive' ? verdict.reason : '',
      );
      const whose = isPrimary ? 'primary’s' : 'destination’s';
      t.equal(reason, `they differ in message 1, but the ${whose} answer was cut off: backend_reset: cut`);
      if (isPrimary)
        t.match(call.verdicts[1], { reason: /^they differ in headers, x-version, but the primary’s/ });
      else t.match(call.verdicts[1], { result: 'different', at: 'headers' });
    }
  },
);

t.test('a message that is the beginning of another differs where it ends', async (t) => {
  for (const text of ['', 'abc']) {
    const call = new ComparedCall();
    call.primary.messages(text).ends();
    call.other.messages(`${text}d`).ends();
    t.match(call.verdict, { result: 'different', index: 0, offset: text.length });
  }
});

t.test('large messages are compared by digest, whatever they are cut into', async (t) => {
  const large = Buffer.alloc(1_000_000, 'x');
  const changed = Buffer.from(large);
  changed[999_999] = 0;
  for (const size of [999_999, 70_000, 1000]) {
    const call = new ComparedCall();
    for (const [answer, payload] of [
      [call.primary, large],
      [call.other, changed],
    ] as const) {
      const bytes = encodeMessage(payload);
      for (let at = 0; at < bytes.length; at += size) answer.data(bytes.subarray(at, at + size));
      t.ok(call.memory.held < 263_000, `${call.memory.held} bytes are held`);
    }
    call.primary.ends();
    call.other.ends();
    const { verdict } = call;
    if (verdict.result !== 'different' || verdict.at !== 'message') throw new Error('no difference');
    t.match(verdict, { index: 0, primary: { length: 1_000_000 }, other: { length: 1_000_000 } });
    t.match(verdict.primary.digest, /^[0-9a-f]{32}$/);
    t.not(verdict.primary.digest, verdict.other.digest);
    t.equal(verdict.offset, undefined);
    const same = new ComparedCall();
    same.primary.messages(large, large).ends();
    same.other.messages(large, large).ends();
    t.equal(same.verdict.result, 'same');
    t.equal(same.memory.held, 0);
  }
});

t.test('an end status is compared by its code, and goes before missing messages', async (t) => {
  const call = new ComparedCall();
  call.primary.messages('one').ends(0, 'grpc-message', 'a');
  call.other.ends(Code.NOT_FOUND, 'grpc-message', 'b');
  t.strictSame(call.verdict, {
    ...SUBJECT,
    result: 'different',
    at: 'status',
    primary: Code.OK,
    other: Code.NOT_FOUND,
  });
  const same = new ComparedCall();
  same.primary.ends(Code.NOT_FOUND, 'grpc-message', 'a');
  same.other.messages().ends(Code.NOT_FOUND, 'grpc-message', 'b');
  t.equal(same.verdict.result, 'same');
});

t.test('messages that one side lacks are a difference once both have ended', async (t) => {
  for (const [ofPrimary, ofOther] of [
    [3, 1],
    [0, 2],
  ] as const) {
    const call = new ComparedCall();
    call.primary.messages(...Array<string>(ofPrimary).fill('m')).ends();
    call.other.messages(...Array<string>(ofOther).fill('m'));
    t.strictSame(call.verdicts, []);
    call.other.ends();
    const index = Math.min(ofPrimary, ofOther);
    t.strictSame(call.verdict, {
      ...SUBJECT,
      result: 'different',
      at: 'messages',
      index,
      primary: ofPrimary,
      other: ofOther,
    });
    t.equal(call.memory.held, 0);
  }
});

t.test('only fields that are named are compared', async (t) => {
  const metadata = ['X-Version', 'grpc-message', 'x-bytes-bin'];
  const at = (verdict: ResponseVerdict) => verdict.at;
  const headers = new ComparedCall({ metadata });
  headers.primary.headers('x-version', '1', 'x-version', '2', 'date', 'a');
  headers.other.headers('date', 'b', 'x-version', '1', 'x-version', '3'.repeat(500));
  headers.primary.ends();
  headers.other.ends();
  t.strictSame(headers.verdict, {
    ...SUBJECT,
    result: 'different',
    at: 'headers',
    name: 'x-version',
    primary: ['1', '2'],
    other: ['1', `${'3'.repeat(200)}...`],
  });
  const trailers = new ComparedCall({ metadata });
  trailers.primary.headers().ends(Code.ABORTED, 'grpc-message', 'caf%C3%A9');
  trailers.other.headers().ends(Code.ABORTED, 'grpc-message', 'tea');
  t.match(trailers.verdict, { at: 'trailers', name: 'grpc-message', primary: ['café'], other: ['tea'] });
  const written = new ComparedCall({ metadata });
  written.primary.headers('x-bytes-bin', 'YQ==', 'x-bytes-bin', 'Yg').ends(0, 'grpc-message', 'caf%c3%a9');
  written.other.headers('x-bytes-bin', 'YQ, Yg==').ends(0, 'grpc-message', 'caf%C3%A9');
  t.equal(written.verdict.result, 'same', 'in other words');
  const moved = new ComparedCall({ metadata });
  moved.primary.headers('x-version', '1').ends();
  moved.other.headers().ends(0, 'x-version', '1');
  t.equal(at(moved.verdict), 'headers');
});

t.test('a Trailers-Only answer has the fields of headers and trailers in one', async (t) => {
  const metadata = ['x-version'];
  for (const [version, result] of [
    ['1', 'same'],
    ['2', 'different'],
  ] as const) {
    const call = new ComparedCall({ metadata });
    call.other.ends(Code.ABORTED, 'x-version', version);
    call.primary.headers('x-version', '1').ends(Code.ABORTED);
    t.equal(call.verdict.result, result);
  }
});

t.test('an answer that is no whole one is inconclusive, never different', async (t) => {
  const early = new ComparedCall({}, 2);
  early.primary.messages('one', 'two').ends();
  early.others[0]!.messages('one').cut();
  early.others[1]!.cut('backend_connect');
  t.match(early.verdicts, [
    {
      target: 'a',
      result: 'inconclusive',
      reason: 'the destination’s answer was cut off: backend_reset: cut',
    },
    { target: 'b', result: 'inconclusive', reason: /backend_connect/ },
  ]);
  t.equal(early.memory.held, 0);
  const primary = new ComparedCall({}, 2);
  primary.others[0]!.messages('one').ends(Code.ABORTED);
  primary.others[1]!.messages('one', 'two');
  primary.primary.cut('client_cancelled');
  t.match(primary.verdicts, [
    { target: 'a', result: 'inconclusive', reason: /^the primary’s answer was cut off: client_cancelled/ },
    { target: 'b', result: 'inconclusive' },
  ]);
  t.equal(primary.memory.held, 0);
  primary.others[1]!.messages('more').ends();
  t.equal(primary.verdicts.length, 2);
});

t.test('10 000 messages may be outstanding on either side, and one more may not', async (t) => {
  const empties = Buffer.concat(Array<Buffer>(5000).fill(encodeMessage(Buffer.alloc(0))));
  for (const isPrimaryFirst of [true, false]) {
    for (const more of [0, 1]) {
      const call = new ComparedCall();
      const [first, second] = isPrimaryFirst ? [call.primary, call.other] : [call.other, call.primary];
      first.data(empties).data(empties);
      t.strictSame(call.verdicts, []);
      t.ok(call.memory.held > 0);
      if (more > 0) {
        first.messages('');
        t.match(call.verdict, { result: 'inconclusive', reason: /more than 10000 messages ahead/ });
        t.equal(call.memory.held, 0, 'what it had is dropped');
        first.data(empties);
        t.equal(call.memory.held, 0, 'and no more is held');
      }
      second.data(empties).data(empties).ends();
      first.ends();
      t.equal(call.verdict.result, more > 0 ? 'inconclusive' : 'same');
      t.equal(call.memory.held, 0);
    }
  }
});

t.test('one that is hopelessly behind does not keep others from their verdicts', async (t) => {
  const call = new ComparedCall({}, 2);
  const [slow, fast] = call.others as [ComparedCall['other'], ComparedCall['other']];
  for (let i = 0; i < 10_100; i++) {
    call.primary.messages(`${i}`);
    fast.messages(i === 10_050 ? 'x' : `${i}`);
  }
  t.equal(call.memory.held, 0);
  call.primary.ends();
  fast.ends();
  t.match(call.verdicts, [
    { target: 'a', result: 'inconclusive' },
    { target: 'b', result: 'different', index: 10_050 },
  ]);
  slow.messages('0').ends();
  t.equal(call.verdicts.length, 2);
  t.equal(call.memory.held, 0);
});

t.test('all comparisons together hold no more than they may', async (t) => {
  const memory = new ComparingMemory(100_000);
  const calls = Array.from({ length: 10 }, () => new ComparedCall({}, 1, memory));
  const payload = Buffer.alloc(60_000, 'a');
  const changed = Buffer.from(payload).fill('b', 50_000);
  for (const call of calls) {
    call.primary.messages(payload);
    t.ok(memory.held <= 100_000);
  }
  for (const call of calls) {
    call.other.messages(changed).ends();
    call.primary.ends();
  }
  for (const [index, { verdict }] of calls.entries()) {
    t.match(verdict, { result: 'different', at: 'message', index: 0 });
    // Of the first the bytes were held, of the others a digest.
    if (index > 0) t.notOk('offset' in verdict);
  }
  t.equal(memory.held, 0);
  const many = new ComparedCall({}, 1, memory);
  for (let i = 0; i < 1000; i++) many.primary.messages('');
  t.match(many.verdict, {
    result: 'inconclusive',
    reason: 'the primary’s answer was cut off: all comparisons together hold as much as they may',
  });
  t.equal(memory.held, 0);
});

t.test('what a prefix says is not held before it has come', async (t) => {
  const call = new ComparedCall();
  call.primary.data(encodeMessage(Buffer.alloc(60_000)).subarray(0, 6));
  t.ok(call.memory.held <= 1024, `${call.memory.held} bytes`);
  call.primary.cut();
  t.equal(call.memory.held, 0);
  t.equal(call.verdict.result, 'inconclusive');
});

t.test('two compressions of the same are the same', async (t) => {
  const text = Buffer.from('a text, a text, a text and a text'.repeat(100));
  const changed = Buffer.from(text).fill('!', 1000, 1001);
  for (const [payload, result, offset] of [
    [text, 'same', undefined],
    [changed, 'different', 1000],
  ] as const) {
    const call = new ComparedCall();
    call.primary
      .headers('grpc-encoding', 'gzip')
      .compressed(gzipSync(text, { level: 1 }))
      .ends();
    call.other.headers('grpc-encoding', 'deflate').compressed(deflateSync(payload)).ends();
    await eventually('a verdict', () => call.verdicts.length > 0);
    t.equal(call.verdict.result, result);
    t.equal('offset' in call.verdict ? call.verdict.offset : undefined, offset);
    t.equal(call.memory.held, 0);
    const plain = new ComparedCall();
    plain.primary.messages(text).ends();
    plain.other.headers('grpc-encoding', 'gzip').compressed(gzipSync(payload)).ends();
    await eventually('a verdict', () => plain.verdicts.length > 0);
    t.equal(plain.verdict.result, result);
  }
});

t.test('of compressed messages that differ, and cannot be inflated, nothing is known', async (t) => {
  const call = new ComparedCall();
  call.primary.headers('grpc-encoding', 'snappy').compressed(Buffer.from('one'));
  call.other.headers('grpc-encoding', 'snappy').compressed(Buffer.from('two'));
  await eventually('a verdict', () => call.verdicts.length > 0);
  t.match(call.verdict, { result: 'inconclusive', reason: /^message 0: message encoding "snappy"/ });
  const same = new ComparedCall();
  same.primary.headers('grpc-encoding', 'snappy').compressed(Buffer.from('one')).ends();
  same.other.headers('grpc-encoding', 'snappy').compressed(Buffer.from('one')).ends();
  t.equal(same.verdict.result, 'same', 'but their bytes can be the same');
  const bomb = new ComparedCall();
  bomb.primary.headers('grpc-encoding', 'gzip').compressed(gzipSync(Buffer.alloc(5_000_000)));
  bomb.other.headers('grpc-encoding', 'gzip').compressed(gzipSync(Buffer.alloc(5_000_001)));
  await eventually('a verdict', () => bomb.verdicts.length > 0);
  t.match(bomb.verdict, { result: 'inconclusive', reason: /over the limit of 4194304 bytes/ });
});

t.test('compressed messages that are broken differ from those that are not', async (t) => {
  const whole = gzipSync('a text');
  const broken = Buffer.from(whole);
  broken[12]! ^= 1;
  const call = new ComparedCall();
  call.primary.headers('grpc-encoding', 'gzip').compressed(whole).ends();
  call.other.headers('grpc-encoding', 'gzip').compressed(broken).ends();
  await eventually('a verdict', () => call.verdicts.length > 0);
  t.match(call.verdict, { result: 'different', at: 'message', index: 0, reason: /not valid gzip/ });
});

t.test('what ends while it is inflated is inconclusive, once', async (t) => {
  const call = new ComparedCall();
  call.primary.headers('grpc-encoding', 'gzip').compressed(gzipSync('one'));
  call.other.headers('grpc-encoding', 'gzip').compressed(gzipSync('two'));
  call.other.cut();
  t.equal(call.verdict.result, 'inconclusive');
  t.equal(call.memory.held, 0);
  for (let i = 0; i < 20; i++) await turn();
  t.equal(call.verdicts.length, 1);
});

t.test('differences where the baseline differs, too, are noise', async (t) => {
  const call = new ComparedCall({ baseline: BASELINE }, 2);
  const [baseline, candidate] = call.others as [ComparedCall['other'], ComparedCall['other']];
  call.primary.messages('id 1', 'answer', 'time 1').ends();
  candidate.messages('id 3', 'answer', 'time 3').ends();
  t.strictSame(call.verdicts, [], 'it waits for what the baseline says');
  t.ok(call.memory.held > 0);
  baseline.messages('id 2', 'answer', 'time 2').ends();
  t.match(call.verdicts, [
    { role: 'secondary', target: 'b', result: 'noise', at: 'message', index: 0 },
    { role: 'baseline', target: 'a', result: 'different', index: 0 },
  ]);
  t.equal(call.memory.held, 0);
});

t.test(
  'a difference where the baseline does not differ is real, though there is noise before it',
  async (t) => {
    const call = new ComparedCall({ baseline: BASELINE }, 2);
    const [baseline, candidate] = call.others as [ComparedCall['other'], ComparedCall['other']];
    call.primary.messages('id 1', 'answer', 'time 1').ends();
    baseline.messages('id 2', 'answer', 'time 2').ends();
    candidate.messages('id 3', 'wrong', 'time 3').ends();
    t.match(call.verdicts[1], { target: 'b', result: 'different', index: 1 });
    t.equal(call.memory.held, 0);
  },
);

t.test('noise of status, number and fields', async (t) => {
  const metadata = ['x-id'];
  const run = (isNoisy: boolean) => {
    const call = new ComparedCall({ baseline: BASELINE, metadata }, 2);
    const [baseline, candidate] = call.others as [ComparedCall['other'], ComparedCall['other']];
    call.primary.headers('x-id', '1').messages('m', 'm').ends(0, 'x-id', '1');
    candidate.headers('x-id', '3').messages('m').ends(Code.ABORTED, 'x-id', '3');
    if (isNoisy) baseline.headers('x-id', '2').messages('m').ends(Code.NOT_FOUND, 'x-id', '2');
    else baseline.headers('x-id', '2').messages('m', 'm').ends(0, 'x-id', '2');
    return call.verdicts.find(({ role }) => role === 'secondary');
  };
  t.match(run(true), { result: 'noise', at: 'headers', name: 'x-id' });
  t.match(run(false), { result: 'different', at: 'status' });
});

t.test('a baseline that does not say whether something is noise makes it inconclusive', async (t) => {
  const cut = new ComparedCall({ baseline: BASELINE }, 2);
  cut.primary.messages('a', 'b').ends();
  cut.others[1]!.messages('a', 'x').ends();
  cut.others[0]!.messages('a').cut();
  t.match(cut.verdicts, [
    { role: 'baseline', result: 'inconclusive' },
    { target: 'b', result: 'inconclusive', reason: /baseline/ },
  ]);
  const same = new ComparedCall({ baseline: BASELINE }, 2);
  same.others[0]!.cut();
  same.primary.messages('a').ends();
  same.others[1]!.messages('a').ends();
  t.match(same.verdicts[1], { target: 'b', result: 'same' });
  const known = new ComparedCall({ baseline: BASELINE }, 2);
  known.others[0]!.messages('a').cut();
  known.primary.messages('a').ends();
  known.others[1]!.messages('x').ends();
  t.match(known.verdicts[1], { target: 'b', result: 'different', index: 0 }, 'it had said it before');
  const missing = new ComparedCall({ baseline: { close() {} } as never }, 1);
  missing.primary.messages('a').ends();
  missing.other.messages('x').ends();
  t.match(missing.verdict, { result: 'inconclusive', reason: /baseline/ });
});

t.test('options that make no sense are refused', async (t) => {
  for (const [options, message] of [
    [{ onVerdict: undefined }, /onVerdict/],
    [{ metadata: 'x-version' }, /metadata/],
    [{ metadata: [7] }, /metadata/],
    [{ decode: 'json' }, /decode/],
    [{ ignore: ['a'] }, /needs options.decode/],
    [{ ignore: 'a', decode: () => {} }, /ignore/],
    [{ ignore: ['a..b'], decode: () => {} }, /"a..b"/],
  ] as const) {
    t.throws(() => new ComparedCall(options as never), { name: 'TypeError', message });
  }
});
