import { type ClientConn, dial } from '../client/client-conn.js';
import { formatAddress, type ListenAddress } from '../port/address.js';
import type { StreamParameters } from '../proxy/director.js';
import { transparentHandler } from '../proxy/handler.js';
import { Server } from '../server/server.js';
import { type DemoBackend, startDemoBackends, tryIt } from './demo-backends.js';
import type { RunOptions } from './options.js';

/** The running command: a server, the connections to its backends, and the demo backends if there are any. */
export class ProxyProcess {
  readonly #server: Server;
  readonly #conns: readonly ClientConn[];
  readonly #demoBackends: readonly DemoBackend[];

  private constructor(server: Server, conns: readonly ClientConn[], demoBackends: readonly DemoBackend[]) {
    this.#server = server;
    this.#conns = conns;
    this.#demoBackends = demoBackends;
  }

  /**
   * Starts it, and prints one line when it is ready.
   *
   * @throws Error that names the address which it cannot listen at; then nothing is left running
   */
  static async start(options: RunOptions, print: (line: string) => void): Promise<ProxyProcess> {
    const { transport } = options;
    const demoBackends = options.primary === undefined ? await startDemoBackends(print) : [];
    const targets =
      options.primary === undefined
        ? demoBackends.map(({ target }) => target)
        : [options.primary, ...options.secondaries];
    const [primary, ...secondaries] = targets.map((target) => ({ conn: dial(target, { transport }) }));
    const parameters: StreamParameters = { primary: primary!, secondaries };
    const server = new Server({
      unknownServiceHandler: transparentHandler(() => parameters),
      transport,
    });
    const conns = [primary!, ...secondaries].map(({ conn }) => conn);
    const proxy = new ProxyProcess(server, conns, demoBackends);
    const addresses: string[] = [];
    for (const address of options.listen) {
      try {
        addresses.push(formatAddress(await server.listen(address)));
      } catch (error) {
        await proxy.drain();
        throw new Error(`--listen: cannot listen at ${formatAddress(address)}: ${reasonOf(error, address)}`);
      }
    }
    const backends = targets.map((target, index) => `${index === 0 ? 'primary' : 'secondary'} ${target}`);
    print(`grpc-frame-proxy listens at ${addresses.join(', ')}; ${backends.join(', ')}`);
    if (demoBackends.length > 0) introduceDemo(addresses[0]!, print);
    return proxy;
  }

  /** Lets running calls finish; resolves when nothing is left open. */
  async drain(): Promise<void> {
    await this.#server.close();
    await Promise.all(this.#conns.map((conn) => conn.close()));
    await Promise.all(this.#demoBackends.map(({ server }) => server.close()));
  }
}

function introduceDemo(address: string, print: (line: string) => void): void {
  print('No --primary was given, so these are demo backends, which echo any call. Try:');
  print(`  ${tryIt(address)}`);
  print('or go on to yours: npm start -- --primary http://HOST:PORT');
}

function reasonOf(error: unknown, address: ListenAddress): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'path' in address ? 'the socket exists already' : 'the address is in use';
  if (code === 'EACCES') return 'permission denied';
  return message;
}
