import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { encodeMessage } from '../../lib/grpc/framing.js';
import { MessageScanner } from '../../lib/grpc/scanner.js';
import { Code } from '../../lib/grpc/status.js';
import { cut } from '../support/chunks.js';

t.test('advance stops at the end of each message, however the bytes are cut', async (t) => {
  const payloads = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 10 });
  const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(payloads, sizes, (lengths, chunkSizes) => {
        const encoded = lengths.map((length, index) => encodeMessage(Buffer.alloc(length), index % 2 === 1));
        const scanner = new MessageScanner();
        const ends: number[] = [];
        let before = 0;
        for (const chunk of cut(Buffer.concat(encoded), chunkSizes)) {
          for (let offset = 0; offset < chunk.length; ) {
            offset = scanner.advance(chunk, offset);
            if (!scanner.atBoundary) continue;
            ends.push(before + offset);
            assert.equal(scanner.compressed, (ends.length - 1) % 2 === 1);
          }
          before += chunk.length;
        }
        let end = 0;
        assert.deepEqual(
          ends,
          encoded.map((message) => {
            end += message.length;
            return end;
          }),
        );
        assert.equal(scanner.messages, lengths.length);
        scanner.end();
      }),
    ),
  );
});

t.test('a scanner begins at a boundary, and an empty stream is whole', async (t) => {
  const scanner = new MessageScanner();
  t.ok(scanner.atBoundary);
  t.notOk(scanner.compressed);
  scanner.push(Buffer.alloc(0));
  scanner.end();
  t.equal(scanner.messages, 0);
});

t.test('the flag is known with the first byte of a prefix', async (t) => {
  const scanner = new MessageScanner();
  t.equal(scanner.advance(Buffer.from([1, 0]), 0), 2);
  t.ok(scanner.compressed);
  t.notOk(scanner.atBoundary);
});

t.test('messages of up to 4 GiB are skipped without holding them', async (t) => {
  const chunk = Buffer.alloc(1024 * 1024);
  const scanner = new MessageScanner();
  const before = process.memoryUsage().arrayBuffers;
  scanner.push(Buffer.from([0, 255, 255, 255, 255]));
  for (let i = 0; i < 4095; i++) scanner.push(chunk);
  scanner.push(chunk.subarray(1));
  t.ok(scanner.atBoundary);
  t.equal(scanner.messages, 1);
  t.ok(process.memoryUsage().arrayBuffers <= before);
});

t.test(
  'a scanner with a limit throws as soon as the prefix shows more, and keeps throwing that',
  async (t) => {
    const scanner = new MessageScanner(10);
    scanner.push(Buffer.from([0, 0, 0, 0]));
    const expected = {
      code: Code.RESOURCE_EXHAUSTED,
      message: 'message of 11 bytes is over the limit of 10 bytes',
    };
    t.throws(() => scanner.push(Buffer.from([11])), expected);
    t.throws(() => scanner.push(encodeMessage(Buffer.alloc(1))), expected);
    t.throws(() => scanner.advance(Buffer.alloc(1), 0), expected);
    t.throws(() => scanner.end(), expected);
  },
);
