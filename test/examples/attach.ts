// Takes the gRPC calls of an HTTP/2 server that there is already; pages are still its own.
import { once } from 'node:events';
import { createServer, type ServerHttp2Session } from 'node:http2';
import { dial, Server, transparentHandler } from 'grpc-frame-proxy';

const http = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end('This is a page.\n');
});
const sessions = new Set<ServerHttp2Session>();
http.on('session', (session) => {
  sessions.add(session);
  session.once('close', () => sessions.delete(session));
});

const backend = dial('http://127.0.0.1:50061');
const server = new Server({
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: backend } })),
});
server.attach(http);
http.listen(50051, '127.0.0.1');

await once(process, 'SIGTERM');
// Running calls finish first; the HTTP/2 server and its sessions are this program's to close.
await server.close({ timeoutMilliseconds: 30_000 });
for (const session of sessions) session.close();
http.close();
await backend.close();
