// Spreads calls over all addresses that a name has, resolved again and again: to the less busy ones, to each only while it
// says that it is healthy, and to another one where a call can be tried again.
import { Code, dial, Server, transparentHandler } from 'grpc-frame-proxy';

const backend = dial('dns:///backend.example.com:50061', {
  loadBalancing: 'least_request',
  healthCheck: { service: '' },
});
const retry = {
  maxAttempts: 3,
  codes: [Code.UNAVAILABLE],
  initialBackoff: 100,
  maxBackoff: 1000,
  multiplier: 2,
};

const server = new Server({
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: backend }, callOptions: { retry } })),
});
await server.listen('127.0.0.1:50051');
