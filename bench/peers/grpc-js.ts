import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { readSetup } from './node-peer.js';

// A relay as one writes it on @grpc/grpc-js: one method, because grpc-js has no handler for methods that it does
// not know, with messages as bytes.

const setup = readSetup();
const pass = (bytes: Buffer): Buffer => bytes;
const options = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc-node.max_session_memory': Number.MAX_SAFE_INTEGER,
  'grpc.use_local_subchannel_pool': 1,
  'grpc-node.flow_control_window': 1024 * 1024,
};
const cert = setup.certificate && readFileSync(setup.certificate.cert);
const key = setup.certificate && readFileSync(setup.certificate.key);
const clients = setup.backendPorts.map(
  (port) =>
    new grpc.Client(
      `127.0.0.1:${port}`,
      cert === undefined ? grpc.credentials.createInsecure() : grpc.credentials.createSsl(cert),
      options,
    ),
);

function relay(down: grpc.ServerDuplexStream<Buffer, Buffer>): void {
  const [up, ...others] = clients.map((client) =>
    client.makeBidiStreamRequest('/bench.Bench/Call', pass, pass, down.metadata),
  );
  for (const other of others) other.on('error', () => {}).resume();
  up!.on('metadata', (metadata: grpc.Metadata) => down.sendMetadata(metadata));
  up!.on('data', (message: Buffer) => {
    if (!down.write(message)) up!.pause();
  });
  down.on('drain', () => up!.resume());
  up!.on('status', (status: grpc.StatusObject) => {
    if (status.code === grpc.status.OK) down.end(status.metadata);
    else down.emit('error', status);
  });
  up!.on('error', () => {});
  down.on('data', (message: Buffer) => {
    if (!up!.write(message)) down.pause();
    for (const other of others) if (!other.write(message)) down.pause();
  });
  up!.on('drain', () => down.resume());
  for (const other of others) other.on('drain', () => down.resume());
  down.on('end', () => {
    up!.end();
    for (const other of others) other.end();
  });
  down.on('cancelled', () => {
    up!.cancel();
    for (const other of others) other.cancel();
  });
}

const server = new grpc.Server(options);
server.register(
  '/bench.Bench/Call',
  relay as grpc.handleBidiStreamingCall<Buffer, Buffer>,
  pass,
  pass,
  'bidi',
);
const credentials =
  cert === undefined || key === undefined
    ? grpc.ServerCredentials.createInsecure()
    : grpc.ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: cert }]);
server.bindAsync(`127.0.0.1:${setup.listenPort}`, credentials, (error) => {
  if (error !== null) throw error;
});
