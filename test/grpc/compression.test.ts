import assert from 'node:assert/strict';
import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { decompress } from '../../lib/grpc/compression.js';
import { Code } from '../../lib/grpc/status.js';

t.test('what was compressed comes back', async (t) => {
  const bytes = fc.uint8Array({ maxLength: 2000 }).map((raw) => Buffer.from(raw));
  await t.resolves(
    fc.assert(
      fc.asyncProperty(bytes, async (payload) => {
        assert.ok((await decompress(gzipSync(payload), 'gzip', payload.length)).equals(payload));
        assert.ok((await decompress(deflateSync(payload), 'deflate', payload.length)).equals(payload));
      }),
    ),
  );
});

t.test('a bomb is RESOURCE_EXHAUSTED and is not inflated', async (t) => {
  // A gzip file may have many members, so that the bomb need not be inflated to be built.
  const bomb = Buffer.concat(Array(256).fill(gzipSync(Buffer.alloc(1024 * 1024))));
  const before = process.resourceUsage().maxRSS;
  await t.rejects(decompress(bomb, 'gzip', 1024 * 1024), {
    code: Code.RESOURCE_EXHAUSTED,
    message: 'message is over the limit of 1048576 bytes when decompressed',
  });
  const grownKibibytes = process.resourceUsage().maxRSS - before;
  t.ok(grownKibibytes < 32 * 1024, `grew by ${grownKibibytes} KiB`);
});

t.test('what is inflated is told as it grows, and stops when it is wanted no more', async (t) => {
  const payload = gzipSync(Buffer.alloc(1024 * 1024));
  let told = 0;
  const whole = await decompress(payload, 'gzip', Infinity, (bytes) => {
    told += bytes;
    return true;
  });
  t.equal(told, whole.length);
  let asked = 0;
  await t.rejects(
    decompress(payload, 'gzip', Infinity, () => ++asked < 3),
    { code: 'ERR_CALL_ENDED' },
  );
  t.equal(asked, 3);
});

t.test('one byte over the limit is too much, in every encoding', async (t) => {
  const payload = Buffer.from('eleven byte');
  const expected = { code: Code.RESOURCE_EXHAUSTED };
  await t.rejects(decompress(gzipSync(payload), 'gzip', 10), expected);
  await t.rejects(decompress(deflateSync(payload), 'deflate', 10), expected);
  await t.rejects(decompress(gzipSync(Buffer.of(1)), 'gzip', 0), expected);
  const whole = await decompress(gzipSync(payload), 'gzip', Number.POSITIVE_INFINITY);
  t.ok(whole.equals(payload));
});

t.test('corrupt data is INTERNAL', async (t) => {
  const payload = gzipSync(Buffer.from('some text'));
  const corrupt = [Buffer.alloc(0), payload.subarray(0, -1), payload.subarray(1), Buffer.from('some text')];
  for (const data of corrupt) {
    await t.rejects(decompress(data, 'gzip', 100), {
      code: Code.INTERNAL,
      message: /^message is not valid gzip data: /,
    });
  }
});

t.test('an unknown encoding is UNIMPLEMENTED and is named', async (t) => {
  for (const encoding of ['br', 'GZIP', '']) {
    await t.rejects(decompress(Buffer.alloc(1), encoding, 100), {
      code: Code.UNIMPLEMENTED,
      message: `message encoding "${encoding}" is not supported; supported are identity,deflate,gzip`,
    });
  }
});

t.test('without an encoding nothing can be compressed: INTERNAL', async (t) => {
  for (const encoding of [undefined, 'identity']) {
    await t.rejects(decompress(Buffer.alloc(1), encoding, 100), {
      code: Code.INTERNAL,
      message: `a message is marked as compressed, but grpc-encoding is ${encoding ?? 'missing'}`,
    });
  }
});
