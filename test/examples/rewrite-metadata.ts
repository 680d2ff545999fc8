// Changes what calls say of themselves: metadata on the way to the backend, and headers and trailers on the way back.
import { dial, incomingToOutgoing, Server, type StreamDirector, transparentHandler } from 'grpc-frame-proxy';

const backend = dial('http://127.0.0.1:50061');

const director: StreamDirector = (ctx) => {
  const outgoing = incomingToOutgoing(ctx);
  outgoing.metadata.delete('cookie');
  // In place of what the client says of itself.
  outgoing.metadata.set('forwarded', `for="${ctx.peer}"`);
  return {
    primary: { conn: backend, ctx: outgoing },
    editResponseHeaders: (metadata) => metadata.set('via', '2 grpc-frame-proxy'),
    // What backends say for their own people, whether the call ends well or not.
    editResponseTrailers: (metadata) => metadata.delete('x-debug-info'),
  };
};

const server = new Server({ unknownServiceHandler: transparentHandler(director) });
await server.listen('127.0.0.1:50051');
