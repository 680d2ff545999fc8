import t from 'tap';
import { encodeMessage, transparentHandler } from '../../lib/index.js';
import { handle, MemoryStream, memoryConn } from '../support/memory-conn.js';

for (const peek of [false, true]) {
  const how = peek ? ', peeked at' : '';
  t.test(`every destination is given the very buffers that came${how}, and so is the client`, async (t) => {
    const streams: MemoryStream[] = [];
    const conn = await memoryConn(() => {
      const stream = new MemoryStream();
      streams.push(stream);
      return stream;
    });
    const parameters = { primary: { conn }, secondaries: [{ conn }, { conn }] };
    let answered!: () => void;
    const answer = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const client = new MemoryStream();
    handle(
      client,
      transparentHandler(async (_ctx, _method, peeker) => {
        if (peek) await peeker.peek();
        setImmediate(answered);
        return parameters;
      }),
    );
    // A little of a large read, which waits for the director, would be copied, once, for all.
    const chunks = [encodeMessage(Buffer.alloc(40_000)), encodeMessage(Buffer.alloc(70_000))];
    client.receiver.onData(chunks[0]!);
    await answer;
    client.receiver.onData(chunks[1]!);
    t.equal(streams.length, 3);
    for (const { sent } of streams) {
      t.equal(sent.length, 2);
      t.ok(sent[0] === chunks[0] && sent[1] === chunks[1], 'the same objects');
    }
    const primary = streams[0]!;
    primary.receiver.onHeaders([':status', '200', 'content-type', 'application/grpc'], false);
    primary.receiver.onData(chunks[1]!);
    t.ok(client.sent.length === 1 && client.sent[0] === chunks[1], 'the same object');
  });
}
