import type { Socket } from 'node:net';
import t from 'tap';
import { ClientConn } from '../../lib/client/client-conn.js';
import { encodeMessage, Server, transparentHandler } from '../../lib/index.js';
import type { IncomingStream, Stream, StreamReceiver, StreamRequester } from '../../lib/transport/port.js';

/** A stream that goes nowhere, and remembers which buffers it was given. */
class RecordingStream implements IncomingStream {
  receiver!: StreamReceiver;
  readonly socket = {} as Socket;
  readonly sent: Buffer[] = [];
  sendHeaders(): void {}
  sendData(chunk: Buffer): boolean {
    this.sent.push(chunk);
    return true;
  }
  reset(): void {}
  pause(): void {}
  resume(): void {}
}

function recordingConn(streams: RecordingStream[]): ClientConn {
  return new ClientConn('recorded', 'http', 'recorded', {
    openStream(requester: StreamRequester) {
      const stream = new RecordingStream();
      streams.push(stream);
      requester.onStream(stream satisfies Stream);
    },
    cancelOpen() {},
    close: async () => {},
    destroy() {},
  });
}

t.test('every destination is given the very buffers that came, and so is the client', async (t) => {
  const streams: RecordingStream[] = [];
  const conn = recordingConn(streams);
  const parameters = { primary: { conn }, secondaries: [{ conn }, { conn }] };
  for (const peek of [false, true]) {
    streams.length = 0;
    let answered!: () => void;
    const answer = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const server = new Server({
      unknownServiceHandler: transparentHandler(
        peek
          ? async (_ctx, _method, peeker) => {
              await peeker.peek();
              setImmediate(answered);
              return parameters;
            }
          : () => {
              setImmediate(answered);
              return parameters;
            },
      ),
    });
    t.teardown(() => server.destroy());
    const client = new RecordingStream();
    const headers = [':method', 'POST', ':path', '/any.Service/Method', 'content-type', 'application/grpc'];
    server.onStream(client, headers, false);
    const chunks = [encodeMessage(Buffer.alloc(20)), encodeMessage(Buffer.alloc(70_000))];
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
  }
});
