// Sends writes to a primary and three replicas, here of etcd: a write succeeds if it does at the primary and at two of the
// replicas, and does not wait for the third. What a replica has missed is said, so that somebody can mend it.
import { dial, registerService, Server, type StatusError, transparentHandler } from 'grpc-frame-proxy';

const primary = dial('http://127.0.0.1:50061');

const replicas = ['http://127.0.0.1:50062', 'http://127.0.0.1:50063', 'http://127.0.0.1:50064'].map(
  (target) => ({
    conn: dial(target),
    errHandler: ({ message }: StatusError) => console.error(`${target} misses a write: ${message}`),
  }),
);

// Reads, watches and whatever else there is: from the primary.
const server = new Server({
  unknownServiceHandler: transparentHandler(() => ({ primary: { conn: primary } })),
});

registerService(
  server,
  () => ({ primary: { conn: primary }, secondaries: { of: replicas, need: 2 } }),
  'etcdserverpb.KV',
  'Put',
  'DeleteRange',
  'Txn',
);
await server.listen('127.0.0.1:50051');
