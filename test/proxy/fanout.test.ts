import t from 'tap';
import { encodeMessage, transparentHandler } from '../../lib/index.js';
import { handle, MemoryStream, memoryConn } from '../support/memory-conn.js';

t.test(
  'a destination that ends while a chunk is poured costs its neighbours nothing, and holds nobody back',
  async (t) => {
    const primary = new MemoryStream();
    // It is full, and gone, at its second message.
    const failing = new MemoryStream(({ sent, receiver }) => {
      if (sent.length < 2) return true;
      receiver.onReset({ code: 8, by: 'peer', text: undefined, lost: undefined });
      return false;
    });
    const last = new MemoryStream();
    const [first, second, third] = await Promise.all(
      [primary, failing, last].map((one) => memoryConn(() => one)),
    );
    const client = new MemoryStream();
    handle(
      client,
      transparentHandler(() => ({
        primary: { conn: first! },
        secondaries: [{ conn: second!, errHandler: () => null }, { conn: third! }],
      })),
    );
    const chunks = [1, 2, 3].map((fill) => encodeMessage(Buffer.alloc(20, fill)));
    for (const chunk of chunks) client.receiver.onData(chunk);
    t.strictSame(primary.sent, chunks);
    t.strictSame(failing.sent, chunks.slice(0, 2));
    t.strictSame(last.sent, chunks);
    t.notOk(client.paused);
  },
);
