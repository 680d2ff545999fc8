// Answers health checks for itself, beside the proxy: load balancers learn that it is going before it goes.
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { dial, Server, transparentHandler } from 'grpc-frame-proxy';
import { healthService } from 'grpc-frame-proxy/health';

const backend = dial('http://127.0.0.1:50061');
const forward = transparentHandler(() => ({ primary: { conn: backend } }));
const server = new Server({ unknownServiceHandler: forward });

// The server as a whole is the proxy's to answer for; who asks for a service by its name is answered by the backend.
const health = healthService(server, { forward });
await server.listen('127.0.0.1:50051');

await once(process, 'SIGTERM');
health.stopServing();
// Until all who check have noticed, and send their calls elsewhere.
await pause(5000);
await server.close({ timeoutMilliseconds: 30_000 });
await backend.close();
