import { type DemoBackend, startDemoBackends, tryIt } from './demo-backends.js';
import { DemoLoad } from './demo-load.js';
import type { Flags } from './options.js';
import type { ProxyCommand } from './proxy-command.js';

/** How the command is typed again, with flags, by who has started it by this script of npm's, or by none. */
export function commandOf(script: string | undefined): string {
  switch (script) {
    case 'start':
      return 'npm start --';
    case 'npx':
      return 'npx grpc-frame-proxy';
    default:
      return 'grpc-frame-proxy';
  }
}

/** The tour of who starts the command with nothing to proxy to: backends of its own, and what to try. */
export class Demo {
  readonly #backends: readonly DemoBackend[];
  #load: DemoLoad | undefined;

  private constructor(backends: readonly DemoBackend[]) {
    this.#backends = backends;
  }

  /** Whether nothing is said of where calls go. */
  static isMeant({ config, primary }: Flags): boolean {
    return config === undefined && primary === undefined;
  }

  /** @param print told of each message that one of them gets, unless the demo calls itself */
  static async start({ demoLoad }: Flags, print: (line: string) => void): Promise<Demo> {
    return new Demo(await startDemoBackends(demoLoad ? () => {} : print));
  }

  /** What the command is to run by. */
  flags(given: Flags): Flags {
    const [primary, ...others] = this.#backends.map(({ target }) => target);
    return {
      ...given,
      primary,
      secondaries: others.slice(0, -1),
      shadows: others.slice(-1),
      admin: given.admin ?? '127.0.0.1:0',
    };
  }

  /** Says what there is to try, and calls itself if that was asked for. */
  introduce({ addresses }: ProxyCommand, { tls, demoLoad }: Flags, print: (line: string) => void): void {
    const [address] = addresses as [string];
    const wire = tls.cert === undefined ? 'cleartext' : tls.ca === undefined ? 'TLS' : 'mutual TLS';
    const command = commandOf(process.env.npm_lifecycle_event);
    print('No --primary and no --config was given, so these are demo backends, which echo any call. Try:');
    for (const line of tryIt(address, wire)) print(`  ${line}`);
    if (demoLoad) this.#load = new DemoLoad(address, wire !== 'cleartext');
    else print(`or let it call itself: ${command} --demo-load`);
    print(`or go on to yours: ${command} --primary http://HOST:PORT`);
  }

  async close(): Promise<void> {
    await this.#load?.stop();
    await Promise.all(this.#backends.map(({ server }) => server.close({ timeoutMilliseconds: 0 })));
  }
}
