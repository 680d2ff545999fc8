import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';

/** A port of the loopback interface where nobody listens, for now. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await once(server.close(), 'close');
  return port;
}
