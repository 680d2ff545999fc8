import fc from 'fast-check';
import t from 'tap';
import { heldBytes, NOBODYS } from '../../../lib/port/account.js';
import { ChunkQueue } from '../../../lib/port/chunk-queue.js';
import { isLent, keep, keepLong, lendableMemory } from '../../../lib/port/lent-memory.js';
import { cert, key } from '../../support/certificate.js';
import { REQUEST } from '../../support/fields.js';
import { Call, Inbox, startClient, startServer } from './fixtures.js';

t.test('keep copies what lies in memory that is used again, once for all who keep it', async (t) => {
  const memory = lendableMemory(100);
  memory.fill(1);
  const chunk = memory.subarray(10, 20);
  const kept = keep(chunk);
  t.equal(keep(chunk), kept, 'one copy');
  memory.fill(2);
  t.strictSame(kept, Buffer.alloc(10, 1));
  t.not(keep(memory.subarray(10, 20)), kept, 'another delivery is another chunk');
  const own = Buffer.alloc(10);
  t.equal(keep(own), own, 'what is not used again is not copied');
});

t.test('who keeps for long gets a copy of what is a small part of its memory, too', async (t) => {
  const memory = Buffer.allocUnsafeSlow(8000);
  const small = memory.subarray(0, 999);
  const kept = keepLong(small);
  t.strictSame(kept, small);
  t.not(kept.buffer, memory.buffer);
  t.equal(keepLong(small), kept, 'one copy');
  const large = memory.subarray(0, 1000);
  t.equal(keepLong(large), large);
  t.equal(keep(small), small);
  const lent = lendableMemory(100);
  t.not(keepLong(lent).buffer, lent.buffer);
});

t.test('what is kept for long shares memory with its like alone, and stays as it is', async (t) => {
  const memory = Buffer.allocUnsafeSlow(65536);
  const buffers = new Set<ArrayBufferLike>();
  const lengths = [1, 17, 100, 512, 513, 4000];
  const kept = Array.from({ length: 300 }, (_, index) => {
    const chunk = memory.subarray(index, index + lengths[index % lengths.length]!);
    chunk.fill(index);
    const copy = keepLong(chunk);
    buffers.add(copy.buffer);
    // Others use the pool of Node's between.
    Buffer.from('somebody else’s');
    return copy;
  });
  memory.fill(255);
  for (const [index, copy] of kept.entries()) {
    t.strictSame(copy, Buffer.alloc(lengths[index % lengths.length]!, index));
  }
  let sum = 0;
  for (const { byteLength } of buffers) sum += byteLength;
  const octets = kept.reduce((total, { length }) => total + length, 0);
  t.ok(sum < 1.5 * octets, `${sum} bytes for ${octets}`);
});

for (const tls of [undefined, { key, cert, ca: cert }]) {
  // Without it everything works, but at 1 MiB messages for twice the CPU.
  t.test(
    `this Node reads accepted and connected sockets into memory that is used again, ${tls ? 'TLS' : 'h2c'}`,
    async (t) => {
      const inbox = new Inbox();
      const { address } = await startServer(t, inbox, { tls });
      const transport = startClient(t, { host: 'localhost', port: address.port }, { tls });
      const call = new Call(transport, REQUEST);
      const lent: boolean[] = [];
      call.onData = (chunk) => lent.push(isLent(chunk));
      // The first bytes may have been read before there was a connection to read them.
      await call.upload(Buffer.alloc(1));
      const incoming = await inbox.at(0);
      await incoming.until((r) => r.ended);
      const later = new Call(transport, REQUEST);
      const { stream } = await inbox.at(1);
      stream.receiver.onData = (chunk) => {
        lent.push(isLent(chunk));
        stream.sendHeaders([':status', '200'], false);
        stream.sendData(Buffer.alloc(100), true);
      };
      later.onData = call.onData;
      await later.upload(Buffer.alloc(100));
      await later.done();
      t.strictSame(lent, [true, true]);
    },
  );
}

t.test('bytes that wait come out in order, whatever memory they came in', async (t) => {
  const operation = fc.oneof(
    { weight: 3, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 40_000 }), lent: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ move: fc.integer({ min: 1, max: 40_000 }) }) },
    { weight: 1, arbitrary: fc.constant({ shift: true }) },
  );
  const memory = lendableMemory(40_000);
  const before = heldBytes();
  await t.resolves(
    fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 60 }), async (operations) => {
        // Two, because they take their blocks from the same pool.
        const queues = [new ChunkQueue(NOBODYS), new ChunkQueue(NOBODYS)];
        const pushed = [0, 0];
        const taken = [0, 0];
        // Each byte tells its place, in a cycle that no block's length is a multiple of.
        const byteAt = (place: number, which: number): number => (place + which * 100) % 251;
        const check = (bytes: Buffer, which: number): void => {
          for (const byte of bytes) {
            if (byte !== byteAt(taken[which]!++, which)) throw new Error(`another byte at ${taken[which]}`);
          }
        };
        for (const [turn, each] of operations.entries()) {
          const which = turn % 2;
          const queue = queues[which]!;
          if ('push' in each) {
            const chunk = each.lent ? memory.subarray(0, each.push) : Buffer.allocUnsafeSlow(each.push);
            for (let i = 0; i < chunk.length; i++) chunk[i] = byteAt(pushed[which]!++, which);
            queue.push(chunk);
            memory.fill(255);
          } else if ('move' in each) {
            const target = Buffer.alloc(Math.min(each.move, queue.length));
            queue.moveTo(target, 0, target.length);
            check(target, which);
          } else if (queue.length > 0) {
            const piece = queue.shift();
            const { bytes } = piece;
            // What is being delivered is nobody else's to write to.
            const other = queues[1 - which]!;
            const chunk = Buffer.alloc(3000);
            for (let i = 0; i < chunk.length; i++) chunk[i] = byteAt(pushed[1 - which]!++, 1 - which);
            other.push(chunk);
            check(bytes, which);
            piece.recycle();
          }
          if (queue.length !== pushed[which]! - taken[which]!) throw new Error('the length is wrong');
        }
        for (const queue of queues) queue.clear();
      }),
      { numRuns: 200 },
    ),
  );
  t.equal(heldBytes(), before, 'nothing is held');
});
