import type { SecureContextOptions } from 'node:tls';
import type { ClientConn, CloseConnOptions } from '../client/client-conn.js';
import { unlessAborted } from '../port/abort.js';
import { ownError } from '../port/errors.js';
import { checkedFlag, checkFunction, checkOptions, signalOf } from '../port/options.js';
import type { ResponseVerdict } from '../proxy/compare/verdict.js';
import type { StreamDirector } from '../proxy/director.js';
import { Backends } from './backends.js';
import { checkedConfig } from './checked-config.js';
import { ConfigError, ConfigMistake, type Problem } from './config-mistake.js';
import { ConfigTls } from './config-tls.js';
import type { RouteTools } from './route-parameters.js';
import { RouteTable } from './route-table.js';
import { type Routing, type RoutingInput, routingSchema } from './schema.js';

/** How calls are directed, besides what the config says. */
export interface RouteDirectorOptions {
  /**
   * Is told what came of comparing answers, where a shadow has `compare: true`. None by default: then nothing is compared.
   * What it throws is emitted as a process warning.
   */
  readonly onVerdict?: ((verdict: ResponseVerdict) => void) | undefined;
  /** Compares the answers of all secondaries and shadows, whatever the routes say. Default false. */
  readonly comparesAll?: boolean | undefined;
  /** What weighted choices are drawn by: gives a number from 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Directs calls by a config's routes, to backends that it keeps connections to; made by {@link routeDirector}. */
export class RouteDirector {
  /** For `transparentHandler`: where a call goes is said by the routes as they are then. */
  readonly director: StreamDirector;
  readonly #backends = new Backends();
  readonly #options: Omit<RouteTools, 'conns'>;
  #table: RouteTable;
  #isClosed = false;

  private constructor({ onVerdict, comparesAll = false, random = Math.random }: RouteDirectorOptions) {
    this.#options = { comparesAll, random, compare: onVerdict && { onVerdict } };
    this.#table = new RouteTable([], { ...this.#options, conns: new Map() });
    this.director = (ctx, fullMethodName) => this.#table.direct(ctx, fullMethodName);
  }

  /**
   * Makes one by a config that has been checked, as {@link loadConfig} gives it.
   *
   * @param tls what the files of the backends hold, by the backends' names: `tls.backends` of what `loadConfig` gives
   * @throws Error for what `dial()` does not take; TypeError for an option that makes no sense
   */
  static of(
    config: Routing,
    tls: ReadonlyMap<string, SecureContextOptions>,
    options: RouteDirectorOptions = {},
  ): RouteDirector {
    checkDirectorOptions(options);
    const made = new RouteDirector(options);
    made.use(config, tls);
    return made;
  }

  /** The connections to the backends, by their names; another map after an update. */
  get backends(): ReadonlyMap<string, ClientConn> {
    return this.#backends.conns;
  }

  /** The names of the routes, in their order. */
  get routes(): readonly string[] {
    return this.#table.names;
  }

  /** The methods that routes name, as `package.Service/Method`; not those of which they give only a part. */
  get methods(): readonly string[] {
    return this.#table.methods;
  }

  /**
   * Directs calls by another config from now on. Running calls finish where they are. Connections to backends that are in
   * both configs, and the same, are kept, with certificates by what their files hold now; others close when their calls
   * have ended.
   *
   * @throws ConfigError that tells all mistakes, those of files included, which it reads and waits for, and Error
   *   (`ERR_CLOSED`) once the director is closed; then nothing is changed
   */
  update(config: RoutingInput): void {
    const { checked, tls } = checkedRouting(config);
    this.use(checked, tls);
  }

  /**
   * {@link update} with a config that has been checked, as `loadConfig` gives it.
   *
   * @param tls what the files of the backends hold, by the backends' names
   * @throws Error, with nothing changed: for what `dial()` does not take, and (`ERR_CLOSED`) once the director is closed
   */
  use(config: Routing, tls: ReadonlyMap<string, SecureContextOptions>): void {
    if (this.#isClosed) throw ownError('ERR_CLOSED', 'the director is closed');
    const prepared = this.#backends.prepare({ ...config, transport: config.transport, tls });
    try {
      const table = new RouteTable(config.routes ?? [], { ...this.#options, conns: prepared.conns });
      prepared.commit();
      this.#table = table;
    } catch (error) {
      prepared.drop();
      throw error;
    }
  }

  /**
   * Lets the next handshakes with a backend be made by what its files hold now; without effect if there is no such backend,
   * or it has no TLS.
   *
   * @param backend its name
   * @throws Error that says what is of no use; then everything stays as it is
   */
  renewTls(backend: string, tls: SecureContextOptions): void {
    this.#backends.renewTls(backend, tls);
  }

  /**
   * Fails new calls with UNAVAILABLE, lets running ones finish; resolves when no connection is left.
   *
   * @throws TypeError for an option that makes no sense; the signal's reason when it aborts: if it has before, nothing is
   *   begun
   */
  async close(options: CloseConnOptions = {}): Promise<void> {
    const signal = signalOf(options);
    this.#isClosed = true;
    await unlessAborted(this.#backends.close(), signal);
  }

  /** {@link close}, at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Closes all connections at once: running calls fail with UNAVAILABLE. */
  destroy(): void {
    this.#isClosed = true;
    this.#backends.destroy();
  }
}

/**
 * A director by routes and backends, which are what `routes`, `backends` and `transport` of the command's config file are.
 *
 *     const routed = routeDirector({
 *       backends: { files: { target: 'dns:///files.example:50051' } },
 *       routes: [{ match: { service: 'storage.Files' }, primary: 'files', timeout: '5s' }],
 *     });
 *     const server = new Server({ unknownServiceHandler: transparentHandler(routed.director) });
 *
 * Paths of certificates are relative to the working directory; the files are read at once, and again by
 * {@link RouteDirector.update}.
 *
 * @throws ConfigError that tells all mistakes; TypeError for an option that makes no sense
 */
export function routeDirector(config: RoutingInput, options: RouteDirectorOptions = {}): RouteDirector {
  const { checked, tls } = checkedRouting(config);
  return RouteDirector.of(checked, tls, options);
}

/** @throws ConfigError */
function checkedRouting(config: RoutingInput) {
  const { config: checked, problems = [] } = checkedConfig<Routing>(routingSchema, config, true);
  const tls = ConfigTls.readNow(config, process.cwd());
  throwAll([...problems, ...tls.problems]);
  return { checked: checked!, tls: tls.backends };
}

/** @throws ConfigError */
function throwAll(problems: readonly Problem[]): void {
  if (problems.length > 0) throw new ConfigError(problems.map((problem) => new ConfigMistake(problem)));
}

/** @throws TypeError for one that makes no sense */
function checkDirectorOptions(options: RouteDirectorOptions): void {
  checkOptions(options, { onVerdict: true, comparesAll: true, random: true });
  checkFunction('options.onVerdict', options.onVerdict);
  checkFunction('options.random', options.random);
  checkedFlag('options.comparesAll', options.comparesAll, false);
}
