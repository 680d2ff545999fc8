import t from 'tap';
import { BLOCK_LENGTH, BlockStore } from '../../../lib/port/block-store.js';
import { eventually } from '../../support/eventually.js';

/** In a segment; the first one stays. */
const BLOCKS = 256;

// What takes long here is waited for.
t.jobs = 2;
const beside = { buffered: true };

/** The memory behind some blocks, in bytes. */
function memoryOf(blocks: readonly Buffer[]): number {
  const memory = new Set(blocks.map(({ buffer }) => buffer));
  return [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

t.test('blocks do not overlap, and keep their bytes', async (t) => {
  const store = new BlockStore();
  const blocks = Array.from({ length: 3 * BLOCKS }, (_, i) => store.acquire().fill(i % 251));
  t.ok(blocks.every((block, i) => block.length === BLOCK_LENGTH && block.every((byte) => byte === i % 251)));
  // Others come and go meanwhile.
  for (let i = 0; i < BLOCKS; i += 2) store.release(blocks[i]!);
  const more = Array.from({ length: BLOCKS / 2 }, () => store.acquire().fill(255));
  t.ok(more.every((block) => block.every((byte) => byte === 255)));
  t.ok(blocks.every((block, i) => (i < BLOCKS && i % 2 === 0) || block[77] === i % 251));
});

t.test('memory goes back to the system when nothing lies in it any more', beside, async (t) => {
  const store = new BlockStore();
  const blocks = Array.from({ length: 4 * BLOCKS }, () => store.acquire());
  const most = memoryOf(blocks);
  t.equal(most, 4 * BLOCKS * BLOCK_LENGTH);
  // One is still used, in the third segment.
  const [used] = blocks.splice(2 * BLOCKS + 7, 1);
  used!.fill(42);
  for (const block of blocks) store.release(block);
  await eventually('the memory is given back', () => memoryOf([...blocks, used!]) === most / 2);
  t.ok(used!.every((byte) => byte === 42));
  store.release(used!);
  await eventually('the rest, too', () => memoryOf(blocks) === most / 4);
});

t.test('memory that was given back is used again', beside, async (t) => {
  const store = new BlockStore();
  const first = Array.from({ length: 2 * BLOCKS }, () => store.acquire().fill(1));
  for (const block of first) store.release(block);
  await eventually('the memory is given back', () => memoryOf(first) === BLOCKS * BLOCK_LENGTH);
  const again = Array.from({ length: 2 * BLOCKS }, (_, i) => store.acquire().fill(i % 251));
  t.ok(again.every((block, i) => block.length === BLOCK_LENGTH && block.every((byte) => byte === i % 251)));
  t.equal(memoryOf([...first, ...again]), 2 * BLOCKS * BLOCK_LENGTH, 'and no more than before is taken');
});

t.test('the lowest segments are used first', async (t) => {
  const store = new BlockStore();
  const blocks = Array.from({ length: 2 * BLOCKS }, () => store.acquire());
  store.release(blocks[2 * BLOCKS - 1]!);
  store.release(blocks[0]!);
  t.equal(store.acquire().buffer, blocks[0]!.buffer);
  t.equal(store.acquire().buffer, blocks[2 * BLOCKS - 1]!.buffer);
});
