// Answers a service itself, and sends all other calls on. Messages are bytes: text here, in general whatever your
// protobuf library makes and reads.
import { setInterval } from 'node:timers/promises';
import { dial, registerStreamHandlers, Server, transparentHandler } from 'grpc-frame-proxy';

const backend = dial('http://127.0.0.1:50061');
const server = new Server({
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: backend } })),
});

registerStreamHandlers(server, 'demo.Text', {
  /** Every message back, in capitals. */
  async Shout(stream) {
    for await (const message of stream) await stream.sendMessage(Buffer.from(String(message).toUpperCase()));
  },

  /** The time, each second, until the client goes. */
  async Clock(stream) {
    for await (const _ of setInterval(1000, undefined, { signal: stream.context.signal })) {
      await stream.sendMessage(Buffer.from(new Date().toISOString()));
    }
  },
});
await server.listen('127.0.0.1:50051');
