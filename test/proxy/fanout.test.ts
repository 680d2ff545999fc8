import type { Socket } from 'node:net';
import t from 'tap';
import { ClientConn } from '../../lib/client/client-conn.js';
import { encodeMessage, Server, transparentHandler } from '../../lib/index.js';
import type { IncomingStream, StreamReceiver, StreamRequester } from '../../lib/transport/port.js';

/** A stream that goes nowhere, and remembers what it was given. */
class Sink implements IncomingStream {
  receiver!: StreamReceiver;
  readonly socket = {} as Socket;
  readonly sent: Buffer[] = [];
  paused = false;
  constructor(readonly onSent: (sink: Sink) => boolean = () => true) {}
  sendHeaders(): void {}
  sendData(chunk: Buffer): boolean {
    this.sent.push(chunk);
    return this.onSent(this);
  }
  reset(): void {}
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
}

function connTo(sink: Sink): ClientConn {
  return new ClientConn('a sink', 'http', 'sink', {
    openStream: (requester: StreamRequester) => requester.onStream(sink),
    cancelOpen() {},
    close: async () => {},
    destroy() {},
  });
}

t.test(
  'a destination that ends while a chunk is poured costs its neighbours nothing, and holds nobody back',
  async (t) => {
    const primary = new Sink();
    // It is full, and gone, at its second message.
    const failing = new Sink(({ sent, receiver }) => {
      if (sent.length < 2) return true;
      receiver.onReset(8, false);
      return false;
    });
    const last = new Sink();
    const server = new Server({
      unknownServiceHandler: transparentHandler(() => ({
        primary: { conn: connTo(primary) },
        secondaries: [{ conn: connTo(failing), errHandler: () => {} }, { conn: connTo(last) }],
      })),
    });
    t.teardown(() => server.destroy());
    const client = new Sink();
    const headers = [':method', 'POST', ':path', '/any.Service/Method', 'content-type', 'application/grpc'];
    server.onStream(client, headers, false);
    const chunks = [1, 2, 3].map((fill) => encodeMessage(Buffer.alloc(20, fill)));
    for (const chunk of chunks) client.receiver.onData(chunk);
    t.strictSame(primary.sent, chunks);
    t.strictSame(failing.sent, chunks.slice(0, 2));
    t.strictSame(last.sent, chunks);
    t.notOk(client.paused);
  },
);
