import type { SecureContextOptions } from 'node:tls';
import { type ClientConn, dial } from '../client/client-conn.js';
import { formatAddress, type ListenAddress } from '../port/address.js';
import { compareResponses } from '../proxy/compare/compare-responses.js';
import type { ResponseVerdict } from '../proxy/compare/verdict.js';
import type { Destination, StreamDirector, StreamParameters } from '../proxy/director.js';
import { transparentHandler } from '../proxy/handler.js';
import { TlsFiles, TlsFilesError, type TlsPaths } from '../routes/tls-files.js';
import { Server } from '../server/server.js';
import { type DemoBackend, startDemoBackends, tryIt } from './demo-backends.js';
import { DifferenceLog } from './difference-log.js';
import { isSecure, type RunOptions } from './options.js';
import { UsageError } from './usage-error.js';

/** The time that connections to backends have to close by themselves when no call is left. */
const GOODBYE_MILLISECONDS = 1000;

/** The running command: a server, the connections to its backends, and the demo backends if there are any. */
export class ProxyProcess {
  readonly #server: Server;
  readonly #conns: readonly ClientConn[];
  readonly #demoBackends: readonly DemoBackend[];
  readonly #tlsFiles: readonly TlsFiles[];
  readonly #differences: DifferenceLog;

  private constructor(
    server: Server,
    conns: readonly ClientConn[],
    demoBackends: readonly DemoBackend[],
    tlsFiles: readonly TlsFiles[],
    differences: DifferenceLog,
  ) {
    this.#server = server;
    this.#conns = conns;
    this.#demoBackends = demoBackends;
    this.#tlsFiles = tlsFiles;
    this.#differences = differences;
  }

  /**
   * Starts it, and prints one line when it is ready.
   *
   * @param log told what else there is to know while it runs, a line each
   * @throws UsageError for files that are of no use; Error that names the address which it cannot listen at; then
   *   nothing is left running
   */
  static async start(
    options: RunOptions,
    print: (line: string) => void,
    log: (line: string) => void,
  ): Promise<ProxyProcess> {
    const { transport } = options;
    const clientFiles = options.tls === undefined ? undefined : await readTls(options.tls);
    const backendFiles = await readTls(options.backendTls);
    const demoBackends = options.primary === undefined ? await startDemoBackends(print) : [];
    const targets =
      options.primary === undefined ? demoTargets(demoBackends) : targetsOf(options, options.primary);
    const conns: ClientConn[] = [];
    const destinationTo = (target: string): Destination => {
      const tls = isSecure(target) ? backendFiles.options : undefined;
      const conn = dial(target, { transport, tls, loadBalancing: options.loadBalancing });
      conns.push(conn);
      return { conn };
    };
    const { shadowPercent } = options;
    const parameters: StreamParameters = {
      primary: destinationTo(targets.primary),
      secondaries: targets.secondaries.map(destinationTo),
      ...(targets.shadows.length > 0 && {
        shadows: targets.shadows.map((target) => ({ ...destinationTo(target), percent: shadowPercent })),
      }),
    };
    const differences = new DifferenceLog(log);
    const director = options.compares
      ? comparing(parameters, (verdict) => differences.add(verdict))
      : () => parameters;
    const server = new Server({
      unknownServiceHandler: transparentHandler(director),
      transport,
      tls: clientFiles && { ...clientFiles.options, requestCert: clientFiles.options.ca !== undefined },
    });
    const tlsFiles = clientFiles === undefined ? [backendFiles] : [backendFiles, clientFiles];
    const proxy = new ProxyProcess(server, conns, demoBackends, tlsFiles, differences);
    const addresses: string[] = [];
    for (const address of options.listen) {
      try {
        addresses.push(formatAddress(await server.listen(address)));
      } catch (error) {
        await proxy.drain(options.drainTimeoutMilliseconds);
        throw new Error(`--listen: cannot listen at ${formatAddress(address)}: ${reasonOf(error, address)}`);
      }
    }
    clientFiles?.watch((renewed) => server.setSecureContext(renewed), log);
    backendFiles.watch((renewed) => proxy.#renewBackendTls(renewed), log);
    print(
      `grpc-frame-proxy listens at ${addresses.join(', ')}; ${wireOf(options)}${named(targets, options)}`,
    );
    if (demoBackends.length > 0) introduceDemo(addresses[0]!, options, print);
    return proxy;
  }

  /**
   * Lets running calls finish, for so long, and then ends them; resolves when nothing is left open, with the number of
   * calls that it ended.
   */
  async drain(timeoutMilliseconds: number): Promise<number> {
    for (const files of this.#tlsFiles) files.stop();
    const ended = await this.#server.close({ timeoutMilliseconds });
    this.#differences.stop();
    const timer = setTimeout(() => {
      for (const conn of this.#conns) conn.destroy();
    }, GOODBYE_MILLISECONDS);
    await Promise.all(this.#conns.map((conn) => conn.close()));
    clearTimeout(timer);
    await Promise.all(this.#demoBackends.map(({ server }) => server.close({ timeoutMilliseconds: 0 })));
    return ended;
  }

  #renewBackendTls(options: SecureContextOptions): void {
    for (const conn of this.#conns) if (conn.scheme === 'https') conn.setSecureContext(options);
  }
}

/** @throws UsageError for files that are of no use */
async function readTls(paths: TlsPaths): Promise<TlsFiles> {
  try {
    return await TlsFiles.read(paths);
  } catch (error) {
    throw error instanceof TlsFilesError ? new UsageError(error.message) : error;
  }
}

/** Where the calls go. */
interface Targets {
  readonly primary: string;
  readonly secondaries: readonly string[];
  readonly shadows: readonly string[];
}

function targetsOf({ secondaries, shadows }: RunOptions, primary: string): Targets {
  return { primary, secondaries, shadows };
}

function demoTargets(backends: readonly DemoBackend[]): Targets {
  const targets = backends.map(({ target }) => target);
  return { primary: targets[0]!, secondaries: targets.slice(1, -1), shadows: targets.slice(-1) };
}

function comparing(
  parameters: StreamParameters,
  onVerdict: (verdict: ResponseVerdict) => void,
): StreamDirector {
  const compared = compareResponses(parameters, { onVerdict });
  return () => compared;
}

function named({ primary, secondaries, shadows }: Targets, { shadowPercent }: RunOptions): string {
  const percent = shadowPercent < 100 ? ` (${shadowPercent} %)` : '';
  return [
    `primary ${primary}`,
    ...secondaries.map((target) => `secondary ${target}`),
    ...shadows.map((target) => `shadow ${target}${percent}`),
  ].join(', ');
}

function wireOf({ tls }: RunOptions): string {
  if (tls === undefined) return '';
  return tls.ca === undefined ? 'TLS; ' : 'TLS, with client certificates; ';
}

function introduceDemo(address: string, { tls }: RunOptions, print: (line: string) => void): void {
  const wire = tls === undefined ? 'cleartext' : tls.ca === undefined ? 'TLS' : 'mutual TLS';
  print('No --primary was given, so these are demo backends, which echo any call. Try:');
  print(`  ${tryIt(address, wire)}`);
  print('or go on to yours: npm start -- --primary http://HOST:PORT');
}

function reasonOf(error: unknown, address: ListenAddress): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'path' in address ? 'the socket exists already' : 'the address is in use';
  if (code === 'EACCES') return 'permission denied';
  return message;
}
