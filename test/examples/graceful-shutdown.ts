// Ends without losing a call: on SIGTERM it takes no new ones, running ones have half a minute, and connections close.
import { once } from 'node:events';
import { dial, Server, transparentHandler } from 'grpc-frame-proxy';

const backend = dial('http://127.0.0.1:50061');
const server = new Server({
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: backend } })),
});
await server.listen('127.0.0.1:50051');

await once(process, 'SIGTERM');
const cut = await server.close({ timeoutMilliseconds: 30_000 });
await backend.close();
if (cut > 0) console.error(`${cut} calls took too long, and were ended`);
