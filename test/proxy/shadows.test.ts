import t from 'tap';
import { encodeMessage, transparentHandler } from '../../lib/index.js';
import { shadowBytes } from '../../lib/proxy/shadow-bytes.js';
import { handle, MemoryStream, memoryConn } from '../support/memory-conn.js';
import { ProcessEvents } from '../support/process-events.js';

t.test('where nothing lags, shadows are given the very buffers that came, after the primary', async (t) => {
  const order: string[] = [];
  const named = (name: string): MemoryStream =>
    new MemoryStream(() => {
      order.push(name);
      return true;
    });
  const [primary, shadow] = [named('primary'), named('shadow')];
  const [first, second] = await Promise.all([memoryConn(() => primary), memoryConn(() => shadow)]);
  const client = new MemoryStream();
  handle(
    client,
    transparentHandler(() => ({ primary: { conn: first }, shadows: [{ conn: second }] })),
  );
  const chunks = [encodeMessage(Buffer.alloc(40_000)), encodeMessage(Buffer.alloc(70_000))];
  for (const chunk of chunks) client.receiver.onData(chunk);
  t.ok(shadow.sent.length === 2 && shadow.sent.every((chunk, i) => chunk === chunks[i]), 'the same objects');
  t.same(order, ['primary', 'shadow', 'primary', 'shadow']);
});

t.test('a shadow that is full is given no more until it drains; then all, in order', async (t) => {
  let hasRoom = false;
  const primary = new MemoryStream();
  const shadow = new MemoryStream(() => hasRoom);
  const [first, second] = await Promise.all([memoryConn(() => primary), memoryConn(() => shadow)]);
  const client = new MemoryStream();
  handle(
    client,
    transparentHandler(() => ({ primary: { conn: first }, shadows: [{ conn: second }] })),
  );
  const before = shadowBytes();
  const chunks = [1, 2, 3, 4].map((fill) => encodeMessage(Buffer.alloc(70_000, fill)));
  for (const chunk of chunks) client.receiver.onData(chunk);
  t.equal(primary.sent.length, 4);
  t.equal(shadow.sent.length, 1);
  t.ok(shadowBytes() - before >= 3 * 70_000);
  t.notOk(client.paused);
  client.receiver.onEnd();
  hasRoom = true;
  shadow.receiver.onDrain();
  t.ok(Buffer.concat(shadow.sent).equals(Buffer.concat(chunks)));
  t.equal(shadow.sent.at(-1)!.length, 0, 'the end comes last');
});

t.test('a shadow that is full is reset at 1 MiB, whether anybody else is ever full or not', async (t) => {
  const primary = new MemoryStream();
  const shadow = new MemoryStream(() => false);
  const resets: number[] = [];
  shadow.reset = (code?: number) => void resets.push(code!);
  const [first, second] = await Promise.all([memoryConn(() => primary), memoryConn(() => shadow)]);
  const client = new MemoryStream();
  handle(
    client,
    transparentHandler(() => ({ primary: { conn: first }, shadows: [{ conn: second }] })),
  );
  const chunk = encodeMessage(Buffer.alloc(64 * 1024 - 5));
  // The stream has the first one; it may not be said to hold it, as this one does not.
  for (let i = 0; i < 17; i++) client.receiver.onData(chunk);
  t.same(resets, []);
  client.receiver.onData(chunk);
  t.same(resets, [8]);
  client.receiver.onData(chunk);
  t.equal(primary.sent.length, 19);
});

t.test('an exception in what a shadow is sent by ends that one alone', async (t) => {
  const events = new ProcessEvents(t);
  const primary = new MemoryStream();
  const broken = new MemoryStream(() => {
    throw new Error('broken');
  });
  const other = new MemoryStream();
  const [first, second, third] = await Promise.all(
    [primary, broken, other].map((one) => memoryConn(() => one)),
  );
  const client = new MemoryStream();
  handle(
    client,
    transparentHandler(() => ({ primary: { conn: first! }, shadows: [{ conn: second! }, { conn: third! }] })),
  );
  for (let i = 0; i < 3; i++) client.receiver.onData(encodeMessage(Buffer.alloc(20)));
  client.receiver.onEnd();
  t.equal(primary.sent.length, 4);
  t.equal(broken.sent.length, 1);
  t.equal(other.sent.length, 4);
  await events.settled();
  t.same(events.warnings, ['broken']);
});

t.test('without shadows, a chunk costs no object', async (t) => {
  const silent = new MemoryStream();
  silent.sendData = () => true;
  const conn = await memoryConn(() => silent);
  const client = new MemoryStream();
  handle(
    client,
    transparentHandler(() => ({ primary: { conn } })),
  );
  const chunk = encodeMessage(Buffer.alloc(1000));
  const push = (count: number): void => {
    for (let i = 0; i < count; i++) client.receiver.onData(chunk);
  };
  // What V8 makes until all is compiled, and what a collection takes away, is in some of the rounds only.
  const rounds = Array.from({ length: 20 }, () => {
    const before = process.memoryUsage().heapUsed;
    push(10_000);
    return (process.memoryUsage().heapUsed - before) / 10_000;
  });
  const perChunk = Math.min(...rounds.filter((bytes) => bytes >= 0));
  t.ok(perChunk < 4, `${perChunk} bytes`);
});
