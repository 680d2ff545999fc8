// TLS with a certificate of either side, both to clients and to the backend. A client may come in if its certificate is of
// our authority, and call what its name allows.
import { readFile } from 'node:fs/promises';
import { Code, dial, Server, StatusError, type StreamDirector, transparentHandler } from 'grpc-frame-proxy';

const read = async () => ({
  ca: await readFile('tls/ca.pem'),
  cert: await readFile('tls/proxy.pem'),
  key: await readFile('tls/proxy-key.pem'),
});
const tls = await read();

const backend = dial('https://localhost:50061', { tls });

const director: StreamDirector = (ctx, fullMethodName) => {
  const names = ctx.peerCertificate?.subjectAltNames ?? [];
  const isAdmin = names.some(({ kind, value }) => kind === 'dns' && value === 'admin.example.com');
  if (fullMethodName.startsWith('/admin.') && !isAdmin) {
    throw new StatusError(Code.PERMISSION_DENIED, 'for administrators only');
  }
  return { primary: { conn: backend } };
};

const server = new Server({
  tls: { ...tls, requestCert: true },
  unknownServiceHandler: transparentHandler(director),
});
await server.listen('127.0.0.1:50051');

// Certificates are renewed: the next handshakes are made by the new ones, and nobody is cut.
process.on('SIGHUP', async () => {
  try {
    const renewed = await read();
    server.setSecureContext(renewed);
    backend.setSecureContext(renewed);
  } catch (error) {
    console.error('certificates are not renewed:', error);
  }
});
