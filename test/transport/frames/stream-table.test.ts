import fc from 'fast-check';
import t from 'tap';
import type { FrameStream } from '../../../lib/transport/frames/stream/stream.js';
import { StreamTable } from '../../../lib/transport/frames/stream/stream-table.js';

t.test('the table of streams does as a Map does, whatever comes and goes', async (t) => {
  const step = fc.record({
    operation: fc.constantFrom('set', 'delete', 'get'),
    // Few enough to meet again, many enough to make the table grow and chains wrap around its end.
    id: fc.integer({ min: 1, max: 300 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 2000 }), (steps) => {
      const table = new StreamTable();
      const map = new Map<number, FrameStream>();
      for (const { operation, id } of steps) {
        if (operation === 'set') {
          const stream = { id } as FrameStream;
          table.set(id, stream);
          map.set(id, stream);
        } else if (operation === 'delete') {
          table.delete(id);
          map.delete(id);
        }
        if (table.get(id) !== map.get(id) || table.has(id) !== map.has(id) || table.size !== map.size) {
          throw new Error(`the table differs at ${operation} ${id}`);
        }
      }
      const byId = (a: FrameStream, b: FrameStream) => a.id - b.id;
      const expected = [...map.values()].sort(byId);
      const found = table.values().sort(byId);
      if (expected.length !== found.length || expected.some((stream, index) => stream !== found[index])) {
        throw new Error('the table does not list what it holds');
      }
    }),
  );
  const table = new StreamTable();
  table.set(1, { id: 1 } as FrameStream);
  table.clear();
  t.same([table.size, table.get(1), table.values()], [0, undefined, []]);
});
